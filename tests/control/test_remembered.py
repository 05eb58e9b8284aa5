"""What is remembered of the cloud: one fetch however many ask, kept for others, old rather than none."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import pytest

from novita_gpu.cloud.base import NotFound, Unreachable
from novita_gpu.control.remembered import FactKeep, Remembered
from novita_gpu.store import Store, open_store
from tests.domain.given import T0, at
from tests.valkey import new_prefix

TTL = timedelta(seconds=60)


class Fetching:
    """The cloud's side: counts, answers one more each time, or fails."""

    def __init__(self) -> None:
        self.count, self.now = 0, T0
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def fetch(self) -> int:
        self.count += 1
        if self.gate:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        return self.count

    def clock(self) -> datetime:
        return self.now


@pytest.fixture
def cloud() -> Fetching:
    return Fetching()


@pytest.fixture
async def store(valkey_url: str) -> AsyncGenerator[Store]:
    async with open_store(valkey_url, prefix=new_prefix()) as it:
        yield it


def remembered(cloud: Fetching, store: Store | None = None) -> Remembered[int]:
    return Remembered(cloud.fetch, TTL, cloud.clock, FactKeep(store.facts, "number", int) if store else None)


async def settled() -> None:
    """What was begun behind whoever asked has been done."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_fetch_however_many_ask(cloud: Fetching) -> None:
    number = remembered(cloud)
    assert {known.value for known in await asyncio.gather(*(number.fresh() for _ in range(100)))} == {1}
    assert (await number.known()).value == 1


async def test_in_the_second_half_of_its_time_it_is_renewed_behind_whoever_asks(cloud: Fetching) -> None:
    number = remembered(cloud)
    await number.fresh()
    cloud.now = at(29)
    assert (await number.fresh()).value == 1
    await settled()
    assert cloud.count == 1
    cloud.now, cloud.gate = at(31), asyncio.Event()
    assert (await number.fresh()).value == 1
    await settled()
    assert cloud.count == 2
    cloud.gate.set()
    await settled()
    assert ((await number.fresh()).value, cloud.count) == (2, 2)


async def test_after_its_time_whoever_asks_waits_for_a_new_one(cloud: Fetching) -> None:
    number = remembered(cloud)
    await number.fresh()
    cloud.now = at(60)
    assert (await number.fresh()).value == 2


async def test_an_old_one_is_told_with_its_age_where_there_is_no_newer(cloud: Fetching) -> None:
    number = remembered(cloud)
    await number.fresh()
    cloud.now, cloud.fault = at(3600), Unreachable("away")
    known = await number.known()
    assert (known.value, known.at, known.fault) == (1, T0, "away")
    with pytest.raises(Unreachable):
        await number.fresh()
    cloud.fault = None
    assert ((await number.known()).value, (await number.known()).fault) == (4, "")


async def test_without_any_the_fault_is_raised(cloud: Fetching) -> None:
    cloud.fault = Unreachable("away")
    with pytest.raises(Unreachable):
        await remembered(cloud).known()


async def test_what_is_not_there_any_more_is_not_told_from_memory(cloud: Fetching) -> None:
    number = remembered(cloud)
    await number.fresh()
    cloud.now, cloud.fault = at(60), NotFound("gone")
    with pytest.raises(NotFound):
        await number.known()


async def test_a_renewal_that_failed_behind_does_no_harm_and_is_tried_again(cloud: Fetching) -> None:
    number = remembered(cloud)
    await number.fresh()
    cloud.now, cloud.fault = at(31), Unreachable("away")
    assert (await number.fresh()).value == 1
    await settled()
    cloud.fault = None
    assert (await number.fresh()).value == 1
    await settled()
    assert (await number.fresh()).value == 3


async def test_another_process_starts_with_what_is_kept(cloud: Fetching, store: Store) -> None:
    await remembered(cloud, store).fresh()
    cloud.now = at(20)
    other = remembered(cloud, store)
    assert (await other.fresh()).value == 1
    assert cloud.count == 1
    cloud.now, cloud.fault = at(3600), Unreachable("away")
    old = await remembered(cloud, store).known()
    assert (old.value, old.at, old.fault) == (1, T0, "away")


async def test_what_is_known_to_be_wrong_is_asked_for_anew(cloud: Fetching, store: Store) -> None:
    number = remembered(cloud, store)
    await number.fresh()
    number.forget()
    assert (await number.fresh()).value == 2


async def test_what_was_forgotten_while_it_was_fetched_is_fetched_again(cloud: Fetching) -> None:
    number, cloud.gate = remembered(cloud), asyncio.Event()
    asking = asyncio.ensure_future(number.fresh())
    await settled()
    number.forget()
    cloud.gate.set()
    assert ((await asking).value, cloud.count) == (2, 2)


async def test_what_a_clock_ahead_kept_is_of_no_known_age(cloud: Fetching, store: Store) -> None:
    cloud.now = at(3600)
    await remembered(cloud, store).fresh()
    cloud.now = at(0)
    assert (await remembered(cloud, store).fresh()).value == 2


async def test_what_another_version_kept_is_passed_over(cloud: Fetching, store: Store) -> None:
    await store.facts.put("catalogue:number", '{"value":"text","at":"2026-01-01T00:00:00Z"}')
    assert (await remembered(cloud, store).fresh()).value == 1


async def test_a_store_that_is_away_keeps_nothing_and_breaks_nothing(cloud: Fetching, tmp_path: object) -> None:
    async with open_store(f"unix://{tmp_path}/nobody") as away:
        assert (await remembered(cloud, away).fresh()).value == 1
