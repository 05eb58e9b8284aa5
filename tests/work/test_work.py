"""What docket alone is relied on for, on a real server. What holds for every doorbell is in `test_doorbell.py`."""

import asyncio
import gc
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec.structs import replace

from novita_gpu.control.signs import Depth
from novita_gpu.domain.instance import InstanceId
from novita_gpu.store.local import find_server
from novita_gpu.store.pace import LOCAL, PACES
from novita_gpu.work import Work
from tests.chaos.processes import free_port
from tests.server.line import line_to
from tests.valkey import running_server
from tests.work.adapters import SOON, OnDocket, Passes, dies_in, forget_queue, registered, utc_now

ONE = InstanceId("ins_1")
MANY = 200


async def test_a_burst_of_instances_is_worked_side_by_side(valkey_url: str, prefix: str) -> None:
    """L1: far more than docket has connections for by itself."""
    async with OnDocket.opened(valkey_url, prefix) as doorbell, doorbell.working():
        passes = doorbell.passes
        passes.hold()
        for number in range(MANY):
            await doorbell.bell.ring(InstanceId(f"ins_{number}"))
        await doorbell.until(lambda: passes.under_way.total() == MANY)


async def test_a_pass_that_breaks_does_not_stop_the_worker(valkey_url: str, prefix: str) -> None:
    passes = Passes(utc_now)
    work = Work(valkey_url, prefix, moving=timedelta(seconds=1))

    async def breaks_once(instance: InstanceId) -> None:
        await passes.reconcile(instance)
        if passes.count(instance) == 1:
            raise RuntimeError("a bug")

    registered(work, breaks_once, passes)
    async with work.open(), work.running():
        for number in (1, 2):
            await work.ring(ONE)
            await passes.really_until(lambda wanted=number: passes.count(ONE) == wanted)


async def test_it_tells_how_deep_the_queue_is_and_whether_a_worker_runs(valkey_url: str, prefix: str) -> None:
    passes, work = Passes(utc_now), Work(valkey_url, prefix, moving=timedelta(seconds=1))
    registered(work, passes.reconcile, passes)
    async with work.open():
        assert not work.answers
        assert await work.depth() == Depth()
        begun, later = utc_now(), utc_now() + timedelta(hours=1)
        await work.ring(ONE)
        await work.alarm(ONE, later)
        deep = await work.depth()
        assert (deep.size, deep.due_at) == (1, later)
        assert deep.oldest_at
        assert abs(deep.oldest_at - begun) < timedelta(seconds=5)
        async with work.running():
            assert work.answers
            await passes.really_until(lambda: passes.count(ONE) == 1)
        assert not work.answers


async def test_each_job_is_told_of_with_what_came_of_it(valkey_url: str, prefix: str) -> None:
    passes, work, told = (
        Passes(utc_now),
        Work(valkey_url, prefix, moving=timedelta(seconds=1)),
        list[tuple[str, bool]](),
    )

    async def breaks(instance: InstanceId) -> None:
        await passes.reconcile(instance)
        raise RuntimeError("a bug")

    def worked(job: str, seconds: float, /, *, failed: bool = False, again: bool = False) -> None:
        if job == "reconcile":
            told.append((job, failed))

    registered(work, breaks, passes, worked=worked)
    async with work.open(), work.running():
        await work.ring(ONE)
        await passes.really_until(lambda: passes.count(ONE) == 1)
    assert told == [("reconcile", True)]  # a worker that stops ends what it has begun


async def test_a_ring_on_a_server_that_is_gone_is_lost_and_fails_nobody(prefix: str) -> None:
    """What was wished is stored by then; an error would deny it."""
    passes, at = Passes(utc_now), utc_now() + timedelta(seconds=1)
    async with AsyncExitStack() as until_the_end:
        with running_server(find_server()) as url:
            work = Work(url, prefix, moving=timedelta(seconds=1))
            registered(work, passes.reconcile, passes)
            await until_the_end.enter_async_context(work.open())
            await work.ring(ONE)
        for ring in (work.ring(ONE), work.alarm(ONE, at), work.look(at), work.outbox()):
            await ring


async def test_a_stop_lets_the_pass_under_way_end(valkey_url: str, prefix: str) -> None:
    passes = Passes(utc_now)
    work = Work(valkey_url, prefix, moving=timedelta(seconds=1))
    ended = asyncio.Event()

    async def takes_its_time(instance: InstanceId) -> None:
        await passes.reconcile(instance)
        ended.set()

    registered(work, takes_its_time, passes)
    passes.hold()
    async with work.open():
        async with work.running():
            await work.ring(ONE)
            await passes.really_until(lambda: passes.count(ONE) == 1)
            asyncio.get_running_loop().call_later(0.3, passes.let_go)
        assert ended.is_set()


async def test_a_pass_that_does_not_end_is_cut_off_at_a_stop_and_another_worker_does_it(
    valkey_url: str, prefix: str
) -> None:
    passes = Passes(utc_now)
    work = Work(valkey_url, prefix, moving=timedelta(seconds=1), pace=replace(LOCAL, abandoned=timedelta(seconds=1)))
    registered(work, passes.reconcile, passes)
    passes.hold()
    async with work.open():
        async with asyncio.timeout(SOON.total_seconds()):
            async with work.running(finish_within=timedelta(seconds=0.2)):
                await work.ring(ONE)
                await passes.really_until(lambda: passes.count(ONE) == 1)
            assert passes.under_way[ONE] == 0
        passes.let_go()
        async with work.running():
            await passes.really_until(lambda: passes.count(ONE) == 2)


