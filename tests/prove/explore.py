"""One schedule, run to its end: everything wished and everything going wrong, then all faults off and time run on."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from msgspec.structs import replace

from novita_gpu.api.problems import Answered
from novita_gpu.cloud import simulator as sim
from novita_gpu.cloud.simulator.refusals import Refused
from novita_gpu.control.listening import MARK_EVERY, Listening
from novita_gpu.domain.ids import ENTROPY_BYTES, ulid
from novita_gpu.domain.instance import CloudId, InstanceId, Record, Status, is_moving, status
from novita_gpu.domain.instance import Wish as Wanted
from novita_gpu.domain.learn import YOUNG
from novita_gpu.domain.limits import UNLIMITED, Limits
from novita_gpu.domain.money import compute_rate
from novita_gpu.store import Store
from novita_gpu.store.base import NotRunning
from novita_gpu.store.fallback import Fallback
from novita_gpu.store.pace import LOCAL
from tests.prove.apart import PRIVATE, Slots
from tests.prove.doorbell import Doorbell, Job
from tests.prove.replica import MOVING, MUTATION_TIMEOUT, POLICY, RESTING, Replica, store_on
from tests.prove.schedule import Hazard, Outside, Schedule, Trouble, Wish
from tests.prove.seams import SHARED, Straight, straight_wire
from tests.prove.turns import Killed, Life, Turn, Turns
from tests.prove.verdict import Answers, verdict
from tests.prove.watch import Watch

TIMING = sim.Timing(list_lag_s=1.5, removed_listed_s=3.0, service_s=0.5)
# Of simulated time, once all faults are off. A machine younger than five minutes that nobody saw going is not believed
# to be gone, and a launch that got stuck is given up after three.
PATIENCE_S = 15 * 60.0
# The price per hour of the dearest offer that what is created here may come to.
DEAREST = 67_000
# A schedule that needs more operations goes round in circles.
MOST_STEPS = 20_000
UP = frozenset({Status.RUNNING, Status.READY})
# A person asks again this long after a request that was not answered.
ASKS_AGAIN_S = 1.0


@dataclass
class Outcome:
    """What came of a schedule. `faults` are broken promises; `names` the operations in their order."""

    faults: list[str]
    names: list[str]
    seams: list[str]
    marks: dict[str, int]  # how many operations had been when a mark was reached
    met: Counter[Trouble]
    created: int
    trace: list[str] = field(default_factory=list[str])


class Exploration:
    """The cloud, the clock, the doorbell and the store outlive every process. A `seams.Scene`."""

    def __init__(
        self,
        redis: Straight,
        prefix: str,
        schedule: Schedule,
        *,
        privates: Sequence[Straight] = (),
        traced: bool = False,
    ) -> None:
        self.schedule = schedule
        self.places = {SHARED: redis, **dict(zip(PRIVATE, privates, strict=False))}
        self.simulator = sim.Simulator(sim.SimulatorSettings(timing=TIMING, rate=0.0))
        self.turns = Turns(self.now, schedule.order)
        self.doorbell = Doorbell(self.now, MOVING.total_seconds())
        self.elsewhere = sim.Simulator(sim.SimulatorSettings(rate=0.0), clock=self.simulator.clock)
        self.elsewhere_until = 0.0
        self.clones: set[str] = set()
        self.told = 0
        self.mortal: set[str] = set()
        self.aged_to = self.now()
        self.out: dict[str, float] = {}
        self.limits = Limits(max_burn=schedule.room * compute_rate(DEAREST)) if schedule.room else UNLIMITED
        self.answers = Answers()
        self.beats: list[tuple[InstanceId, float]] = []
        self._prefix = prefix
        self._slots = Slots(self.places, lambda: Doorbell(self.now, MOVING.total_seconds()))
        self._numbers, self._lives = count(1), count(1)
        self._began = self.now()
        self.outsides = {
            place: store_on(straight_wire(straight), prefix, self._instant, self.new_id, asyncio.sleep)
            for place, straight in self.places.items()
        }
        self.outside: Store = self.outsides[SHARED]
        self._listening = Listening(self.outside, self._instant)
        self._marked_at = 0.0
        twins = makes_twins(schedule)
        most = None if twins or schedule.outside else self.limits.max_burn
        self.watch = Watch(
            self.simulator,
            self.outside.records.load,
            twins,
            most,
            at_once=2 if schedule.spot else 1,
            parted=bool(schedule.parted),
        )
        self._people = Life("people")
        self._replicas: list[Replica] = []
        self._births: list[tuple[float, int]] = [(self._began, number) for number in range(schedule.replicas)]
        self._to_come = sorted((*schedule.wishes, *schedule.outside), key=lambda each: each.at)
        self._counts: Counter[str] = Counter()
        self._is_calm = self._was_cut = False
        self._seen_at = self._lasts_until = 0.0
        self.names: list[str] = []
        self.seams: list[str] = []
        self.marks: dict[str, int] = {}
        self.met: Counter[Trouble] = Counter()
        self.trace: list[str] | None = [] if traced else None

    def now(self) -> float:
        return self.simulator.clock.now()

    def _instant(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{ulid(self._instant(), next(self._numbers).to_bytes(ENTROPY_BYTES, 'big'))}"

    async def written(self, instance: str, place: str) -> None:
        if place == SHARED:
            await self.watch.written(instance)
        elif record := await self.outsides[place].records.load(InstanceId(instance)):
            self.watch.written_away(record)

    def is_cut(self) -> bool:
        """The line from the first replica to the shared store."""
        since = self.now() - self._began
        return not self._is_calm and any(cut.at <= since < cut.at + cut.seconds for cut in self.schedule.parted)

    async def run(self) -> Outcome:
        """Raises nothing of what is explored; what broke is in the outcome."""
        await self._until(self._is_done, PATIENCE_S)
        self.marks["wished"] = len(self.names)
        self._calm_down()
        rested = await self._until(self._is_at_rest, PATIENCE_S)
        self.marks["rested"] = len(self.names)
        if not rested:
            self.watch.faults.append("not at rest")
        else:
            await self._one_more_round()
        if self._people.tasks:
            self.watch.faults.append("unanswered: somebody asks and asks")
        self.watch.faults += await verdict(self)
        await self._end()
        created = len(self.simulator.core.everything())
        return Outcome(self.watch.faults, self.names, self.seams, self.marks, self.met, created, self.trace or [])

    def _is_done(self) -> bool:
        """Everybody is answered, and whatever was to go wrong has, or has nothing left to go wrong with."""
        if self._to_come or self._people.tasks or self.now() < max(self._lasts_until, self.elsewhere_until):
            return False
        if self.now() < max((self._began + cut.at + cut.seconds for cut in self.schedule.parted), default=0.0):
            return False
        return self.met.total() >= sum(hazard.times for hazard in self.schedule.hazards) or self._is_at_rest()

    def _calm_down(self) -> None:
        """Faults off: what has stopped goes on, who is gone comes back."""
        self._is_calm = True
        if any(
            what.act != "reclaim" for what in self.schedule.outside
        ):  # nobody here knows of it before the usual look, and no young machine is missed
            self._seen_at = self.now() + (YOUNG + RESTING + MOVING).total_seconds()
        self.out.clear()
        self.elsewhere_until = 0.0
        self.simulator.faults.waiting.clear()
        for replica in self._replicas:
            replica.life.wakes_at = 0.0
            self._renew(replica.life)

    def _is_at_rest(self) -> bool:
        if self._births or self.now() < self._seen_at or self.simulator.next_at() is not None or self._is_parted():
            return False
        if any(is_moving(r) or r.missing_at or is_waiting(r) for r in self.watch.records.values()):
            return False
        if any(map(self._is_unnoticed, self.watch.records.values())):
            return False
        if self.schedule.idle_minutes and any(status(r) is Status.READY for r in self.watch.records.values()):
            return False
        return not set(self.watch.unknown()) - self.clones

    def _is_parted(self) -> bool:
        """Something is in a private store."""
        return any(map(self._slots.is_used, self.places.keys() - {SHARED}))

    def _is_unnoticed(self, record: Record) -> bool:
        """Its machine has exited, and the record does not know yet."""
        machine = self.simulator.core.machines.get(record.machine.id) if record.machine else None
        return machine is not None and machine.status == "exited" and status(record) in UP

    async def _one_more_round(self) -> None:
        """A ring for everybody and a fresh look must find nothing to do, and nothing to tell."""
        before, told = self._mutations(), await self.outside.events.last_sequence()
        for instance in self.watch.records:
            self.doorbell.ring(instance)
        self.doorbell.look(self.now())
        ends = self.now() + 3 * MOVING.total_seconds()
        await self._until(lambda: self.now() >= ends, PATIENCE_S)
        if self._mutations() != before:
            self.watch.faults.append("not at rest: one more round changed something in the cloud")
        if more := await self.outside.events.read(told):
            self.watch.faults.append(f"events: one more round told of {[event.type.value for event in more]}")

    def _mutations(self) -> int:
        counts = self.simulator.calls.counts
        return sum(counts.get(op, 0) for op in ("create", "start", "stop", "restart", "migrate", "delete"))

    async def _until(self, is_over: Any, patience_s: float) -> bool:
        """Goes on until it is over and all stands still. False: it took too long."""
        ends = self.now() + patience_s
        while True:
            await self._listen()
            await self._begin_what_is_due()
            due = self.turns.due()
            if due:
                await self._step(self.turns.choose(due))
                if len(self.names) > MOST_STEPS:
                    return False
                continue
            if is_over():
                return True
            if self.now() >= ends:
                return False
            self._turn_to(min(self._next_at(), ends))

    async def _listen(self) -> None:
        """Whoever works marks once a minute that heartbeats are taken."""
        if self._working() and self.now() >= self._marked_at + MARK_EVERY.total_seconds():
            self._marked_at = self.now()
            await self._listening.mark()

    async def _beat(self) -> None:
        """A heartbeat of each instance, taken by a process that meets no trouble."""
        for instance in self.watch.records:
            try:
                at = await self.outside.records.touch(instance, self._instant())
            except NotRunning:
                continue
            self.beats.append((instance, at.timestamp()))

    async def _step(self, turn: Turn) -> None:
        hazard = self._hazard_of(turn)
        if self.trace is not None:
            told = f" !! {hazard.trouble} {hazard.seconds:g}" if hazard else ""
            at = f"{self.now() - self._began:8.1f}"
            self.trace.append(f"{len(self.names):5} {at} {turn.life.name:8} {turn.name}{told}")
        self.names.append(turn.name)
        self.seams.append(turn.seam)
        match hazard and hazard.trouble:
            case Trouble.KILL if hazard:
                await self._kill(turn.life, hazard.seconds)
            case Trouble.PAUSE if hazard:
                turn.life.wakes_at = self.now() + hazard.seconds
                if hazard.seconds > LOCAL.abandoned.total_seconds():
                    self._lapse(turn.life)
            case Trouble.BEAT:
                await self._beat()
                await self.turns.release(turn, None)
            case Trouble.JUMP if hazard:
                self._turn_to(self.now() + hazard.seconds)
                await self.turns.release(turn, None)
            case _:
                await self.turns.release(turn, hazard)
        self.watch.step()

    def _hazard_of(self, turn: Turn) -> Hazard | None:
        if self._is_calm or turn.life is self._people:
            return None
        number, same = len(self.names), self._counts[turn.name]
        self._counts[turn.name] += 1
        for hazard in self.schedule.hazards:
            now = same if hazard.op else number
            if hazard.op in {"", turn.name} and hazard.nth <= now < hazard.nth + hazard.times:
                self.met[hazard.trouble] += 1
                self._lasts_until = max(self._lasts_until, self.now() + hazard.seconds)
                return hazard
        return None

    async def _kill(self, life: Life, seconds: float) -> None:
        number = next(replica.number for replica in self._replicas if replica.life is life)
        self._replicas = [replica for replica in self._replicas if replica.life is not life]
        await self.turns.kill(life)
        self._lapse(life)
        self._births.append((self.now() + seconds, number))

    def _lapse(self, life: Life) -> None:
        for doorbell in (self.doorbell, *self._slots.bells.values()):
            doorbell.lapse(life)

    def _renew(self, life: Life) -> None:
        """Who has lost the line renews nothing there."""
        lost = any(replica.life is life and replica.fallback for replica in self._replicas) and self.is_cut()
        for doorbell in (*self._slots.bells.values(), *(() if lost else (self.doorbell,))):
            doorbell.renew(life)

    def _tend_line(self) -> None:
        """When it is cut, what was in hand is given to others after a while."""
        if self.schedule.parted and self.is_cut() is not self._was_cut:
            self._was_cut = self.is_cut()
            self.marks.setdefault("cut", len(self.names))
            for replica in self._replicas:
                if replica.fallback and self._was_cut:
                    self.doorbell.lapse(replica.life)

    async def _begin_what_is_due(self) -> None:
        now = self.now()
        self._tend_line()
        for birth in [birth for birth in self._births if birth[0] <= now]:
            self._births.remove(birth)
            self._give_birth(birth[1])
        while self._to_come and self._began + self._to_come[0].at <= now:
            self._begin(self._to_come.pop(0))
        for replica in self._replicas:
            if replica.life.wakes_at <= now:
                self._renew(replica.life)
        for replica in self._working():
            doorbell = None if replica.place.rests else replica.place.doorbell
            while doorbell and (job := doorbell.take(replica.life)):
                self.turns.spawn(replica.life, self._work(replica, job, doorbell))
                self._replicas.append(self._replicas.pop(self._replicas.index(replica)))
                break
        await self.turns.quiet()

    def _working(self) -> list[Replica]:
        return [replica for replica in self._replicas if replica.is_open and replica.life.wakes_at <= self.now()]

    def _give_birth(self, number: int) -> None:
        """The first may lose its line."""
        life = Life(f"life {next(self._lives)}")
        slots = self._slots if self.schedule.parted and number == 0 else None
        replica = Replica(self, life, self._prefix, self.new_id, number, slots)
        self._replicas.append(replica)
        if replica.fallback is None:
            self._begin_work(replica)
        else:
            self.turns.spawn(life, self._opened(replica, replica.fallback))

    async def _opened(self, replica: Replica, fallback: Fallback) -> None:
        """A start that fails is made again."""
        while not replica.is_open:
            await self._guarded(replica.open())
            if not replica.is_open:
                await self.turns.take(replica.life, "clock", "start again", at=self.now() + 1)
        self.turns.spawn(replica.life, self._guarded(fallback.watch()))
        self._begin_work(replica)

    def _begin_work(self, replica: Replica) -> None:
        self.turns.spawn(replica.life, self._guarded(replica.store.view.follow()))
        if replica.place.doorbell:
            replica.place.doorbell.look(self.now())  # every process looks when it starts

    def _begin(self, what: Wish | Outside) -> None:
        if isinstance(what, Wish):
            self.marks["last wish"] = len(self.names)
            self.turns.spawn(self._people, self._person(what))
        else:
            self._happen(what)

    async def _work(self, replica: Replica, job: Job, doorbell: Doorbell) -> None:
        replica.place.in_hand += 1
        await self._guarded(replica.work(job))
        replica.place.in_hand -= 1
        doorbell.done(replica.life, job)

    async def _guarded(self, run: Any) -> None:
        """An edge, as in `work`: a pass that breaks is tried again by the next ring."""
        try:
            await run
        except Killed:
            raise
        except Exception as error:
            if self.trace is not None:
                self.trace.append(f"      broke: {error!r}")

    async def _person(self, wish: Wish) -> None:
        """Asks until there is an answer, of whichever process is there."""
        while True:
            working = self._working()
            answer = await self._asked(working[0], wish) if working else None
            if answer and answer.status < 500 and b"IDEMPOTENCY_IN_PROGRESS" not in answer.body:
                self.answers.given(wish, answer)
                return
            if self.trace is not None:
                self.trace.append(f"      {wish.verb} {wish.name}: {answer.body[:90] if answer else 'no answer'}")
            await self.turns.take(self._people, "clock", "person", at=self.now() + ASKS_AGAIN_S)

    async def _asked(self, replica: Replica, wish: Wish) -> Answered | None:
        """None: the process died on it."""
        reply: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            try:
                reply.set_result(await replica.ask(wish))
            finally:
                if not reply.done():
                    reply.cancel()

        self.turns.spawn(replica.life, serve())
        try:
            return await reply
        except asyncio.CancelledError:
            return None

    def _happen(self, what: Outside) -> None:
        if what.act == "stick":
            self.simulator.control.post("stick", status="pulling", creates=1)
            return
        if what.act == "elsewhere":
            self.elsewhere_until = self.now() + what.seconds
            return
        record = next((r for r in self.watch.records.values() if r.name == what.name and r.machine), None)
        if record is None or record.machine is None:
            return
        if what.act != "reclaim":
            self.answers.meddled.add(record.id)
        try:
            if what.act == "clone":
                self._clone(record.machine.id)
            elif what.act == "reclaim":
                self.simulator.control.post("reclaim", instanceId=record.machine.id, noticeSeconds=what.seconds)
            elif what.act == "crash":
                self.simulator.control.post("crash", instanceId=record.machine.id, state="oom", message="out of memory")
            else:
                self.simulator.control.post("console", action=what.act, instanceId=record.machine.id)
        except (LookupError, ValueError, Refused):
            pass

    def _clone(self, machine: CloudId) -> None:
        order = self.simulator.core.machines[machine].order
        self.clones.add(self.simulator.core.create(replace(order, name="a-copy"), self.now()).id)

    def _next_at(self) -> float:
        """When anything happens next by itself."""
        now = self.now()
        times = [turn.next_at() for turn in self.turns.waiting]
        times += [self._began + self._to_come[0].at] if self._to_come else []
        times += [self.elsewhere_until, *(at for at, _ in self._births), self.doorbell.next_at()]
        times += [doorbell.next_at() for doorbell in self._slots.bells.values()]
        times += [self._began + at for cut in self.schedule.parted for at in (cut.at, cut.at + cut.seconds)]
        upcoming = self.simulator.next_at()
        return min((at for at in (*times, upcoming or 0.0) if at > now), default=now + 1)

    def _turn_to(self, at: float) -> None:
        self.simulator.clock.advance(max(0.0, at - self.now()))
        self.simulator.settle()

    async def _end(self) -> None:
        for replica in tuple(self._replicas):
            await self.turns.kill(replica.life)
        await self.turns.kill(self._people)


def is_waiting(record: Record) -> bool:
    """For its recovery, or for its former machine to go."""
    return status(record) is Status.MIGRATING or (record.recovering is not None and record.wants is Wanted.RUNNING)


def makes_twins(schedule: Schedule) -> bool:
    """The cloud itself makes a second machine, or its listing lags longer than a lost create is waited for."""
    if any(what.act == "clone" for what in schedule.outside):
        return True
    lag = TIMING.list_lag_s
    for hazard in schedule.hazards:
        if hazard.trouble is Trouble.TWICE and hazard.op in {"", "create"}:
            return True
        if hazard.trouble is Trouble.STALE:
            lag += hazard.seconds * hazard.times
        if hazard.trouble is Trouble.LATER:
            lag += max(0.0, hazard.seconds - MUTATION_TIMEOUT.total_seconds())
    return lag >= POLICY.settle.total_seconds()
