"""What the rest of the house relies on the work engine for, on a real server."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from novita_gpu.control.bell import NextLook
from novita_gpu.domain.instance import InstanceId
from novita_gpu.work import Work

pytest_plugins = ("tests.valkey",)

ONE = InstanceId("ins_1")
SOON = 15.0


class Passes:
    """Counts passes, and holds each until it is let go."""

    def __init__(self) -> None:
        self.begun: Counter[InstanceId] = Counter()
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.changed = asyncio.Condition()

    async def reconcile(self, instance: InstanceId) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun[instance] += 1
        async with self.changed:
            self.changed.notify_all()
        await self.gate.wait()
        self.at_once -= 1

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON), self.changed:
            await self.changed.wait_for(holds)


class Looks:
    def __init__(self) -> None:
        self.count = 0
        self.first = asyncio.Event()

    async def sweep(self, asked: bool) -> NextLook | None:
        if asked:
            self.count += 1
            self.first.set()
        return NextLook(at=datetime.now(UTC) + timedelta(hours=1))


async def no_mail() -> None:
    return None


def made(url: str, name: str, passes: Passes, looks: Looks | None = None) -> Work:
    work = Work(url, name, moving=timedelta(seconds=1), redelivery=timedelta(seconds=1))
    work.register(reconcile=passes.reconcile, sweep=(looks or Looks()).sweep, drain=no_mail, trim=no_mail)
    return work


@asynccontextmanager
async def working(work: Work) -> AsyncGenerator[None]:
    async with work.open(), work.running():
        yield


async def test_a_ring_runs_a_pass(valkey_url: str, prefix: str) -> None:
    passes = Passes()
    work = made(valkey_url, prefix, passes)
    async with working(work):
        await work.ring(ONE)
        await passes.until(lambda: passes.begun[ONE] == 1)


async def test_rings_during_a_pass_give_exactly_one_more_and_never_two_at_once(valkey_url: str, prefix: str) -> None:
    """N12"""
    passes = Passes()
    work = made(valkey_url, prefix, passes)
    async with working(work):
        passes.gate.clear()
        await work.ring(ONE)
        await passes.until(lambda: passes.begun[ONE] == 1)
        for _ in range(5):
            await work.ring(ONE)
        passes.gate.set()
        await passes.until(lambda: passes.begun[ONE] == 2)
        last = InstanceId("ins_last")
        await work.ring(last)
        await passes.until(lambda: passes.begun[last] == 1)
        assert passes.begun[ONE] == 2
    assert passes.most_at_once == 1


async def test_an_alarm_and_a_ring_do_not_replace_each_other(valkey_url: str, prefix: str) -> None:
    passes = Passes()
    work = made(valkey_url, prefix, passes)
    async with working(work):
        await work.alarm(ONE, datetime.now(UTC) + timedelta(seconds=1))
        await work.ring(ONE)
        await passes.until(lambda: passes.begun[ONE] == 2)


async def test_a_burst_of_instances_is_worked_side_by_side(valkey_url: str, prefix: str) -> None:
    """L1"""
    passes = Passes()
    work = made(valkey_url, prefix, passes)
    async with working(work):
        passes.gate.clear()
        for number in range(200):
            await work.ring(InstanceId(f"ins_{number}"))
        await passes.until(lambda: passes.at_once == 200)
        passes.gate.set()


async def test_however_many_ask_one_slot_has_one_listing(valkey_url: str, prefix: str) -> None:
    """L2"""
    passes, looks = Passes(), Looks()
    work = made(valkey_url, prefix, passes, looks)
    async with work.open():
        at = datetime.now(UTC) + timedelta(milliseconds=10)
        for _ in range(50):
            await work.look(at)
        async with work.running(), asyncio.timeout(SOON):
            await looks.first.wait()
            await work.ring(ONE)
            await passes.until(lambda: passes.begun[ONE] == 1)
    assert looks.count == 1


async def test_a_pass_that_breaks_does_not_stop_the_worker(valkey_url: str, prefix: str) -> None:
    passes = Passes()
    work = Work(valkey_url, prefix, moving=timedelta(seconds=1))

    async def breaks_once(instance: InstanceId) -> None:
        await passes.reconcile(instance)
        if passes.begun[instance] == 1:
            raise RuntimeError("a bug")

    work.register(reconcile=breaks_once, sweep=Looks().sweep, drain=no_mail, trim=no_mail)
    async with working(work):
        await work.ring(ONE)
        await passes.until(lambda: passes.begun[ONE] == 1)
        await work.ring(ONE)
        await passes.until(lambda: passes.begun[ONE] == 2)


KILLED = """
import asyncio, os, signal, sys
from datetime import UTC, datetime, timedelta
from novita_gpu.work import Work

async def dies(instance):
    os.kill(os.getpid(), signal.SIGKILL)

async def sweep(asked):
    return None

async def drain():
    return None

async def main():
    work = Work(sys.argv[1], sys.argv[2], moving=timedelta(seconds=1), redelivery=timedelta(seconds=1))
    work.register(reconcile=dies, sweep=sweep, drain=drain, trim=drain)
    async with work.open(), work.running():
        await work.ring("ins_1")
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_pass_of_a_killed_worker_comes_back(valkey_url: str, prefix: str) -> None:
    """N2: whoever died in the middle of a pass, another worker looks again."""
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, valkey_url, prefix, stdin=subprocess.DEVNULL
    )
    async with asyncio.timeout(SOON):
        assert await killed.wait() == -9
    passes = Passes()
    async with working(made(valkey_url, prefix, passes)):
        await passes.until(lambda: passes.begun[ONE] == 1)
