"""What reads are answered from: everything in memory, kept true by the feed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from novita_gpu.domain.api_key import ApiKey
from novita_gpu.domain.instance import CloudId, InstanceId
from novita_gpu.store import Store, open_store
from novita_gpu.store.api_keys import ApiKeys
from novita_gpu.store.base import Change, Unavailable
from novita_gpu.store.feed import INCARNATION, Feed, News
from novita_gpu.store.index import Filter
from novita_gpu.store.records import Records
from novita_gpu.store.view import LAST_PAUSE_S, MISSES_PER_SECOND, View
from novita_gpu.store.wire import BLOCK_AT_MOST_S, connect
from tests.store.samples import (
    NOON,
    LaterRecords,
    after,
    closing,
    creation,
    machine,
    new_api_key,
    new_event,
    new_record,
    renewal,
)
from tests.store.waiting import soon, until
from tests.valkey import forget


@asynccontextmanager
async def following(store: Store) -> AsyncGenerator[View]:
    """The store's view, loaded and followed."""
    await store.view.load()
    follower = asyncio.create_task(store.view.follow())
    try:
        yield store.view
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


@pytest.fixture
async def other(valkey_url: str, prefix: str) -> AsyncGenerator[Store]:
    """The same store, as another replica has it."""
    async with open_store(valkey_url, prefix=prefix) as opened:
        yield opened


async def test_own_commits_are_read_at_once(store: Store) -> None:
    record = await store.records.commit(creation(new_record("trainer", machine=machine("m1"))))
    view = store.view
    assert view.get(record.id) == record
    assert view.by_name("trainer") == record
    assert view.by_machine(CloudId("m1")) == record
    assert [view.resolve(text) for text in (record.id, "m1", "trainer", "x")] == [record, record, record, None]
    assert view.all() == [record]
    newer = await store.records.commit(renewal(record))
    assert view.get(record.id) == newer


async def test_a_view_loads_living_and_closed_records_and_activities(store: Store, other: Store) -> None:
    living = await other.records.commit(creation(new_record()))
    await other.records.touch(living.id, after(5))
    closed = await other.records.commit(closing(await other.records.commit(creation(new_record("gone")))))
    await other.events.append(new_event())
    assert not store.view.loaded
    await store.view.load()
    assert store.view.loaded
    assert sorted(record.id for record in store.view.all()) == sorted([living.id, closed.id])
    assert store.view.by_name("gone") == closed
    assert store.view.activity(living.id) == after(5)
    assert store.view.sequence == 1


async def test_whoever_waits_for_the_first_load_has_everything_then(store: Store, other: Store) -> None:
    record = await other.records.commit(creation(new_record("first")))
    waiting = asyncio.create_task(store.view.first_load())
    await asyncio.sleep(0)
    assert not waiting.done()
    await store.view.load()
    await soon(waiting)
    assert store.view.all() == [record]
    await store.view.first_load()


async def test_commits_of_another_replica_arrive(store: Store, other: Store) -> None:
    async with following(store) as view:
        record = await other.records.commit(creation(new_record()))
        assert await soon(view.changed(record.id, 0)) == record
        newer = await other.records.commit(renewal(record))
        assert await soon(view.changed(record.id, record.revision)) == newer
        assert view.lag == 0


async def test_heartbeats_and_events_of_another_replica_arrive(store: Store, other: Store) -> None:
    async with following(store) as view:
        record = await other.records.commit(creation(new_record()))
        await other.records.touch(record.id, after(7))
        event = await other.events.append(new_event())
        assert await soon(view.advanced(event.sequence - 1)) == event.sequence
        assert view.activity(record.id) == after(7)


async def test_own_heartbeats_are_read_at_once_and_only_grow(store: Store) -> None:
    record = await store.records.commit(creation(new_record()))
    await store.records.touch(record.id, after(7))
    await store.records.touch(record.id, after(3))
    assert store.view.activity(record.id) == after(7)


async def test_an_older_revision_that_arrives_late_is_passed_over(store: Store) -> None:
    first = await store.records.commit(creation(new_record()))
    second = await store.records.commit(renewal(first))
    version = store.view.version
    store.view.apply(first)
    assert (store.view.get(first.id), store.view.version) == (second, version)


async def test_the_version_grows_with_every_change(store: Store) -> None:
    versions = [store.view.version]
    record = await store.records.commit(creation(new_record()))
    versions.append(store.view.version)
    await store.records.touch(record.id, after(1))
    versions.append(store.view.version)
    assert versions == sorted(set(versions))


async def test_whoever_waits_for_a_change_wakes_at_a_local_commit(store: Store) -> None:
    record = await store.records.commit(creation(new_record()))
    waiting = [asyncio.create_task(store.view.changed(record.id, 1)) for _ in range(3)]
    await asyncio.sleep(0)
    newer = await store.records.commit(renewal(record))
    assert await soon(asyncio.gather(*waiting)) == [newer] * 3
    assert await store.view.changed(record.id, 0) == newer


