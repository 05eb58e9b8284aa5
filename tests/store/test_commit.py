"""One commit writes a record, its events, its deliveries and its kept answer, or nothing."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import CloudId, Failure, InstanceId, Record, Wish
from novita_gpu.store import Store, open_store
from novita_gpu.store.base import (
    Answer,
    Change,
    Claim,
    ClaimLost,
    HadAlready,
    InUse,
    NameTaken,
    NotRunning,
    Stale,
    Unavailable,
    Unreadable,
)
from tests.store.cutting import cutting_wire
from tests.store.samples import (
    NOON,
    LaterRecords,
    after,
    closing,
    creation,
    machine,
    new_delivery,
    new_event,
    new_record,
    renewal,
    stop,
)
from tests.valkey import forget


async def everything(store: Store) -> dict[str, object]:
    """All that commits write, to see that nothing was."""
    ids = await store.records.all_ids()
    return {
        "records": await store.records.load_many(ids),
        "events": await store.events.read(limit=1000),
        "deliveries": await store.deliveries.newest(1000),
        "feed": await store.feed.position(),
    }


async def created(store: Store, name: str | None = None) -> Record:
    return await store.records.commit(creation(new_record(name)))


async def test_a_new_record_is_loaded_as_it_was_committed(store: Store) -> None:
    record = new_record(machine=machine("m1"))
    committed = await store.records.commit(creation(record, events=(new_event(record),)))
    assert committed == replace(record, revision=1, sequence=1)
    assert await store.records.load(record.id) == committed
    assert await store.records.living() == [record.id]
    assert await store.records.id_of_name(record.name) == record.id
    assert await store.records.id_of_machine(CloudId("m1")) == record.id


async def test_the_sequence_stays_when_a_commit_tells_of_nothing(store: Store) -> None:
    record = new_record()
    first = await store.records.commit(creation(record, events=(new_event(record), new_event(record))))
    second = await store.records.commit(renewal(first))
    assert (second.revision, second.sequence) == (2, 2)


async def test_t2_a_stale_record_is_never_written_over_a_newer_one(store: Store) -> None:
    first = await created(store)
    newer = await store.records.commit(renewal(first))
    before = await everything(store)
    with pytest.raises(Stale):
        await store.records.commit(stop(first, events=(new_event(first),)))
    assert await everything(store) == before
    assert await store.records.load(first.id) == newer


async def test_a_new_record_must_not_exist(store: Store) -> None:
    record = await created(store)
    with pytest.raises(Stale):
        await store.records.commit(creation(replace(record, revision=0)))


async def test_n4_a_name_has_one_living_record(store: Store) -> None:
    owner = await created(store, "trainer")
    before = await everything(store)
    second = new_record("trainer")
    with pytest.raises(NameTaken) as taken:
        await store.records.commit(creation(second, events=(new_event(second),)))
    assert taken.value.owner == owner.id
    assert await everything(store) == before


async def test_a_closed_record_gives_its_name_back_and_is_found_by_it(store: Store) -> None:
    first = await created(store, "trainer")
    await store.records.commit(closing(first))
    assert await store.records.id_of_name("trainer") == first.id
    assert await store.records.living() == []
    assert await store.records.all_ids() == [first.id]
    second = await created(store, "trainer")
    assert await store.records.id_of_name("trainer") == second.id
    await store.records.commit(closing(second))
    assert await store.records.id_of_name("trainer") == second.id


async def test_a_rename_frees_the_old_name(store: Store) -> None:
    first = await created(store, "trainer")
    await store.records.commit(Change(before=first, after=replace(first, name="trainer-2")))
    assert await store.records.id_of_name("trainer") is None
    assert await store.records.id_of_name("trainer-2") == first.id


async def test_a_machine_leads_to_the_record_that_has_it_now(store: Store) -> None:
    record = await store.records.commit(creation(new_record(machine=machine("m1"))))
    moved = await store.records.commit(Change(before=record, after=replace(record, machine=machine("m2"))))
    assert await store.records.id_of_machine(CloudId("m1")) is None
    assert await store.records.id_of_machine(CloudId("m2")) == record.id
    await store.records.commit(Change(before=moved, after=replace(moved, machine=None)))
    assert await store.records.id_of_machine(CloudId("m2")) is None


async def test_a_machine_of_another_record_is_not_taken_from_it(store: Store) -> None:
    first = await store.records.commit(creation(new_record(machine=machine("m1"))))
    second = await store.records.commit(creation(new_record()))
    await store.records.commit(Change(before=second, after=replace(second, machine=machine("m1"))))
    await store.records.commit(Change(before=first, after=replace(first, machine=None)))
    assert await store.records.id_of_machine(CloudId("m1")) == second.id


async def test_n17_of_two_who_take_in_one_machine_one_has_it(store: Store) -> None:
    first = await store.records.commit(creation(new_record("one", machine=machine("m1"))))
    with pytest.raises(HadAlready) as refused:
        await store.records.commit(creation(new_record("other", machine=machine("m1"))))
    assert refused.value.owner == first.id
    await store.records.commit(closing(first))
    again = await store.records.commit(creation(new_record("other", machine=machine("m1"))))
    assert await store.records.id_of_machine(CloudId("m1")) == again.id


async def test_a_record_is_found_by_id_machine_and_name(store: Store) -> None:
    record = await store.records.commit(creation(new_record("trainer", machine=machine("0123456789abcdef"))))
    assert [await store.records.find(text) for text in (record.id, "0123456789abcdef", "trainer", "nobody")] == [
        record,
        record,
        record,
        None,
    ]


async def test_n13_a_heartbeat_after_the_weighed_one_prevents_the_stop(store: Store) -> None:
    record = await created(store)
    await store.records.touch(record.id, after(10))
    await store.records.touch(record.id, after(20))
    before = await everything(store)
    for weighed in (None, after(10)):
        with pytest.raises(InUse):
            await store.records.commit(stop(record, guards_activity=True, weighed_activity=weighed))
    assert await everything(store) == before
    stopped = await store.records.commit(stop(record, guards_activity=True, weighed_activity=after(20)))
    assert stopped.wants is Wish.STOPPED


async def test_a_stop_that_weighs_no_activity_is_not_held_up_by_it(store: Store) -> None:
    record = await created(store)
    await store.records.touch(record.id, after(10))
    assert (await store.records.commit(stop(record))).wants is Wish.STOPPED


async def test_a_heartbeat_after_the_stop_is_refused(store: Store) -> None:
    record = await created(store)
    assert await store.records.touch(record.id, after(10)) == after(10)
    await store.records.commit(stop(record))
    with pytest.raises(NotRunning):
        await store.records.touch(record.id, after(20))
    assert await store.records.activity(record.id) == after(10)


async def test_a_heartbeat_of_nobody_or_of_a_failure_is_refused(store: Store) -> None:
    failure = Failure(code="NO_OFFER", message="none", at=NOON)
    failed = await store.records.commit(creation(new_record(failure=failure)))
    for instance in (failed.id, InstanceId("ins_nobody")):
        with pytest.raises(NotRunning):
            await store.records.touch(instance, NOON)


async def test_n19_activity_only_grows_and_does_not_move_the_revision(store: Store) -> None:
    record = await created(store)
    assert await store.records.touch(record.id, after(20)) == after(20)
    assert await store.records.touch(record.id, after(10)) == after(20)
    assert await store.records.load(record.id) == record
    other = await created(store)
    assert await store.records.activities([record.id, other.id]) == {record.id: after(20)}


async def test_events_get_the_next_sequences_in_their_order(store: Store) -> None:
    first, second = new_record(), new_record()
    told = (new_event(first, EventType.CREATING), new_event(first, EventType.ADOPTED))
    await store.records.commit(creation(first, events=told))
    third = new_event(second)
    await store.records.commit(creation(second, events=(third,)))
    expected = [replace(event, sequence=number) for number, event in enumerate((*told, third), 1)]
    assert await store.events.read() == expected
    assert await store.events.read(instance_id=first.id) == expected[:2]


async def test_deliveries_point_at_their_event(store: Store) -> None:
    record = new_record()
    events = (new_event(record), new_event(record))
    deliveries = tuple(new_delivery(event) for event in events)
    await store.records.commit(creation(record, events=events, deliveries=deliveries))
    found = [await store.deliveries.load(delivery.id) for delivery in deliveries]
    assert [delivery and delivery.sequence for delivery in found] == [1, 2]


async def test_the_answer_is_kept_with_the_commit(store: Store) -> None:
    claim = Claim(key="key", fingerprint="body", token="ours")
    await store.claims.claim(claim)
    answer = Answer(status=201, body=b'{"id":1}')
    await store.records.commit(creation(new_record(), claim=claim, answer=answer))
    again = await store.claims.claim(replace(claim, token="other"))
    assert (again.outcome, again.answer) == ("answered", answer)


async def test_n4_a_lost_claim_lets_nothing_be_written(store: Store) -> None:
    claim = Claim(key="key", fingerprint="body", token="theirs")
    await store.claims.claim(claim)
    before = await everything(store)
    for lost in (replace(claim, token="ours"), Claim(key="never claimed", fingerprint="body", token="ours")):
        with pytest.raises(ClaimLost):
            await store.records.commit(creation(new_record(), claim=lost, answer=Answer(status=201, body=b"")))
    assert await everything(store) == before


async def test_t9_the_very_same_commit_again_is_answered_as_the_first_was(store: Store) -> None:
    record = new_record()
    event = new_event(record)
    change = creation(record, id="cmt_1", events=(event,), deliveries=(new_delivery(event),))
    first = await store.records.commit(change)
    before = await everything(store)
    assert await store.records.commit(change) == first
    assert await everything(store) == before


async def test_a_commit_is_recognised_after_others_came_between(store: Store) -> None:
    change = creation(new_record(), id="cmt_1")
    first = await store.records.commit(change)
    record = first
    for _ in range(7):
        record = await store.records.commit(renewal(record))
    assert await store.records.commit(change) == first
    await store.records.commit(renewal(record))
    with pytest.raises(Stale):
        await store.records.commit(change)


async def test_two_equal_commits_of_two_replicas_are_not_one(store: Store) -> None:
    record = await created(store)
    await store.records.commit(renewal(record))
    with pytest.raises(Stale):
        await store.records.commit(renewal(record))


async def test_t9_a_lost_answer_doubles_nothing(valkey_url: str, prefix: str, store: Store, tmp_path: Path) -> None:
    async with cutting_wire(valkey_url, tmp_path) as (wire, url), open_store(url, prefix=prefix) as far:
        record = new_record()
        event = new_event(record)
        await far.ping()
        wire.lose(1)
        committed = await far.records.commit(creation(record, events=(event,), deliveries=(new_delivery(event),)))
        assert (wire.lost, committed.revision, committed.sequence) == (1, 1, 1)
        wire.lose(1)
        await far.events.append(new_event())
        wire.lose(1)
        await far.records.touch(record.id, after(5))
        wire.lose(1)
        (due,) = await store.deliveries.first_of({"receiver.example": 1}, NOON)
        assert (await far.deliveries.save(replace(due, due=after(30)))).revision == due.revision + 1
        assert wire.lost == 4
    assert [found.sequence for found in await store.events.read()] == [1, 2]
    assert len((await store.deliveries.newest())[0]) == 1
    assert (await store.feed.position()).number == 3


async def test_a_commit_whose_answer_is_lost_for_good_can_be_repeated(
    valkey_url: str, prefix: str, store: Store, tmp_path: Path
) -> None:
    async with cutting_wire(valkey_url, tmp_path) as (wire, url), open_store(url, prefix=prefix) as far:
        record = new_record()
        change = creation(record, id="cmt_1", events=(new_event(record),))
        await far.ping()
        wire.lose(3)
        with pytest.raises(Unavailable):
            await far.records.commit(change)
        assert (await far.records.commit(change)).revision == 1
    assert await store.events.last_sequence() == 1


async def test_an_update_is_made_of_the_newer_record(store: Store) -> None:
    record = await created(store)
    seen: list[int] = []

    async def overtake() -> None:
        await store.records.commit(renewal(record))

    def change_of(present: Record) -> Change:
        seen.append(present.revision)
        return Change(before=present if len(seen) > 1 else replace(present, revision=0), after=present)

    await overtake()
    updated = await store.records.update(record.id, change_of)
    assert seen == [2, 2]
    assert updated and updated.revision == 3


async def test_an_update_of_nobody_or_of_nothing_changes_nothing(store: Store) -> None:
    record = await created(store)
    assert await store.records.update(InstanceId("ins_nobody"), renewal) is None
    assert await store.records.update(record.id, lambda _: None) == record


async def test_an_update_that_always_loses_ends(store: Store) -> None:
    record = await created(store)
    with pytest.raises(Stale):
        await store.records.update(record.id, lambda present: creation(replace(present, revision=0)))


async def test_whoever_listens_hears_of_a_commit_before_it_returns(store: Store) -> None:
    heard: list[Record] = []
    store.records.on_commit(heard.append)
    record = await created(store)
    assert heard == [record]


async def test_a_record_of_a_later_version_is_left_alone(store: Store) -> None:
    record = await LaterRecords(store.wire, store.keys).commit(creation(new_record()))
    with pytest.raises(Unreadable):
        await store.records.load(record.id)


async def test_a_closed_record_may_still_be_changed_and_keeps_its_end(store: Store) -> None:
    closed = await store.records.commit(closing(await created(store)))
    key = store.keys.record(closed.id)
    ends_in = await store.wire.ttl_ms(key)
    later = await store.records.commit(renewal(closed, events=(new_event(closed),)))
    assert later.revision == 3
    assert 0 < await store.wire.ttl_ms(key) <= ends_in
    assert await store.wire.ttl_ms(store.keys.timeline(closed.id)) > 0


async def test_t1_a_record_that_lives_again_does_not_expire(store: Store) -> None:
    closed = await store.records.commit(closing(await created(store, "trainer")))
    again = await store.records.commit(Change(before=closed, after=replace(closed, deleted_at=None)))
    assert await store.wire.ttl_ms(store.keys.record(again.id)) == -1
    assert await store.records.living() == [again.id]
    assert await store.records.id_of_name("trainer") == again.id


async def test_a_closed_record_is_kept_as_long_as_the_operator_says(valkey_url: str, prefix: str) -> None:
    async with open_store(valkey_url, prefix=prefix, closed_for=timedelta(days=2)) as store:
        record = await store.records.commit(creation(new_record()))
        await store.records.commit(closing(record))
        left = await store.wire.ttl_ms(store.keys.record(record.id))
        await forget(store)
    assert timedelta(days=2) - timedelta(minutes=1) < timedelta(milliseconds=left) <= timedelta(days=2)
