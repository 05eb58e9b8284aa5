"""The doorbells that `test_doorbell.py` holds to one behaviour, each behind an adapter.

To add one, write a `Doorbell` and give it a name in `DOORBELLS`. Its `passes` are what its rings and looks are
answered by: `passes.reconcile(instance)` is awaited for each pass, `passes.sweep(asked)` for each look at the cloud,
and what `sweep` answers is followed as the work engine follows it. A pass ends when its await ends; `passes.hold()`
keeps it from ending. Nothing is answered outside of `working()`.

Time is the adapter's own. On a real clock `until` and `idle` wait; on a clock turned by hand they turn it to what falls
due next, again and again, and let tasks run in between. Neither may go further than it must: `until` stops at the
moment at which its condition holds, so that `now()` tells when that was.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from novita_gpu.control.bell import Bell, NextLook
from novita_gpu.domain.instance import InstanceId
from novita_gpu.store.pace import LOCAL
from novita_gpu.store.wire import Wire, connect
from novita_gpu.work import Work, Worked, nobody
from tests.prove.doorbell import Doorbell as HandDoorbell
from tests.prove.doorbell import Job

# Of real time, on a busy machine.
SOON = timedelta(seconds=15)
LOOK_EVERY_S = 0.02
# How docket marks what it keeps while a pass over the same instance is under way, or was when its process died.
PUT_BY = "__safeguard__:"


class Passes:
    """Records the passes and looks that were begun, and when; holds passes back from ending."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.begun: dict[InstanceId, list[datetime]] = {}
        self.looks: list[datetime] = []  # those that were asked for
        self.under_way: Counter[InstanceId] = Counter()
        self.most_at_once: Counter[InstanceId] = Counter()
        self._changed = asyncio.Condition()
        self._gate = asyncio.Event()
        self._gate.set()

    def count(self, instance: InstanceId) -> int:
        return len(self.begun.get(instance, ()))

    def hold(self) -> None:
        """No pass ends from here on."""
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    async def reconcile(self, instance: InstanceId) -> None:
        self.begun.setdefault(instance, []).append(self._now())
        self.under_way[instance] += 1
        self.most_at_once[instance] = max(self.most_at_once[instance], self.under_way[instance])
        await self._tell()
        try:
            await self._gate.wait()
        finally:
            self.under_way[instance] -= 1

    async def sweep(self, asked: bool) -> NextLook | None:
        if asked:
            self.looks.append(self._now())
            await self._tell()
        return None

    async def really_until(self, holds: Callable[[], bool]) -> None:
        """On real time; `TimeoutError` when it takes too long."""
        async with asyncio.timeout(SOON.total_seconds()), self._changed:
            await self._changed.wait_for(holds)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Doorbell(Protocol):
    """A doorbell under test.

    `slot`: looks asked for within one such span of time are one look. `redelivery`: when a pass comes back whose
    process was killed. `late_by`: how much later than due anything may begin.
    """

    slot: timedelta
    redelivery: timedelta
    late_by: timedelta
    passes: Passes

    @property
    def bell(self) -> Bell:
        """What a process rings."""
        ...

    def now(self) -> datetime: ...

    def working(self) -> AbstractAsyncContextManager[None]:
        """A process is there that answers, until the context ends."""
        ...

    async def until(self, holds: Callable[[], bool]) -> None:
        """Lets time go on until that holds. Raises when it never will."""
        ...

    async def idle(self) -> None:
        """Lets time go on until nothing that was rung, alarmed or asked for is left. No pass is held meanwhile."""
        ...

    async def dies_in_a_pass(self, instance: InstanceId) -> None:
        """A process of its own rings, begins the pass and is killed in it. Outside of `working()`."""
        ...


@dataclass(frozen=True)
class Kind:
    """How one is opened on a server of its own kind, given a real one's address and a name that no other test has.

    `outlives`: what was rung survives the process that rang.
    """

    open: Callable[[str, str], AbstractAsyncContextManager[Doorbell]]
    outlives: bool


def utc_now() -> datetime:
    return datetime.now(UTC)


Task = Callable[[], Awaitable[None]]


async def nothing() -> None:
    return None


def registered(
    work: Work,
    reconcile: Callable[[InstanceId], Awaitable[None]],
    passes: Passes,
    idle_check: Task = nothing,
    every: timedelta = timedelta(minutes=5),
    safety_net: Task = nothing,
    begun: Task = nothing,
    worked: Worked = nobody,
) -> None:
    """What it rings, with nothing behind the rest."""
    work.register(
        reconcile=reconcile,
        sweep=passes.sweep,
        drain=nothing,
        trim=nothing,
        safety_net=safety_net,
        begun=begun,
        idle_check=idle_check,
        idle_check_every=every,
        worked=worked,
    )