class Checks:
    """Counts the checks that were begun, and how many were under way at once."""

    def __init__(self) -> None:
        self.begun: list[datetime] = []
        self.most = self._under_way = 0
        self._arrived = asyncio.Semaphore(0)

    async def run(self) -> None:
        self.begun.append(utc_now())
        self._arrived.release()
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(0)
        self._under_way -= 1

    async def come(self, count: int) -> None:
        async with asyncio.timeout(SOON.total_seconds()):
            for _ in range(count):
                await self._arrived.acquire()


async def test_of_two_workers_one_checks_each_time(valkey_url: str, prefix: str) -> None:
    checks, passes, every = Checks(), Passes(utc_now), timedelta(seconds=0.5)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            pace = replace(LOCAL, schedule=timedelta(seconds=0.1))
            work = Work(valkey_url, prefix, moving=timedelta(seconds=0.1), pace=pace)
            registered(work, passes.reconcile, passes, checks.run, every)
            await stack.enter_async_context(work.open())
            await stack.enter_async_context(work.running())
        await checks.come(6)
    assert checks.most == 1
    assert min(after - before for before, after in pairwise(checks.begun)) > every / 2


async def test_n20_a_check_whose_process_was_killed_in_it_is_made_by_the_next_within_a_minute(
    valkey_url: str, prefix: str
) -> None:
    """Its task comes back after the redelivery time, though the next check is minutes away."""
    checks, passes, redelivery = Checks(), Passes(utc_now), timedelta(seconds=1)
    await dies_in("idle_check", valkey_url, prefix, ONE, redelivery)
    work = Work(valkey_url, prefix, moving=timedelta(seconds=0.1), pace=replace(LOCAL, abandoned=redelivery))
    registered(work, passes.reconcile, passes, checks.run)
    async with work.open(), work.running():
        await checks.come(1)
    assert all(pace.back_within <= timedelta(minutes=1) for pace in PACES.values())


async def test_a_queue_that_was_lost_is_noticed_and_begun_anew(valkey_url: str, prefix: str) -> None:
    """What was in it is lost; who has begun it anew rings for what is due, and the timers go on."""
    passes, begun = Passes(utc_now), asyncio.Semaphore(0)

    async def begins() -> None:
        begun.release()

    work = Work(valkey_url, prefix, moving=timedelta(seconds=0.1))
    registered(work, passes.reconcile, passes, begun=begins)
    async with work.open(), work.running(), asyncio.timeout(SOON.total_seconds()):
        await begun.acquire()
        for _ in range(2):
            await work.alarm(ONE, utc_now() + timedelta(hours=1))
            await forget_queue(valkey_url, prefix)
            await begun.acquire()
            with work._in_use() as docket:  # pyright: ignore[reportPrivateUsage]
                assert await docket.get_execution(f"alarm:{ONE}") is None
        await work.ring(ONE)
        await passes.really_until(lambda: passes.count(ONE) == 1)
    assert begun.locked(), "a queue that is there is not begun anew"


async def test_a_queue_of_which_a_part_was_lost_is_begun_anew(valkey_url: str, prefix: str) -> None:
    """N20: what says that a timer is there may outlive the timer itself."""
    passes, begun = Passes(utc_now), asyncio.Semaphore(0)

    async def begins() -> None:
        begun.release()

    pace = replace(LOCAL, abandoned=timedelta(seconds=1), schedule=timedelta(seconds=0.2))
    work = Work(valkey_url, prefix, moving=timedelta(seconds=0.1), pace=pace)
    registered(work, passes.reconcile, passes, begun=begins, every=timedelta(seconds=1))
    async with work.open(), work.running(), asyncio.timeout(SOON.total_seconds()):
        await begun.acquire()
        with work._in_use() as docket:  # pyright: ignore[reportPrivateUsage]
            async with docket.redis() as queue:
                soon = utc_now() + timedelta(seconds=1)
                for timer in ("safety_net", "idle_check", "trim"):
                    await docket.replace(timer, soon, timer)()
                await queue.delete(docket.queue_key)
        await begun.acquire()


async def test_a_server_is_left_when_whoever_asks_it_has_the_answer(prefix: str) -> None:
    """Else its connection would be made anew, in a pool that is closed, and stay open."""
    port = free_port()
    with running_server(find_server(), "--port", str(port), "--bind", "127.0.0.1"):
        async with line_to("127.0.0.1", port) as (line, held_at):
            passes, work = Passes(utc_now), Work(f"redis://127.0.0.1:{held_at}/0", prefix, moving=timedelta(seconds=1))
            registered(work, passes.reconcile, passes)
            async with work.open():
                line.hold()
                asked = asyncio.create_task(work.depth())
                turning = asyncio.create_task(work.turn_to(f"redis://127.0.0.1:{port}/0"))
                await asyncio.wait((asked, turning), timeout=0.5)  # what must not have happened by then
                line.go_on()
                assert await asked == Depth()
                await turning
    gc.collect()