async def test_whoever_stops_waiting_leaves_nothing_behind(store: Store) -> None:
    record = await store.records.commit(creation(new_record()))
    waiting = asyncio.create_task(store.view.changed(record.id, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not store.view._waiting  # pyright: ignore[reportPrivateUsage]


async def test_a_gap_in_the_feed_is_found_and_everything_loaded(store: Store, other: Store) -> None:
    await store.view.load()
    records = [await other.records.commit(creation(new_record())) for _ in range(5)]
    await other.wire.trim(other.keys.feed(), 5)
    follower = asyncio.create_task(store.view.follow())
    for record in records:
        assert await soon(store.view.changed(record.id, 0)) == record
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)


async def test_contents_of_another_incarnation_replace_what_was_here(store: Store, other: Store) -> None:
    async with following(store) as view:
        old = await other.records.commit(creation(new_record()))
        assert await soon(view.changed(old.id, 0))
        await forget(other)
        await other.facts.first(INCARNATION, "another")
        new = await other.records.commit(creation(new_record()))
        assert await soon(view.changed(new.id, 0)) == new
        assert view.get(old.id) is None


async def test_a_record_that_cannot_be_read_makes_the_view_lag_and_ends_no_read(store: Store, other: Store) -> None:
    record = await store.records.commit(creation(new_record()))
    async with following(store) as view:
        await LaterRecords(other.wire, other.keys).commit(creation(new_record()))
        await until(lambda: view.lag > 0)
        newer = await store.records.commit(renewal(record))
        assert view.get(record.id) == newer


class Overtaken(Records):
    """Records of which some change after they were loaded, before the loading ends."""

    overtake: Callable[[], Awaitable[None]]

    async def activities(self, instances: Sequence[InstanceId]) -> dict[InstanceId, datetime]:
        found = await super().activities(instances)
        await self.overtake()
        return found


async def test_what_happens_while_everything_is_loaded_is_not_lost(store: Store) -> None:
    records = Overtaken(store.wire, store.keys)
    view = View(records, store.feed, store.facts, store.api_keys, now=lambda: NOON, monotonic=lambda: 0.0)
    old = await store.records.commit(creation(new_record()))
    fresh = new_record()

    async def overtake() -> None:
        await records.commit(renewal(old))
        await records.commit(creation(fresh))
        await records.touch(old.id, after(5))

    records.overtake = overtake
    await view.load()
    assert {record.id: record.revision for record in view.all()} == {old.id: 2, fresh.id: 1}
    assert view.activity(old.id) == after(5)


class Turning(Feed):
    """The wire is turned to another server when news have come, before anything is done with them."""

    turn: Callable[[], Awaitable[None]] | None = None

    async def wait(self, after: int, block_s: float = BLOCK_AT_MOST_S) -> list[News]:
        news = await super().wait(after, block_s)
        if news and self.turn:
            turn, self.turn = self.turn, None
            await turn()
        return news


async def test_t2_what_the_server_told_before_that_it_was_turned_to_is_not_missed(valkey_url: str, prefix: str) -> None:
    """Its numbers may go on from those of the one before: then its news looked like more of the same."""
    here, there = (valkey_url.replace("db=0", f"db={number}") for number in (1, 0))
    assert here != there
    async with open_store(here, prefix=prefix) as store, open_store(there, prefix=prefix) as shared:
        feed = Turning(store.wire, store.keys)
        view = View(store.records, feed, store.facts, store.api_keys, now=lambda: NOON, monotonic=time.monotonic)
        told = [await shared.records.commit(creation(new_record(f"there-{number}"))) for number in range(2)]
        await store.records.commit(creation(new_record("here")))

        async def turn() -> None:
            await store.wire.turn_to(there)

        follower = asyncio.create_task(view.follow())
        await view.first_load()
        feed.turn = turn
        async with open_store(here, prefix=prefix) as beside:
            await beside.records.commit(creation(new_record("news")))
            await until(lambda: feed.turn is None)
            for number in range(2, 40):  # as long as news keep coming, nobody asks whose they are
                told += [await shared.records.commit(creation(new_record(f"there-{number}")))]
            await soon(view.changed(told[-1].id, 0))
            assert [view.get(record.id) for record in told] == told
            await forget(beside)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await forget(shared)


class Emptied(ApiKeys):
    """The store loses all, as if started again without data, before keys are read."""

    emptied_by: Store | None = None

    async def stored(self) -> list[ApiKey]:
        if self.emptied_by:
            await forget(self.emptied_by)
        return await super().stored()


async def test_nothing_is_forgotten_when_the_store_is_emptied_while_it_is_read(store: Store, other: Store) -> None:
    keys = Emptied(store.wire, store.keys)
    view = View(store.records, store.feed, store.facts, keys, now=lambda: NOON, monotonic=lambda: 0.0, block_s=0.05)
    record = await store.records.commit(creation(new_record()))
    key = new_api_key()
    await keys.add(key)
    await view.load()
    remembered: list[object] = []

    async def emptied() -> None:
        remembered.extend((*view.all(), *keys.all()))

    view.on_emptied(emptied)
    keys.emptied_by = store
    with pytest.raises(Unavailable):
        await view.load()
    assert (view.all(), keys.all()) == ([record], [key])
    await other.facts.first(INCARNATION, "the next")
    follower = asyncio.create_task(view.follow())
    await until(lambda: remembered == [record, key])
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)


