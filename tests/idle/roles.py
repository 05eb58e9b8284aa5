"""Who uses an instance, and how: one day after another, minute by minute, by a seeded chance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from novita_gpu.contract.requests import AutoStopRequest
from novita_gpu.domain.spec import Activity

DAY = 24 * 60
HELD_MEMORY = 80.0
LIFE_MINUTES = 240


@dataclass(frozen=True)
class Use:
    """One minute. `wanted`: somebody is at work with it, and starts it if it is stopped."""

    wanted: bool = False
    beats: bool = False
    gpu: float = 0.0


NONE = Use()
Minutes = list[Use]


@dataclass(frozen=True)
class Member:
    """One instance of a fleet: its policy, and how it is used in each minute."""

    name: str
    role: str
    auto_stop: AutoStopRequest
    use: Minutes
    pinned: bool = False  # while somebody is at work with it

    @property
    def idle_minutes(self) -> int:
        return self.auto_stop.idle_minutes or 20

    @property
    def activity(self) -> Activity:
        return self.auto_stop.activity or Activity.HEARTBEAT


def fleet(chance: Random, days: int) -> list[Member]:
    """One of each role."""
    return [_member(chance, number, role, days) for number, role in enumerate(ROLES)]


def _member(chance: Random, number: int, role: str, days: int) -> Member:
    activity, used = ROLES[role]
    idle = chance.randint(10, 45)
    policy = AutoStopRequest(
        idle_minutes=idle, activity=activity, max_lifetime_minutes=LIFE_MINUTES if role == "of limited life" else None
    )
    minutes = [use for _ in range(days) for use in used(chance, idle)]
    return Member(f"m{number}", role, policy, minutes, pinned=role == "pinned")


def _sessions(chance: Random, of: Callable[[Random, int], Minutes]) -> Minutes:
    """Two or three stretches of work, hours of nothing between them."""
    day: Minutes = []
    for _ in range(chance.randint(2, 3)):
        day += [NONE] * chance.randint(90, 200)
        day += of(chance, chance.randint(60, 240))
    return (day + [NONE] * DAY)[:DAY]


def _beating(chance: Random, minutes: int) -> Minutes:
    every = chance.randint(1, 5)
    return [Use(wanted=True, beats=minute % every == 0) for minute in range(minutes)]


def _bursts(idle: int) -> Callable[[Random, int], Minutes]:
    """Pauses just below and well above the threshold."""

    def of(chance: Random, minutes: int) -> Minutes:
        found: Minutes = []
        while len(found) < minutes:
            found += [Use(wanted=True, beats=True)] * chance.randint(1, 4)
            found += [NONE] * chance.choice((3, idle - 4, idle - 1, idle + 10))
        return found

    return of


def _training(idle: int) -> Callable[[Random, int], Minutes]:
    """The GPU is busy, but for pauses in which data is loaded; nobody sends a heartbeat."""

    def of(chance: Random, minutes: int) -> Minutes:
        found: Minutes = []
        while len(found) < minutes:
            found += [Use(wanted=True, gpu=90.0)] * chance.randint(5, 40)
            found += [Use(wanted=True)] * chance.randint(1, idle - 1)
        return [*found, Use(wanted=True, gpu=90.0)]

    return of


def _zombie(chance: Random, _: int) -> Minutes:
    """A daemon that beats for ever; its GPU works now and then."""
    day = _sessions(chance, lambda c, minutes: [Use(wanted=True, gpu=70.0)] * minutes)
    return [Use(use.wanted, beats=minute % 2 == 0, gpu=use.gpu) for minute, use in enumerate(day)]


def _always(beats: bool) -> Callable[[Random, int], Minutes]:
    return lambda _, __: [Use(wanted=beats, beats=beats and minute % 3 == 0) for minute in range(DAY)]


ROLES: dict[str, tuple[Activity, Callable[[Random, int], Minutes]]] = {
    "heartbeats": (Activity.HEARTBEAT, lambda chance, _: _sessions(chance, _beating)),
    "bursts": (Activity.HEARTBEAT, lambda chance, idle: _sessions(chance, _bursts(idle))),
    "silent trainer": (Activity.GPU, lambda chance, idle: _sessions(chance, _training(idle))),
    "silent trainer, any": (Activity.ANY, lambda chance, idle: _sessions(chance, _training(idle))),
    "zombie": (Activity.GPU, _zombie),
    "zombie by heartbeat": (Activity.HEARTBEAT, _always(beats=True)),
    "idle server": (Activity.GPU, lambda chance, _: _sessions(chance, lambda c, m: [Use(wanted=True)] * 2)),
    "pinned": (Activity.HEARTBEAT, lambda chance, _: _sessions(chance, lambda c, m: [Use(wanted=True)] * m)),
    "of limited life": (Activity.HEARTBEAT, _always(beats=True)),
}


def stretches(use: Minutes) -> Iterator[tuple[int, int]]:
    """Each stretch of work: first minute, and the one after the last."""
    begin: int | None = None
    for minute, one in enumerate([*use, NONE]):
        if one.wanted and begin is None:
            begin = minute
        elif not one.wanted and begin is not None:
            yield begin, minute
            begin = None
