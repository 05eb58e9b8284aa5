"""Keys of the API are stored once, and every process has them in memory; what one created is held by the commit."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec.structs import replace

from novita_gpu.domain.api_key import KeyLimits, Owner
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Record
from novita_gpu.domain.limits import UNLIMITED
from novita_gpu.store import Store, open_store
from novita_gpu.store.api_keys import MOST
from novita_gpu.store.base import Change, Full, OverLimit
from tests.store.cutting import cutting_wire
from tests.store.samples import NOON, after, attempt, closing, creation, new_api_key, new_event, new_record, stop
from tests.store.waiting import until

PRICE = 35_000
RATE = PRICE * 24


@pytest.fixture
async def other(valkey_url: str, prefix: str) -> AsyncGenerator[Store]:
    """The same store, as another replica has it."""
    async with open_store(valkey_url, prefix=prefix) as opened:
        yield opened


async def test_a_key_is_known_to_others_once_the_feed_has_told_and_forgotten_the_same_way(
    store: Store, other: Store
) -> None:
    await other.view.load()
    follower = asyncio.create_task(other.view.follow())
    key = new_api_key()
    await store.api_keys.add(key, new_event(kind=EventType.KEY_CREATED))
    assert store.api_keys.named(key.id) == key
    await until(lambda: other.api_keys.of_digest(key.digest) == key)
    assert await store.api_keys.remove(key.id, new_event(kind=EventType.KEY_REVOKED))
    assert store.api_keys.of_digest(key.digest) is None
    await until(lambda: other.api_keys.named(key.id) is None)
    assert not await store.api_keys.remove(key.id, new_event(kind=EventType.KEY_REVOKED))
    assert [e.type for e in await store.events.read()] == [EventType.KEY_CREATED, EventType.KEY_REVOKED]
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)


async def test_a_lost_answer_makes_no_second_key_and_tells_once(
    valkey_url: str, prefix: str, store: Store, tmp_path: Path
) -> None:
    async with cutting_wire(valkey_url, tmp_path) as (wire, url), open_store(url, prefix=prefix) as far:
        await far.ping()
        wire.lose(1)
        await far.api_keys.add(new_api_key(), new_event(kind=EventType.KEY_CREATED))
        assert wire.lost == 1
    await store.api_keys.load()
    assert (len(store.api_keys.all()), len(await store.events.read())) == (1, 1)


async def test_no_two_keys_have_one_name_and_there_are_no_more_than_there_may_be(store: Store) -> None:
    both = (new_api_key("ci"), new_api_key("ci"))
    answers = await asyncio.gather(*map(store.api_keys.add, both), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["KeyNameTaken", "NoneType"]
    (first,) = store.api_keys.all()
    for _ in range(MOST - 1):
        await store.api_keys.add(new_api_key())
    with pytest.raises(Full):
        await store.api_keys.add(new_api_key())
    await store.api_keys.remove(first.id)
    await store.api_keys.add(new_api_key("ci"))


async def test_uses_are_written_to_the_minute_and_not_for_each_request(store: Store, other: Store) -> None:
    key, gone = new_api_key(), new_api_key()
    for each in (key, gone):
        await store.api_keys.add(each)
        store.api_keys.used(each.id, NOON)
    await store.api_keys.store_uses()
    store.api_keys.used(key.id, after(59))
    await store.api_keys.store_uses()
    assert await other.api_keys.last_uses() == {key.id: NOON, gone.id: NOON}
    assert (await store.api_keys.last_uses())[key.id] == after(59)
    await store.api_keys.remove(gone.id)
    store.api_keys.used(gone.id, after(90))
    store.api_keys.used(key.id, after(60))
    await store.api_keys.store_uses()
    assert await other.api_keys.last_uses() == {key.id: after(60)}


def owner(max_instances: int | None = None, max_burn: int | None = None) -> Owner:
    return Owner(key="key_1", name="ci", limits=KeyLimits(max_instances=max_instances, max_burn=max_burn))


async def made(store: Store, whose: Owner | None) -> Record:
    return await store.records.commit(creation(replace(new_record(), dearest=PRICE, owner=whose), limits=UNLIMITED))


async def test_of_many_creates_at_once_a_key_gets_as_many_as_it_may(store: Store) -> None:
    await made(store, None)
    await made(store, Owner(key="key_2", name="other"))
    answers = await asyncio.gather(*(made(store, owner(max_instances=3)) for _ in range(20)), return_exceptions=True)
    over = [answer for answer in answers if isinstance(answer, OverLimit)]
    assert (len(answers) - len(over), {o.there.instances for o in over}, {o.key for o in over}) == (3, {4}, {"ci"})


async def test_a_key_reserves_no_more_than_it_may_and_what_is_stopped_or_deleted_makes_room(store: Store) -> None:
    limits = owner(max_burn=2 * RATE + RATE // 2)
    first, second = await made(store, limits), await made(store, limits)
    with pytest.raises(OverLimit) as refused:
        await made(store, limits)
    assert refused.value.there.rate == 3 * RATE
    stopped = await store.records.commit(stop(first))
    third = await made(store, limits)
    with pytest.raises(OverLimit):
        again = replace(stopped, wants=second.wants)
        await store.records.commit(Change(before=stopped, after=again, limits=UNLIMITED))
    await store.records.commit(closing(await store.records.commit(stop(third))))
    await store.records.commit(closing(stopped))
    assert {*await store.wire.hgetall(store.keys.owned("key_1"))} == {second.id.encode()}


async def test_a_pass_that_begins_to_spend_is_held_to_the_keys_limits_and_no_other_is(store: Store) -> None:
    record = await made(store, owner(max_burn=RATE))
    dear = attempt(1, "dep/x/1")
    dear = replace(dear, offer=replace(dear.offer, units_per_hour=2 * PRICE))
    change = Change(before=record, after=record.with_attempt(dear), limits=UNLIMITED)
    with pytest.raises(OverLimit):
        await store.records.commit(change)
    await store.records.commit(replace(change, limits=None))
