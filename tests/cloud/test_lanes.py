"""Permits: one place for one mutation or look, no lane waiting for another, nothing held up between intent and call."""

import asyncio
from datetime import timedelta

import pytest
from canned import KEY, HandClock, empty, machine, novita, ok, order, refused

from novita_gpu.cloud.base import Lane, Throttled, Unreachable
from novita_gpu.cloud.lanes import SLOTS
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import Request, Response
from novita_gpu.domain.instance import CloudId

M = CloudId("m1")


class Gate:
    """A transport whose calls wait until the gate is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.arrived: list[str] = []

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        self.arrived.append(request.url.rsplit("/", 1)[1])
        if not request.url.endswith(("stop", "delete")):
            await self.open.wait()
        return ok({"id": "abc", "instances": [], "total": 0})

    async def close(self) -> None: ...


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_stops_do_not_wait_behind_creates_and_listings() -> None:
    gate = Gate()
    cloud = Novita(KEY, transport=gate, calls_per_minute=0)
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(cloud.create(order(), send_by=float("inf")))
            group.create_task(cloud.listing())
        await turns()
        assert gate.arrived.count("create") == SLOTS[Lane.SPENDING]
        assert gate.arrived.count("instances") == SLOTS[Lane.LOOKING]
        await cloud.stop(M)
        await cloud.delete(M)
        gate.open.set()
    assert gate.arrived.count("create") == 50


async def test_a_permit_pays_for_the_call_inside_it() -> None:
    cloud, _ = novita([empty()], calls_per_minute=100)
    async with cloud.permit(Lane.SAVING):
        await cloud.stop(M)
    assert cloud.budget.used_last_minute == 1


async def test_calls_inside_a_permit_are_never_refused_and_are_counted() -> None:
    cloud, _ = novita([ok(machine(1))], calls_per_minute=10)
    async with cloud.permit(Lane.SPENDING):
        for _ in range(20):
            await cloud.get(M)
    assert cloud.budget.used_last_minute == 20
    with pytest.raises(Throttled):
        await cloud.get(M)


async def test_calls_inside_a_permit_take_no_further_place() -> None:
    """With every slot taken, each holder can still make its call."""
    cloud, _ = novita([ok({"id": "abc"})])

    async def launch() -> str:
        async with cloud.permit(Lane.SPENDING):
            await turns(3)
            return await cloud.create(order(), send_by=2000)

    async with asyncio.timeout(5):
        made = await asyncio.gather(*(launch() for _ in range(100)))
    assert made == ["abc"] * 100


async def test_a_call_in_a_task_begun_inside_counts_as_inside_while_the_permit_lasts() -> None:
    cloud, _ = novita([ok(machine(1))], calls_per_minute=10)
    async with cloud.permit(Lane.LOOKING):
        await asyncio.wait_for(cloud.get(M), 5)
        later = asyncio.create_task(cloud.get(M))
    assert cloud.budget.used_last_minute == 1
    await later
    assert cloud.budget.used_last_minute == 2


async def test_a_task_that_outlives_its_permit_takes_a_place_of_its_own() -> None:
    cloud, _ = novita([ok(machine(1))], calls_per_minute=2)
    ended = asyncio.Event()

    async def later() -> None:
        await ended.wait()
        await cloud.get(M)

    async with cloud.permit(Lane.SAVING):
        task = asyncio.create_task(later())
        await turns()
    async with cloud.permit(Lane.SAVING):
        pass
    ended.set()
    with pytest.raises(Throttled):
        await task


async def test_a_permit_is_refused_at_once_when_the_budget_is_out() -> None:
    clock = HandClock()
    cloud, transport = novita([ok({"data": []})], clock, calls_per_minute=10)
    for _ in range(9):
        await cloud.clusters()
    with pytest.raises(Throttled) as caught:
        async with cloud.permit(Lane.SPENDING):
            raise AssertionError("not to be entered")
    assert caught.value.retry_after == timedelta(seconds=6)
    with pytest.raises(Throttled):
        await cloud.clusters()
    async with cloud.permit(Lane.SAVING):
        pass
    assert (len(transport.requests), clock.slept) == (9, [])


async def test_a_refused_or_cancelled_permit_leaves_its_slot() -> None:
    cloud, _ = novita([ok({"data": []})])
    for _ in range(3 * SLOTS[Lane.SAVING]):
        with pytest.raises(ZeroDivisionError):
            async with cloud.permit(Lane.SAVING):
                raise ZeroDivisionError
    holding = [asyncio.create_task(_hold(cloud)) for _ in range(3 * SLOTS[Lane.SAVING])]
    await turns()
    for task in holding:
        task.cancel()
    await asyncio.gather(*holding, return_exceptions=True)
    async with asyncio.timeout(1), cloud.permit(Lane.SAVING):
        pass


async def _hold(cloud: Novita) -> None:
    async with cloud.permit(Lane.SAVING):
        await asyncio.Event().wait()


async def test_listings_count_one_call_a_page_and_retries_count_too() -> None:
    def answer(request: Request) -> Response:
        number = int(dict(request.query)["pageNum"])
        return ok({"instances": [machine(number)], "total": 3})

    cloud, _ = novita(answer, calls_per_minute=100)
    await cloud.listing()
    assert cloud.budget.used_last_minute == 3
    failing, _ = novita([refused(500)], calls_per_minute=100)
    with pytest.raises(Unreachable):
        await failing.listing()
    assert failing.budget.used_last_minute == 3


async def test_a_listing_let_in_is_read_to_its_end() -> None:
    def answer(request: Request) -> Response:
        number = int(dict(request.query)["pageNum"])
        return ok({"instances": [machine(number)], "total": 20})

    cloud, _ = novita(answer, calls_per_minute=10)
    assert (await cloud.listing()).complete


async def test_two_clouds_do_not_share_a_permit() -> None:
    first, _ = novita([ok({"data": []})], calls_per_minute=10)
    second, _ = novita([ok({"data": []})], calls_per_minute=10)
    async with first.permit(Lane.LOOKING):
        await second.clusters()
    assert (first.budget.used_last_minute, second.budget.used_last_minute) == (1, 1)
