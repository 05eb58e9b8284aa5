"""Deliveries are open until they end, and end once."""

import asyncio
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.store import Store
from novita_gpu.store.base import Delivery, Stale, Try
from tests.store.samples import NOON, after, new_delivery, new_event


async def added(store: Store, due_s: float = 0, **fields: str) -> Delivery:
    event = await store.events.append(new_event(kind=EventType.WEBHOOK_TEST))
    delivery = new_delivery(event, due=after(due_s), sequence=event.sequence, **fields)
    assert await store.deliveries.add(delivery)
    found = await store.deliveries.load(delivery.id)
    assert found
    return found


async def due(store: Store, at: datetime, limit: int = 100) -> list[Delivery]:
    """What a sender finds that has so many places for each receiver."""
    return await store.deliveries.first_of(dict.fromkeys(await store.deliveries.hosts_due(at), limit), at)


async def test_what_is_due_comes_first_in_time_order(store: Store) -> None:
    late, early, future = await added(store, 5), await added(store, 1), await added(store, 60)
    assert await due(store, after(10)) == [early, late]
    assert await due(store, after(10), limit=1) == [early]
    assert await store.deliveries.next_due_at() == early.due
    assert future not in await due(store, after(59.9))


async def test_nothing_open_is_due_at_no_time(store: Store) -> None:
    assert await store.deliveries.next_due_at() is None
    assert await due(store, NOON) == []
    assert await store.deliveries.load("nobody") is None


async def test_each_receiver_has_a_queue_of_its_own(store: Store) -> None:
    busy = [await added(store, n, url=f"https://busy.example/{n}") for n in range(3)]
    quick = await added(store, 9, url="https://QUICK.example/")
    assert await store.deliveries.hosts_due(after(10)) == ["busy.example", "quick.example"]
    assert await store.deliveries.hosts_due(after(1)) == ["busy.example"]
    assert await due(store, after(10), limit=2) == [*busy[:2], quick]
    assert await store.deliveries.first_of({"quick.example": 4, "nobody.example": 4}, after(10)) == [quick]


async def test_nothing_is_due_for_a_receiver_that_rests(store: Store) -> None:
    tired, other = await added(store, url="https://tired.example/"), await added(store, 1)
    await store.deliveries.save(replace(tired, due=after(5)), rest=after(60))
    await store.deliveries.save(replace(await added(store, url="https://tired.example/"), due=NOON), rest=after(30))
    newest = await added(store, 2, url="https://tired.example/")
    assert await store.deliveries.hosts_due(after(59)) == [other.host]
    await store.deliveries.save(replace(other, state="delivered"))
    assert await store.deliveries.next_due_at() == after(60)
    assert await store.deliveries.hosts_due(after(60)) == [newest.host]


async def test_a_known_delivery_is_not_added_again(store: Store) -> None:
    delivery = await added(store)
    assert not await store.deliveries.add(replace(delivery, url="https://other.example"))
    assert await store.deliveries.load(delivery.id) == delivery


async def test_t9_one_of_two_senders_takes_a_due_delivery(store: Store) -> None:
    delivery = await added(store)

    async def take() -> bool:
        try:
            await store.deliveries.save(replace(delivery, due=after(30)))
        except Stale:
            return False
        return True

    assert sum(await asyncio.gather(*(take() for _ in range(10)))) == 1
    assert await due(store, NOON) == []


async def test_it_ends_once_and_expires_then(store: Store) -> None:
    delivery = await added(store)
    key = store.keys.delivery(delivery.id)
    assert await store.wire.ttl_ms(key) == -1
    tried = replace(delivery, tries=(Try(at=NOON, duration_ms=12, status_code=204),), state="delivered")
    ended = await store.deliveries.save(tried)
    assert (ended.revision, await store.deliveries.load(delivery.id)) == (delivery.revision + 1, ended)
    with pytest.raises(Stale):
        await store.deliveries.save(replace(delivery, state="exhausted"))
    assert await store.deliveries.next_due_at() is None
    assert 0 < await store.wire.ttl_ms(key) <= timedelta(days=30).total_seconds() * 1000


async def test_an_ended_one_is_sent_again_on_request(store: Store) -> None:
    ended = await store.deliveries.save(replace(await added(store), state="exhausted"))
    again = await store.deliveries.save(replace(ended, state="pending", due=after(1)))
    assert await due(store, after(1)) == [again]
    assert await store.wire.ttl_ms(store.keys.delivery(again.id)) == -1


async def test_what_was_never_stored_cannot_be_saved(store: Store) -> None:
    with pytest.raises(Stale):
        await store.deliveries.save(new_delivery(new_event()))


async def test_pages_go_from_the_newest_to_the_oldest(store: Store) -> None:
    stored = [await added(store) for _ in range(5)]
    page, cursor = await store.deliveries.newest(2)
    assert page == stored[:2:-1]
    await added(store)
    page, cursor = await store.deliveries.newest(2, cursor)
    assert page == stored[2:0:-1]
    assert await store.deliveries.newest(2, cursor) == (stored[:1], None)


async def test_expired_ones_leave_the_list_when_trimmed(store: Store) -> None:
    gone, left = await added(store), await added(store)
    await store.wire.delete(store.keys.delivery(gone.id))
    assert await store.deliveries.newest() == ([left], None)
    assert await store.deliveries.trim() == 1
    assert await store.deliveries.trim() == 0
    assert await store.wire.zrange(store.keys.deliveries(), 0, -1) == [left.id.encode()]