async def test_keys_are_not_forgotten_when_the_store_is_emptied_while_they_are_read(store: Store, other: Store) -> None:
    keys = Emptied(store.wire, store.keys)
    view = View(store.records, store.feed, store.facts, keys, now=lambda: NOON, monotonic=lambda: 0.0, block_s=0.05)
    key = new_api_key()
    await keys.add(key)
    await view.load()
    remembered: list[object] = []

    async def emptied() -> None:
        remembered.extend(keys.all())

    view.on_emptied(emptied)
    keys.emptied_by = store
    follower = asyncio.create_task(view.follow())
    await other.api_keys.add(new_api_key("more"))
    await until(lambda: remembered == [key])
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)


async def test_a_miss_asks_the_store_at_a_bounded_rate(store: Store, other: Store) -> None:
    clock = [0.0]
    view = View(store.records, store.feed, store.facts, store.api_keys, now=lambda: NOON, monotonic=lambda: clock[0])
    hidden = await other.records.commit(creation(new_record("trainer", machine=machine("m1"))))
    assert await view.find("m1") == hidden
    assert view.get(hidden.id) == hidden
    for number in range(MISSES_PER_SECOND - 1):
        assert await view.find(f"nobody-{number}") is None
    late = await other.records.commit(creation(new_record("late")))
    assert await view.find("late") is None
    assert await view.find("trainer") == hidden
    clock[0] += 1 / MISSES_PER_SECOND + 0.001
    assert await view.find("late") == late


async def test_closed_records_leave_when_their_retention_is_over(store: Store) -> None:
    clock = [NOON]
    kept = timedelta(days=2)
    view = View(
        store.records,
        store.feed,
        store.facts,
        store.api_keys,
        now=lambda: clock[0],
        monotonic=lambda: 0.0,
        block_s=0.05,
        closed_for=kept,
    )
    closed = await store.records.commit(closing(await store.records.commit(creation(new_record()))))
    await view.load()
    assert view.get(closed.id) == closed
    clock[0] = NOON + kept + timedelta(seconds=1)
    follower = asyncio.create_task(view.follow())
    await until(lambda: view.get(closed.id) is None)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)


async def test_t1_reads_go_on_while_the_store_is_away(store: Store) -> None:
    record = await store.records.commit(creation(new_record()))
    clock, pauses = [0.0], list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds
        if len(pauses) > 8:
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async with open_store("unix:///nowhere/at/all?db=0") as away:
        view = View(
            away.records,
            away.feed,
            away.facts,
            away.api_keys,
            now=lambda: NOON,
            monotonic=lambda: clock[0],
            pause=pause,
        )
        view.apply(record)
        follower = asyncio.create_task(view.follow())
        await until(lambda: len(pauses) > 8)
        assert view.get(record.id) == record
        assert (view.loaded, view.lag) == (False, sum(pauses))
        assert pauses[:3] == [0.1, 0.2, 0.4]
        assert pauses[-1] == LAST_PAUSE_S
        with pytest.raises(Unavailable):
            await view.find("nobody")
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


async def test_l4_an_idle_view_asks_the_store_less_than_five_times_a_minute(valkey_url: str, prefix: str) -> None:
    block_s = 0.2
    async with open_store(valkey_url, prefix=prefix, block_s=block_s) as idle, connect(valkey_url) as server:
        await idle.view.load()
        await server.config_resetstat()  # pyright: ignore[reportUnknownMemberType]
        follower = asyncio.create_task(idle.view.follow())
        while await calls(server, "xread") < 5:  # noqa: ASYNC110
            await asyncio.sleep(block_s / 4)
        assert await calls(server, "mget") <= await calls(server, "xread") + 1
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await forget(idle)
    assert 2 * 60 / BLOCK_AT_MOST_S < 5


async def calls(server: Redis, command: str) -> int:
    """How often the server was asked this since its statistics were reset."""
    statistics: dict[str, dict[str, int]] = await server.info("commandstats")  # pyright: ignore[reportUnknownMemberType, reportAssignmentType]
    return statistics.get(f"cmdstat_{command}", {}).get("calls", 0)


async def test_pages_come_from_memory(store: Store) -> None:
    records = [await store.records.commit(creation(new_record(f"web-{n}", at=after(n)))) for n in range(3)]
    renamed = await store.records.commit(Change(before=records[2], after=replace(records[2], name="job-2")))
    page = store.view.page(limit=2)
    assert (list(page.records), page.total) == ([renamed, records[1]], 3)
    assert list(store.view.page(cursor=page.cursor).records) == [records[0]]
    assert store.view.page(Filter(name_prefix="web")).total == 2


async def test_nobody_is_here(store: Store) -> None:
    assert store.view.get(InstanceId("ins_nobody")) is None
    assert store.view.activity(InstanceId("ins_nobody")) is None
    assert store.view.page().records == ()
