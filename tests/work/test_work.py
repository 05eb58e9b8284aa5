"""What docket alone is relied on for, on a real server. What holds for every doorbell is in `test_doorbell.py`."""

from contextlib import AsyncExitStack
from datetime import timedelta

from novita_gpu.domain.instance import InstanceId
from novita_gpu.store.local import find_server
from novita_gpu.work import Work
from tests.valkey import running_server
from tests.work.adapters import OnDocket, Passes, nothing, utc_now

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

    work.register(reconcile=breaks_once, sweep=passes.sweep, drain=nothing, trim=nothing)
    async with work.open(), work.running():
        for number in (1, 2):
            await work.ring(ONE)
            await passes.really_until(lambda wanted=number: passes.count(ONE) == wanted)


async def test_a_ring_on_a_server_that_is_gone_is_lost_and_fails_nobody(prefix: str) -> None:
    """What was wished is stored by then; an error would deny it."""
    passes, at = Passes(utc_now), utc_now() + timedelta(seconds=1)
    async with AsyncExitStack() as until_the_end:
        with running_server(find_server()) as url:
            work = Work(url, prefix, moving=timedelta(seconds=1))
            work.register(reconcile=passes.reconcile, sweep=passes.sweep, drain=nothing, trim=nothing)
            await until_the_end.enter_async_context(work.open())
            await work.ring(ONE)
        for ring in (work.ring(ONE), work.alarm(ONE, at), work.look(at), work.outbox()):
            await ring
