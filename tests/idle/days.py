"""One fleet for some days: its people, its machines, and what goes wrong around them. Simulated days take seconds."""

import time
from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta
from itertools import pairwise
from random import Random

from novita_gpu.cloud.simulator.faults import Fault
from novita_gpu.contract import PatchInstance, StartInstance
from novita_gpu.contract.requests import AutoStopRequest
from novita_gpu.domain.errors import Problem
from novita_gpu.domain.events import Event
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.domain.spec import Activity
from tests.idle.roles import HELD_MEMORY, Member, fleet, stretches
from tests.idle.truth import Findings, Happening, Spell, Truth, judge
from tests.valkey import new_prefix
from tests.world import CALLER, Process, World, order

LENGTH: dict[Happening, int] = {"metrics out": 180, "cloud out": 60, "restart": 1, "outage": 45, "jump": 60}
CHECK_MINUTES = 5
# People do not keep step with the clock of the cloud's figures, nor with ours.
STEP_S = (35.0, 85.0)
FAULTS: dict[Happening, Fault] = {
    "metrics out": Fault(kind="500", op="metrics", times=0),
    "cloud out": Fault(kind="503", op="*", times=0),
}


class Fleet:
    """Drives a world minute by minute, and keeps the truth beside it."""

    def __init__(self, world: World, seed: int, days: int) -> None:
        chance = Random(seed)  # noqa: S311 - the same days at each run
        self._world, self._minutes, self._chance = world, days * 24 * 60, chance
        self._members = fleet(chance, days)
        self._truth = {member.name: Truth(member) for member in self._members}
        self._happens = dict(_happenings(chance, self._minutes))
        self._down_until = 0
        self._step = timedelta(minutes=1)
        self._loaded: dict[str, float] = {}
        self._owed: set[str] = set()  # whose heartbeat has not been answered
        self.spells: list[Spell] = []
        self.count: Counter[str] = Counter()

    async def run(self) -> None:
        for member in self._members:
            await self._world.process.commands.create(order(member.name, auto_stop=member.auto_stop), CALLER)
        minute = 0
        while minute < self._minutes:
            self._step = timedelta(seconds=self._chance.uniform(*STEP_S))
            minute += await self._happen(minute)
            for member in self._members:
                await self._use(member, minute)
            await self._pass(minute)
            minute += 1

    async def _happen(self, minute: int) -> int:
        """What begins in this minute; answers by how many minutes the clock has jumped."""
        what = self._happens.get(minute)
        if what is None:
            return 0
        now, world = self._world.now(), self._world
        self.count[what] += 1
        self.spells.append(Spell(what, now, now + timedelta(minutes=LENGTH[what])))
        if what in FAULTS:
            world.simulator.faults.lay([FAULTS[what]])
        elif what == "jump":
            world.turn(LENGTH[what] * 60)
            jumped = min(LENGTH[what], self._minutes - minute - 1)
            for member in self._members:  # who is at work is at work, whatever the clock says
                if self._loaded.get(member.name):
                    self._truth[member.name].busy.append((now, world.now()))
                if any(use.beats for use in member.use[minute + jumped : minute + jumped + 5]):
                    self._truth[member.name].beats.append(world.now())
            return jumped
        else:
            await world.process.end()
            self._down_until = minute + LENGTH[what]
        return 0

    async def _pass(self, minute: int) -> None:
        world = self._world
        ended = [spell.what for spell in self.spells if spell.until <= world.now()]
        for what in set(FAULTS) & set(ended):
            if not any(s.what == what and s.until > world.now() for s in self.spells):
                waiting = world.simulator.faults.waiting
                for armed in [armed for armed in waiting if armed.fault is FAULTS[what]]:
                    waiting.remove(armed)
        if self._is_down(minute):
            world.turn(self._step.total_seconds())
            if minute + 1 == self._down_until:
                world.process = Process(world, world.blade)
            return
        if minute % CHECK_MINUTES == 0:
            await world.process.store.view.load()
            await world.process.idle_check.run()
        await world.passes(minutes=self._step.total_seconds() / 60)

    def _is_down(self, minute: int) -> bool:
        return minute < self._down_until

    async def _use(self, member: Member, minute: int) -> None:
        """What its people and its machine do in this minute."""
        use, truth, now = member.use[minute], self._truth[member.name], self._world.now()
        record = await self._world.record(member.name)
        is_up = status(record) is Status.READY
        self._loaded[member.name] = use.gpu if is_up else 0.0
        if is_up and record.machine:
            self._load(record, use.gpu, HELD_MEMORY if member.role == "idle server" else 20.0)
            if use.gpu:
                truth.busy.append((now, now + self._step))
        if use.beats:
            truth.beats.append(now)
            self._owed.add(member.name)
        if self._is_down(minute):
            return  # what found nobody is sent again
        if member.name in self._owed:
            self._owed.discard(member.name)
            truth.beats.append(now)
            await self._asked(self._world.process.commands.touch(member.name, None))
        if use.wanted and status(record) is Status.STOPPED:
            await self._asked(self._world.process.commands.start(member.name, StartInstance(), CALLER))
        if member.pinned:
            await self._pin(member, minute)

    async def _pin(self, member: Member, minute: int) -> None:
        for begin, end in stretches(member.use):
            if begin == minute:
                until = self._world.now() + timedelta(minutes=end - begin)
                change = PatchInstance(auto_stop=AutoStopRequest(pinned_until=until))
                if await self._asked(self._world.process.commands.patch(member.name, change, CALLER)):
                    self._truth[member.name].pins.append((self._world.now(), until))

    def _load(self, record: Record, gpu: float, memory: float) -> None:
        assert record.machine
        machine = self._world.simulator.core.machines.get(record.machine.id)
        if machine and (not machine.usage or (machine.usage[-1].gpu, machine.usage[-1].gpu_memory) != (gpu, memory)):
            self._world.simulator.control.post("metrics", instanceId=machine.id, gpu=gpu, gpuMemory=memory)

    async def _asked(self, wish: Awaitable[object]) -> bool:
        """Refused is an answer too."""
        try:
            await wish
        except Problem as problem:
            self.count[f"times {problem.code}"] += 1
            return False
        return True

    async def findings(self) -> dict[str, Findings]:
        """By role."""
        events, end = await self._events(), self._world.now()
        found: dict[str, Findings] = {}
        for member in self._members:
            record = await self._world.record(member.name)
            of_role = found.setdefault(member.role, Findings())
            own = [event for event in events if event.instance_id == record.id]
            judge(of_role, self._truth[member.name], own, self.spells, end)
            of_role.instances += 1
            of_role.sessions += sum(1 for _ in stretches(member.use))
            self._judge_readings(of_role, member, record)
        return found

    def _judge_readings(self, found: Findings, member: Member, record: Record) -> None:
        machines = {attempt.machine for attempt in record.attempts}
        times = [c["at"] for c in self._world.received("metrics") if c["query"]["instanceId"] in machines]
        found.readings += len(times)
        if member.activity is Activity.HEARTBEAT and times:
            found.breaks(f"the GPU of {member.name} was read though its policy does not look at it")
        if any(after - before < 119 for before, after in pairwise(times)):
            found.breaks(f"the GPU of {member.name} was read more often than every two minutes")

    async def _events(self) -> list[Event]:
        found: list[Event] = []
        while page := await self._world.outside.events.read(found[-1].sequence if found else 0, 1000):
            found += page
        return found


def _happenings(chance: Random, minutes: int) -> list[tuple[int, Happening]]:
    """One after another, some hours apart."""
    found: list[tuple[int, Happening]] = []
    kinds: list[Happening] = ["metrics out", "cloud out", "restart", "outage", "jump", "restart"]
    at, turn = chance.randint(100, 300), list(kinds)
    while at < minutes - 300:
        if not turn:
            turn = list(kinds)
        what = turn.pop(chance.randrange(len(turn)))
        found.append((at, what))
        at += LENGTH[what] + chance.randint(100, 200)
    return found


async def lived(valkey_url: str, seed: int, days: int) -> tuple[dict[str, Findings], Counter[str], float]:
    """What was found of one fleet, what happened to it, and how many seconds that took."""
    began = time.perf_counter()
    async with World(valkey_url, new_prefix()) as world:
        one = Fleet(world, seed, days)
        await one.run()
        return await one.findings(), one.count, time.perf_counter() - began
