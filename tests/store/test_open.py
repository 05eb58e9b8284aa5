"""The store in one piece."""

from novita_gpu.store import Store
from tests.store.samples import NOON, after, creation, new_event, new_record


async def test_trimming_leaves_living_records_and_what_is_young(store: Store) -> None:
    record = new_record()
    events = (new_event(record), new_event(record, at=after(10)))
    record = await store.records.commit(creation(record, events=events))
    await store.trim(after(5))
    assert await store.records.load(record.id) == record
    assert [event.sequence for event in await store.events.read(instance_id=record.id)] == [2]
    await store.trim(NOON)
    assert len(await store.events.read()) == 1
