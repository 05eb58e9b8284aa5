"""Registered receivers are stored under a guard, and each stretch of the log is told to each of them once."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Full, Stale, addressed
from novita_gpu.store.endpoints import MOST
from tests.store.cutting import cutting_wire
from tests.store.samples import NOON, new_endpoint, new_event


async def test_endpoints_are_kept_and_removed(store: Store) -> None:
    one, two = await store.endpoints.add(new_endpoint()), await store.endpoints.add(new_endpoint())
    assert await store.endpoints.all() == [one, two]
    assert await store.endpoints.load(two.id) == two
    assert await store.endpoints.remove(one.id)
    assert not await store.endpoints.remove(one.id)
    assert await store.endpoints.all() == [two]
    assert await store.endpoints.load(one.id) is None


async def test_there_are_no_more_than_there_may_be(store: Store) -> None:
    last = await store.endpoints.add(new_endpoint())
    for _ in range(MOST - 1):
        await store.endpoints.add(new_endpoint())
    with pytest.raises(Full):
        await store.endpoints.add(new_endpoint())
    assert await store.endpoints.add(last) == last, "the same again is no other"


async def test_of_two_who_change_one_at_once_one_does(store: Store) -> None:
    endpoint = await store.endpoints.add(new_endpoint())
    changed = await store.endpoints.save(replace(endpoint, enabled=False))
    assert (changed.revision, await store.endpoints.load(endpoint.id)) == (endpoint.revision + 1, changed)
    with pytest.raises(Stale):
        await store.endpoints.save(replace(endpoint, url="https://other.example/"))
    await store.endpoints.remove(endpoint.id)
    with pytest.raises(Stale):
        await store.endpoints.save(changed)


async def test_a_change_and_its_event_are_one_write_also_when_its_answer_is_lost(
    valkey_url: str, prefix: str, store: Store, tmp_path: Path
) -> None:
    endpoint = await store.endpoints.add(new_endpoint())
    async with cutting_wire(valkey_url, tmp_path) as (wire, url), open_store(url, prefix=prefix) as far:
        await far.ping()
        wire.lose(1)
        told = new_event(kind=EventType.ENDPOINT_OFF)
        assert (await far.endpoints.save(replace(endpoint, enabled=False), told)).revision == 2
        assert wire.lost == 1
    assert [event.id for event in await store.events.read(type=EventType.ENDPOINT_OFF)] == [told.id]
    assert (await store.feed.position()).number == 1
    with pytest.raises(Stale):
        await store.endpoints.save(endpoint, new_event(kind=EventType.ENDPOINT_OFF))
    assert await store.events.last_sequence() == 1


async def test_a_new_one_begins_with_what_happens_after_it(store: Store) -> None:
    assert await store.endpoints.told() == {}
    first = await store.endpoints.add(new_endpoint())
    await store.events.append(new_event())
    second = await store.endpoints.add(new_endpoint())
    assert await store.endpoints.told() == {first.id: 0, second.id: 1}


async def test_t9_of_many_who_bring_the_same_stretch_of_the_log_one_does(store: Store) -> None:
    endpoint = await store.endpoints.add(new_endpoint())
    events = [await store.events.append(new_event()) for _ in range(3)]
    deliveries = [addressed(event, endpoint.url, endpoint.id) for event in events]
    told = await asyncio.gather(*(store.endpoints.tell(endpoint.id, 0, 3, deliveries) for _ in range(8)))
    assert sum(told) == 1
    page, _ = await store.deliveries.newest()
    assert [delivery.sequence for delivery in page] == [3, 2, 1]
    assert {delivery.endpoint_id for delivery in page} == {endpoint.id}
    assert await store.endpoints.told() == {endpoint.id: 3}
    assert len(await store.deliveries.first_of({"endpoint.example": 9}, NOON)) == 3


async def test_what_was_removed_is_told_nothing(store: Store) -> None:
    endpoint = await store.endpoints.add(new_endpoint())
    event = await store.events.append(new_event())
    await store.endpoints.remove(endpoint.id)
    assert not await store.endpoints.tell(endpoint.id, 0, 1, [addressed(event, endpoint.url, endpoint.id)])
    assert await store.deliveries.newest() == ([], None)
    assert await store.wire.ttl_ms(store.keys.endpoint(endpoint.id)) == -2, "and does not come back"
