"""A second doorbell, in memory and on a clock turned by hand: what docket does, and what may go wrong with it.

Rings and alarms fold into one pass, a ring during a pass gives one more, no two passes over one instance at once, and
what a process had in hand when it died or stood still comes to another one after `LOCAL.abandoned`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from novita_gpu.control.bell import NextLook
from novita_gpu.domain.instance import InstanceId
from novita_gpu.store.pace import LOCAL

CLOUD = "cloud"


@dataclass(frozen=True)
class Job:
    """A pass over an instance, or a look at the cloud: `asked` or as announced."""

    key: str
    subject: str
    asked: bool | None = None


@dataclass
class Held:
    """A job in hand of a process. After `until` another one may have it."""

    job: Job
    owner: object
    until: float | None = None


class Doorbell:
    """Shared by all processes: it outlives them."""

    def __init__(self, now: Callable[[], float], moving_s: float) -> None:
        self._now, self._moving_s = now, moving_s
        self._due: dict[Job, float] = {}
        self._held: list[Held] = []
        self._late: list[tuple[float, Callable[[], None]]] = []
        self._net = now()

    def ring(self, instance: InstanceId) -> None:
        self._due[Job(f"bell:{instance}", instance)] = self._now()

    def alarm(self, instance: InstanceId, at: float, *, anew: bool = True) -> None:
        job = Job(f"alarm:{instance}", instance)
        if anew or (job not in self._due and all(held.job != job for held in self._held)):
            self._due[job] = at

    def look(self, at: float, *, asked: bool = True) -> None:
        """One a slot of time: who asks for a slot that has one adds nothing."""
        slot = int(at / self._moving_s) + 1
        job = Job(f"{'look' if asked else 'due'}:{slot}", CLOUD, asked)
        if job not in self._due and all(held.job != job for held in self._held):
            self._due[job] = slot * self._moving_s

    def later(self, seconds: float, ring: Callable[[], None]) -> None:
        """A ring that is heard only then."""
        self._late.append((self._now() + seconds, ring))

    def follow(self, following: NextLook | None) -> None:
        if following:
            self.look(following.at.timestamp(), asked=following.asked)

    def take(self, owner: object) -> Job | None:
        """The job that is due first and whose subject nobody has in hand."""
        now = self._now()
        self._hear(now)
        self._redeliver(now)
        if self._net <= now:
            self._net = now + LOCAL.safety_net.total_seconds()
            self.look(now, asked=False)
        busy = {held.job.subject for held in self._held}
        ready = [(at, number, job) for number, (job, at) in enumerate(self._due.items()) if at <= now]
        found = min((entry for entry in ready if entry[2].subject not in busy), default=None, key=lambda e: e[:2])
        if found is None:
            return None
        del self._due[found[2]]
        self._held.append(Held(found[2], owner))
        return found[2]

    def done(self, owner: object, job: Job) -> None:
        """Its end. One that another process has got meanwhile is not ours to end."""
        self._held = [held for held in self._held if (held.owner, held.job) != (owner, job)]

    def lapse(self, owner: object) -> None:
        """The process no longer says that it is at work: from now on its jobs' time runs out."""
        for held in self._held:
            if held.owner is owner:
                held.until = self._now() + LOCAL.abandoned.total_seconds()

    def renew(self, owner: object) -> None:
        """It is at work again."""
        for held in self._held:
            if held.owner is owner:
                held.until = None

    def next_at(self) -> float:
        """When something falls due next. The safety net looks again and again, whatever was lost."""
        lapses = (held.until for held in self._held if held.until is not None)
        times = (*self._due.values(), *lapses, *(at for at, _ in self._late), self._net)
        return min((at for at in times if at > self._now()), default=self._net)

    def left(self) -> bool:
        """Whether anything was asked for that has not ended."""
        return bool(self._held or self._late) or any(job.asked is not False for job in self._due)

    def _hear(self, now: float) -> None:
        late = [ring for at, ring in self._late if at <= now]
        self._late = [(at, ring) for at, ring in self._late if at > now]
        for ring in late:
            ring()

    def _redeliver(self, now: float) -> None:
        late = [held for held in self._held if held.until is not None and held.until <= now]
        self._held = [held for held in self._held if held not in late]
        for held in late:
            self._due.setdefault(held.job, now)