class OnDocket:
    """`novita_gpu.work.Work`, on real time."""

    slot = timedelta(seconds=0.2)
    # Shorter than the event loop of a busy machine may stand still, and passes in hand would be taken for lost.
    redelivery = timedelta(seconds=3)
    late_by = SOON

    def __init__(self, url: str, name: str) -> None:
        self.passes = Passes(utc_now)
        self._url, self._name = url, name
        pace = replace(LOCAL, schedule=self.slot, abandoned=self.redelivery)
        self._work = Work(url, name, moving=self.slot, pace=pace)
        registered(self._work, self.passes.reconcile, self.passes)

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, name: str) -> "AsyncGenerator[OnDocket]":
        doorbell = cls(url, name)
        async with doorbell._work.open():
            yield doorbell

    @property
    def bell(self) -> Work:
        return self._work

    def now(self) -> datetime:
        return utc_now()

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        async with self._work.running():
            try:
                yield
            finally:
                self.passes.let_go()

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.passes.really_until(holds)

    async def idle(self) -> None:
        """Twice in a row: what is moved from one of docket's lists to another between two reads is in neither."""
        async with asyncio.timeout(SOON.total_seconds()):
            empty = 0
            while empty < 2:
                empty = 0 if await self._left() else empty + 1
                await asyncio.sleep(LOOK_EVERY_S)

    async def _left(self) -> list[str]:
        with self._work._in_use() as docket:  # pyright: ignore[reportPrivateUsage]
            seen = await docket.snapshot()
        keys = [execution.key.removeprefix(PUT_BY) for execution in (*seen.future, *seen.running)]
        return [key for key in keys if key.startswith(("bell:", "alarm:", "look:"))]

    async def dies_in_a_pass(self, instance: InstanceId) -> None:
        await dies_in("reconcile", self._url, self._name, instance, self.redelivery)


async def forget_queue(url: str, name: str) -> None:
    """Removes every key of this docket, by name, as if it had been lost."""
    wire = Wire(connect(url))
    try:
        for key in await wire.keys(f"{name}:*"):
            await wire.delete(key.decode())
    finally:
        await wire.close()


async def dies_in(task: str, url: str, name: str, instance: str, redelivery: timedelta) -> None:
    """A worker of its own that is killed in the midst of that task."""
    words = (sys.executable, "-c", DIES, task, url, name, instance, str(redelivery.total_seconds()))
    dying = await asyncio.create_subprocess_exec(*words, stdin=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(SOON.total_seconds()):
            assert await dying.wait() == -9
    finally:
        if dying.returncode is None:
            dying.kill()


DIES = """
import asyncio, os, signal, sys
from datetime import timedelta
from msgspec.structs import replace
from novita_gpu.store.pace import LOCAL
from novita_gpu.work import Work

async def dies(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def nothing(*_):
    return None

async def main(task, url, name, instance, redelivery):
    pace = replace(LOCAL, abandoned=timedelta(seconds=float(redelivery)))
    work = Work(url, name, moving=timedelta(seconds=1), pace=pace)
    tasks = dict.fromkeys(("reconcile", "sweep", "drain", "trim", "safety_net", "begun", "idle_check"), nothing)
    work.register(**{**tasks, task: dies}, idle_check_every=timedelta(minutes=5))
    async with work.open(), work.running():
        await work.ring(instance)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


class ByHand:
    """The doorbell of the search for schedules that break a promise, on a clock turned by hand."""

    slot = timedelta(seconds=2)
    redelivery = LOCAL.abandoned
    late_by = timedelta(0)
    made: type[HandDoorbell] = HandDoorbell

    def __init__(self) -> None:
        self._at = 1_780_000_000.0
        self._doorbell = self.made(lambda: self._at, self.slot.total_seconds())
        self._owner: object | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self.passes = Passes(self.now)

    @classmethod
    @asynccontextmanager
    async def opened(cls, _url: str, _name: str) -> "AsyncGenerator[ByHand]":
        yield cls()

    @property
    def bell(self) -> "ByHand":
        return self

    async def ring(self, instance: InstanceId) -> None:
        self._doorbell.ring(instance)

    async def alarm(self, instance: InstanceId, at: datetime) -> None:
        self._doorbell.alarm(instance, at.timestamp())

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None:
        for instance, at in times.items():
            self._doorbell.alarm(instance, at.timestamp(), anew=anew)

    async def look(self, at: datetime) -> None:
        self._doorbell.look(at.timestamp())

    async def outbox(self) -> None: ...

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._at, UTC)

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        self._owner = object()
        try:
            yield
        finally:
            self._owner = None
            self.passes.let_go()
            await self._stand_still()

    async def until(self, holds: Callable[[], bool]) -> None:
        ends = self._at + 2 * timedelta(hours=1).total_seconds()
        while not await self._came(holds):
            assert self._at < ends, "it never will"
            self._at = self._doorbell.next_at()

    async def idle(self) -> None:
        await self._came(lambda: False)
        while self._doorbell.left():
            self._at = self._doorbell.next_at()
            await self._came(lambda: False)

    async def dies_in_a_pass(self, instance: InstanceId) -> None:
        owner = object()
        self._doorbell.ring(instance)
        assert self._doorbell.take(owner)
        self._doorbell.lapse(owner)

    async def _came(self, holds: Callable[[], bool]) -> bool:
        """Whether it holds before all that is due now has begun, or then."""
        while not holds():
            job = self._doorbell.take(self._owner) if self._owner else None
            if job is None:
                return False
            task = asyncio.ensure_future(self._work(self._owner, job))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
            await self._stand_still()
        return True

    async def _work(self, owner: object, job: Job) -> None:
        if job.asked is None:
            await self.passes.reconcile(InstanceId(job.subject))
        else:
            self._doorbell.follow(await self.passes.sweep(job.asked))
        self._doorbell.done(owner, job)

    async def _stand_still(self) -> None:
        """A pass that is not held is over after a few turns of the loop."""
        for _ in range(20):
            await asyncio.sleep(0)


DOORBELLS = {
    "docket on a server": Kind(OnDocket.opened, outlives=True),
    "docket in memory": Kind(lambda _, name: OnDocket.opened(f"memory://{name}", name), outlives=False),
    "by hand": Kind(ByHand.opened, outlives=True),
}
