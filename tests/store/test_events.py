"""The log of what happened."""

from msgspec import Raw

from novita_gpu.domain.events import EventType
from novita_gpu.store import Store
from tests.store.samples import NOON, after, creation, new_delivery, new_event, new_record, renewal


async def test_an_event_of_no_record_gets_a_sequence_too(store: Store) -> None:
    event = await store.events.append(new_event(kind=EventType.ORPHAN_FOUND))
    assert event.sequence == 1
    assert await store.events.event(1) == event
    assert await store.events.event(2) is None


async def test_t9_an_event_appended_again_is_not_told_twice(store: Store) -> None:
    event = new_event(kind=EventType.WEBHOOK_TEST)
    first = await store.events.append(event, (new_delivery(event, id="msg"),))
    assert await store.events.append(event, (new_delivery(event, id="msg"),)) == first
    assert await store.events.read() == [first]
    found = await store.deliveries.load("msg")
    assert found and found.sequence == 1


async def test_an_appended_event_of_an_instance_is_in_its_timeline(store: Store) -> None:
    record = await store.records.commit(creation(new_record()))
    event = await store.events.append(new_event(record))
    assert await store.events.read(instance_id=record.id) == [event]


async def test_reading_goes_on_after_a_sequence(store: Store) -> None:
    events = [await store.events.append(new_event()) for _ in range(5)]
    assert await store.events.read(after=2, limit=2) == events[2:4]
    assert await store.events.read(after=5) == []


async def test_events_are_found_by_type_and_instance(store: Store) -> None:
    one = await store.records.commit(creation(new_record()))
    other = await store.records.commit(creation(new_record()))
    for record in (one, other, one):
        for kind in (EventType.STARTING, EventType.RUNNING):
            await store.events.append(new_event(record, kind))
    by_type = await store.events.read(type=EventType.RUNNING)
    assert [event.sequence for event in by_type] == [2, 4, 6]
    assert await store.events.read(type=EventType.RUNNING, after=2, limit=1) == by_type[1:2]
    of_one = await store.events.read(type=EventType.RUNNING, instance_id=one.id)
    assert [event.sequence for event in of_one] == [2, 6]
    assert await store.events.read(type=EventType.RUNNING, instance_id=one.id, after=2) == of_one[1:]


async def test_a_rare_type_is_found_in_a_long_timeline(store: Store) -> None:
    record = new_record()
    many = tuple(new_event(record) for _ in range(1200))
    record = await store.records.commit(creation(record, events=many))
    last = new_event(record, EventType.READY)
    await store.records.commit(renewal(record, events=(last,)))
    assert [event.id for event in await store.events.read(type=EventType.READY, instance_id=record.id)] == [last.id]
    assert len(await store.events.read(instance_id=record.id, limit=1100)) == 1100


async def test_the_instance_of_an_event_is_kept_as_it_is(store: Store) -> None:
    event = await store.events.append(new_event(instance=Raw(b'{"status":"ready"}')))
    found = await store.events.event(event.sequence)
    assert found and found.instance == Raw(b'{"status":"ready"}')


async def test_trimming_removes_what_is_older_everywhere(store: Store) -> None:
    record = new_record()
    events = [new_event(record, EventType.STARTING, at=after(number)) for number in range(10)]
    record = await store.records.commit(creation(record, events=tuple(events)))
    assert await store.events.trim(after(6), [record.id]) == 7
    for found in (
        await store.events.read(),
        await store.events.read(instance_id=record.id),
        await store.events.read(type=EventType.STARTING),
    ):
        assert [event.sequence for event in found] == [7, 8, 9, 10]
    assert await store.events.last_sequence() == 10


async def test_trimming_nothing_or_all(store: Store) -> None:
    assert await store.events.trim(NOON) == 1
    for _ in range(3):
        await store.events.append(new_event())
    assert await store.events.trim(NOON) == 1
    assert await store.events.trim(after(1)) == 4
    assert await store.events.read() == []
    assert (await store.events.append(new_event())).sequence == 4
