"""Whatever order commits, heartbeats and appended events come in, nothing is lost, doubled or left out."""

import asyncio
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from novita_gpu.domain.events import Event
from novita_gpu.domain.instance import InstanceId, Record
from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Change, InUse, NotRunning, Stale
from tests.store.cutting import cutting_wire
from tests.store.samples import after, creation, new_event, new_record, stop
from tests.valkey import forget, new_prefix

# One worker's plan: for each step, which record it changes and with how many events; None appends one of no record.
Plan = list[tuple[int, int] | None]
plans = st.lists(
    st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 2), st.integers(0, 3))), max_size=6), min_size=2, max_size=4
)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def work(store: Store, ids: list[InstanceId], plan: Plan, told: list[Event]) -> None:
    """Follows a plan, as one replica would, and notes each event it means to tell."""
    for step in plan:
        if step is None:
            told.append(await store.events.append(new_event()))
            continue
        instance, count = ids[step[0]], step[1]
        events = tuple(new_event() for _ in range(count))

        def change_of(record: Record, events: tuple[Event, ...] = events) -> Change:
            mine = tuple(replace(event, instance_id=record.id) for event in events)
            return Change(before=record, after=replace(record, generation=record.generation + 1), events=mine)

        assert await store.records.update(instance, change_of)
        told += events


async def check(store: Store, ids: list[InstanceId], plan: list[Plan], told: list[Event]) -> None:
    """The log has each event once, in one sequence without gaps; each record counts all its changes."""
    log = await store.events.read(limit=10_000)
    assert [event.sequence for event in log] == list(range(1, len(told) + 1))
    assert Counter(event.id for event in log) == Counter(event.id for event in told)
    assert await store.events.last_sequence() == len(log)
    for place, instance in enumerate(ids):
        changes = sum(1 for steps in plan for step in steps if step and step[0] == place)
        record = await store.records.load(instance)
        assert record
        assert (record.generation, record.revision) == (1 + changes, 1 + changes)
        timeline = await store.events.read(limit=10_000, instance_id=instance)
        assert timeline == [event for event in log if event.instance_id == instance]
        assert record.sequence == (timeline[-1].sequence if timeline else 0)
    news = await store.feed.wait(0, 0.1)
    assert [entry.number for entry in news] == list(range(1, len(news) + 1))


@quick
@given(plan=plans)
async def test_interleaved_commits_lose_no_event(valkey_url: str, plan: list[Plan]) -> None:
    prefix = new_prefix()
    async with open_store(valkey_url, prefix=prefix) as one, open_store(valkey_url, prefix=prefix) as other:
        records = [await one.records.commit(creation(new_record())) for _ in range(3)]
        ids, told = [record.id for record in records], list[Event]()
        await asyncio.gather(*(work((one, other)[i % 2], ids, steps, told) for i, steps in enumerate(plan)))
        await check(one, ids, plan, told)
        await forget(one)


@quick
@given(plan=plans, cuts=st.lists(st.integers(0, 2), min_size=1, max_size=6))
async def test_interleaved_commits_with_lost_answers_lose_and_double_no_event(
    valkey_url: str, plan: list[Plan], cuts: list[int], tmp_path: Path
) -> None:
    prefix = new_prefix()
    async with cutting_wire(valkey_url, tmp_path) as (wire, url), open_store(url, prefix=prefix) as store:
        records = [await store.records.commit(creation(new_record())) for _ in range(3)]
        ids, told = [record.id for record in records], list[Event]()
        for place, steps in enumerate(plan):
            wire.lose(cuts[place % len(cuts)])
            await work(store, ids, steps, told)
        wire.lose(0)
        await check(store, ids, plan, told)
        await forget(store)


async def test_n13_of_a_heartbeat_and_a_stop_at_once_one_always_knows_of_the_other(store: Store) -> None:
    """Either the stop is refused, or the heartbeat is: never is a 200 followed by a stop that did not weigh it."""
    for _ in range(50):
        record = await store.records.commit(creation(new_record()))

        async def stop_it(record: Record = record) -> bool:
            try:
                await store.records.commit(stop(record, guards_activity=True))
            except InUse:
                return False
            return True

        async def touch_it(record: Record = record) -> bool:
            try:
                await store.records.touch(record.id, after(1))
            except NotRunning:
                return False
            return True

        stopped, touched = await asyncio.gather(stop_it(), touch_it())
        assert stopped != touched


async def test_n12_of_two_who_decide_on_one_record_one_commits(store: Store) -> None:
    record = await store.records.commit(creation(new_record()))

    async def decide() -> bool:
        try:
            await store.records.commit(Change(before=record, after=record, events=(new_event(record),)))
        except Stale:
            return False
        return True

    assert sum(await asyncio.gather(*(decide() for _ in range(20)))) == 1
    assert len(await store.events.read()) == 1


async def test_n4_of_many_creates_of_one_name_one_is_done(store: Store) -> None:
    results = await asyncio.gather(
        *(store.records.commit(creation(new_record("trainer"))) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, Record) for result in results) == 1
    assert len(await store.records.living()) == 1
