"""The shared store goes out and comes back: what was kept meanwhile is written there once, whatever is cut."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.control.journal import Journal
from novita_gpu.control.listening import Listening
from novita_gpu.control.meeting import Meeting, Met
from novita_gpu.control.parting import PARTED, known_by, part
from novita_gpu.control.sides import TwoSides
from novita_gpu.domain.events import Cause, EventType
from novita_gpu.domain.instance import CloudId, Failure, Record, Wish
from novita_gpu.domain.learn import Learned, Note
from novita_gpu.domain.spec import AutoStop
from novita_gpu.placement import new_id
from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Answer, Claim, Delivery, Unavailable
from tests.api.served import Rung
from tests.domain.given import T0, at, attempt, ready, running
from tests.store.samples import new_event, new_record
from tests.valkey import forget, new_prefix

HOOK = "https://receiver.example/"
CAUSE = Cause(actor="admin")


class Apart:
    """One shared store, and the private one of a process that had read it."""

    def __init__(self, shared: Store, private: Store) -> None:
        self.shared, self.private, self._ids = shared, private, 0
        self.shared_journal = Journal(shared, Rung(), self.new_id, None)
        self.private_journal = Journal(private, Rung(), self.new_id, None)

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids:06}"

    async def parted(self, *records: Record, **known: Any) -> list[Record]:
        stored = [await self.write(self.shared_journal, None, record) for record in records]
        await self.shared.view.load()
        await part(replace(known_by(self.shared, {}, alone=True), **known), self.private, "s1", T0)
        return stored

    async def write(self, journal: Journal, before: Record | None, after: Record, *notes: Note) -> Record:
        return await journal.write(journal.change(before, Learned(record=after, notes=notes), CAUSE, T0))

    async def moved(self, record: Record, **given: Any) -> Record:
        """Changed in the private store."""
        here = await self.private.records.load(record.id)
        assert here
        return await self.write(self.private_journal, here, replace(here, **given))

    async def moved_there(self, record: Record, **given: Any) -> Record:
        there = await self.shared.records.load(record.id)
        assert there
        return await self.write(self.shared_journal, there, replace(there, **given))

    async def meet(self) -> Met:
        return await Meeting(self.private, self.shared, self.shared_journal, lambda: T0).meet()

    async def there(self, record: Record) -> Record:
        found = await self.shared.records.load(record.id)
        assert found
        return found

    async def told(self, record: Record) -> list[tuple[str, str]]:
        return [(e.id, e.type.value) for e in await self.shared.events.read(limit=500, instance_id=record.id)]


@asynccontextmanager
async def apart(url: str) -> AsyncGenerator[Apart]:
    """Two stores on one server, under two prefixes."""
    async with open_store(url, prefix=new_prefix()) as shared, open_store(url, prefix=new_prefix()) as private:
        try:
            yield Apart(shared, private)
        finally:
            for store in (shared, private):
                await forget(store)


async def pending(store: Store) -> list[Delivery]:
    """The deliveries that are open."""
    found, _ = await store.deliveries.newest(500)
    return [delivery for delivery in found if delivery.state == "pending"]


def wished(wish: Wish, record: Record) -> dict[str, Any]:
    return {"wants": wish, "generation": record.generation + 1, "operation": "op_away"}


async def test_a_name_whose_former_owner_was_closed_unheard_does_not_hold_up_the_parting(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        old = await two.write(two.shared_journal, None, new_record("a"))
        async with open_store(valkey_url, prefix=two.shared.keys.prefix) as behind:
            await behind.view.load()
            await two.write(two.shared_journal, old, replace(old, wants=Wish.DELETED, deleted_at=T0))
            later = replace(new_record("a"), created_at=old.created_at + timedelta(hours=1))
            behind.view.apply(await two.write(two.shared_journal, None, later))
            await part(known_by(behind, {}, alone=True), two.private, "s1", T0)
        assert await two.private.records.id_of_name("a") == later.id
        assert await two.meet() == Met()


async def test_what_never_moved_is_left_as_it_is(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        (record,) = await two.parted(replace(ready(), webhook_url=HOOK))
        copy = await two.private.records.load(record.id)
        assert copy
        assert (copy.base, copy.revision) == (record.revision, record.revision + 1)
        assert await two.meet() == Met()
        assert await two.there(record) == record


async def test_what_moved_here_alone_is_written_with_its_events_and_open_deliveries_once(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        (record,) = await two.parted(replace(ready(), webhook_url=HOOK))
        await two.moved(record, **wished(Wish.STOPPED, record))
        (event,) = await two.private.events.read(instance_id=record.id)
        (open_one,) = await pending(two.private)
        assert await two.meet() == Met(records=1)
        after = await two.there(record)
        assert (after.wants, after.base) == (Wish.STOPPED, None)
        assert after.revision > record.revision + 1
        assert [t for t in await two.told(record) if t[0] == event.id] == [(event.id, "instance.stopping")]
        found = await two.shared.deliveries.load(open_one.id)
        assert found
        assert (found.event_id, found.state) == (event.id, "pending")
        before = await two.told(record)
        assert await two.meet() == Met()
        assert await two.told(record) == before


async def test_what_was_delivered_here_is_not_delivered_again(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        (record,) = await two.parted(replace(ready(), webhook_url=HOOK))
        await two.moved(record, **wished(Wish.STOPPED, record))
        (open_one,) = await pending(two.private)
        await two.private.deliveries.save(replace(open_one, state="delivered"))
        await two.meet()
        assert await two.shared.deliveries.load(open_one.id) is None


async def test_t9_what_two_saw_while_they_were_apart_is_one_event(valkey_url: str) -> None:
    """Also for receivers of webhooks, to whom each of the two has told it: they know it by its id."""
    async with apart(valkey_url) as one, open_store(valkey_url, prefix=new_prefix()) as private:
        other = Apart(one.shared, private)
        other.shared_journal, other.private_journal = (Journal(s, Rung(), new_id, None) for s in (one.shared, private))
        record, busy = await one.parted(replace(running(), webhook_url=HOOK), new_record("busy"))
        (before,) = await pending(one.shared)
        await part(known_by(one.shared, {}, alone=False), private, "s2", T0)
        for number in range(20):  # the one has told much more by then, and counts further
            await other.moved(busy, failure=Failure(code="X", message="x", at=T0) if number % 2 else None)
        seen = replace(record.run, ready_at=at(62))
        for side in (one, other):
            await side.moved(record, run=seen, ready_at=at(62))
        await other.moved(record, **wished(Wish.STOPPED, record))
        (ready_here,) = await pending(one.private)
        ready_there, stopping = sorted(await pending(private), key=lambda each: each.sequence)
        assert ready_here.id == ready_there.id != stopping.id
        await one.meet()
        await other.meet()
        types = [type_ for _, type_ in await one.told(record)]
        assert types == ["instance.running", "instance.ready", "instance.stopping"]
        assert {each.id for each in await pending(one.shared)} == {before.id, ready_here.id, stopping.id}
        await forget(private)


async def test_what_was_told_before_and_not_heard_here_is_not_told_again(valkey_url: str) -> None:
    """This process was behind when the store went, and had told something itself that was later."""
    async with apart(valkey_url) as two:
        first = await two.write(two.shared_journal, None, replace(running(), webhook_url=HOOK))
        other = await two.write(two.shared_journal, None, new_record("later"))
        seen = replace(first.run, ready_at=at(62))
        await two.moved_there(first, run=seen, ready_at=at(62))
        behind = replace(known_by(two.shared, {}, alone=True), records=(first, other), sequence=500)
        await part(behind, two.private, "s1", T0)
        await two.moved(first, run=seen, ready_at=at(62))
        await two.meet()
        assert [type_ for _, type_ in await two.told(first)] == ["instance.running", "instance.ready"]


async def test_what_two_people_changed_while_they_were_apart_is_two_events(valkey_url: str) -> None:
    async with apart(valkey_url) as one, open_store(valkey_url, prefix=new_prefix()) as private:
        other = Apart(one.shared, private)
        journals = [Journal(store, Rung(), new_id, None) for store in (one.private, private)]
        (record,) = await one.parted(ready())
        await part(known_by(one.shared, {}, alone=False), private, "s2", T0)
        for minutes, journal, side in zip((5, 50), journals, (one, other), strict=True):
            here = await side.private.records.load(record.id)
            assert here
            changed = replace(here, auto_stop=AutoStop(idle=timedelta(minutes=minutes)))
            await journal.write(journal.updated(here, changed, CAUSE, T0))
        await one.meet()
        await other.meet()
        assert [type_ for _, type_ in await one.told(record)][1:] == ["instance.updated"] * 2
        await forget(private)


async def test_both_moved_the_stronger_wish_is_kept_and_a_new_status_told(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        (record,) = await two.parted(ready())
        await two.moved(record, **wished(Wish.DELETED, record))
        there = await two.moved_there(record, reason="moved there")
        await two.meet()
        after = await two.there(record)
        assert (after.wants, after.reason) == (Wish.DELETED, None)
        assert after.revision > there.revision
        assert "instance.deleting" in [type_ for _, type_ in await two.told(record)]


async def test_a_record_made_here_is_new_there_and_a_taken_name_gets_a_number(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        await two.parted()
        made = await two.write(two.private_journal, None, new_record("a"))
        other = await two.write(two.shared_journal, None, new_record("a"))
        assert await two.meet() == Met(records=1, new=1, renamed=1)
        assert ((await two.there(other)).name, (await two.there(made)).name) == ("a", "a-2")
        assert EventType.RENAMED.value in [type_ for _, type_ in await two.told(made)]


async def test_heartbeats_grow_and_sequences_are_never_given_twice(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        (record,) = await two.parted(ready())
        late = T0 + timedelta(hours=1)
        await two.private.records.touch(record.id, late)
        for _ in range(5):
            await two.private.events.append(new_event())
        last = await two.private.records.last_sequence()
        await two.meet()
        assert await two.shared.records.activity(record.id) == late
        assert len(await two.shared.events.read(limit=500)) == 1 + 5
        assert min(e.sequence for e in (await two.shared.events.read(limit=500))[1:]) > last


async def test_a_store_that_came_back_empty_gets_the_living_back(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        running, moved, closed = await two.parted(
            ready(),
            replace(new_record("b"), machine=None),
            replace(new_record("c"), deleted_at=T0, wants=Wish.DELETED),
        )
        await two.moved(moved, **wished(Wish.STOPPED, moved))
        await forget(two.shared)
        assert await two.meet() == Met(records=2)
        assert (await two.there(running)).machine == running.machine
        assert (await two.there(moved)).wants is Wish.STOPPED
        assert await two.shared.records.load(closed.id) is None
        assert (
            await two.shared.records.id_of_machine(CloudId(running.machine.id if running.machine else "")) == running.id
        )


class Cut(Exception):
    """The process dies here."""


def dying(store: Store, after: int, *, done: bool) -> None:
    """The store's `after`-th command is the last: `done` or not, its answer is lost."""
    inner, count = store.wire._words, 0  # pyright: ignore[reportPrivateUsage] -- the seam under test

    async def words(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count < after:
            return await inner(*args)
        if count == after and done:
            await inner(*args)
        raise Unavailable("the process is gone")

    store.wire._words = words  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("side", ["private", "shared"])
@pytest.mark.parametrize("done", [True, False])
async def test_killed_anywhere_on_the_way_back_nothing_is_lost_or_doubled(
    valkey_url: str, side: str, done: bool
) -> None:
    for number in range(1, 120):
        async with apart(valkey_url) as two:
            moved, both = await two.parted(replace(ready(), webhook_url=HOOK), new_record("b"))
            await two.moved(moved, **wished(Wish.STOPPED, moved))
            await two.moved(both, **wished(Wish.STOPPED, both))
            await two.moved_there(both, reason="moved there")
            made = await two.write(two.private_journal, None, replace(new_record("c"), webhook_url=HOOK))
            store: Store = getattr(two, side)
            whole = store.wire._words  # pyright: ignore[reportPrivateUsage]
            dying(store, number, done=done)
            finished = False
            try:
                await two.meet()
                finished = True
            except Unavailable:
                pass
            store.wire._words = whole  # pyright: ignore[reportPrivateUsage]
            await two.meet()
            for record in (moved, both):
                assert (await two.there(record)).wants is Wish.STOPPED
            assert (await two.there(made)).name == "c"
            events = await two.shared.events.read(limit=500)
            assert len({event.id for event in events}) == len(events), number
            assert len(await pending(two.shared)) == 1 + len(await pending(two.private))
            if finished:
                return
    raise AssertionError("it never ended")


async def requested(two: Apart, store: Store, journal: Journal, record: Record, key: str = "k") -> None:
    """A create with that Idempotency-Key."""
    claim = Claim(key=key, fingerprint="f", token=two.new_id("clm"))
    assert (await store.claims.claim(claim)).outcome == "ours"
    answer = Answer(status=201, body=b'{"instanceId":"%s"}' % record.id.encode())
    await journal.write(journal.change(None, record, CAUSE, T0, claim=claim, answer=answer))


async def answer_to(store: Store, key: str = "k") -> bytes | None:
    known = (await store.claims.claim(Claim(key=key, fingerprint="f", token="other"))).answer
    return known and known.body


async def test_who_asks_again_afterwards_gets_the_answer_that_was_given_here(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        await two.parted()
        made = new_record("a")
        await requested(two, two.private, two.private_journal, made)
        for _ in range(2):
            await two.meet()
            assert await answer_to(two.shared) == b'{"instanceId":"%s"}' % made.id.encode()


async def test_a_refusal_here_takes_no_answer_away_that_was_given_before(valkey_url: str) -> None:
    """Away the key was not known, and its name was taken."""
    async with apart(valkey_url) as two:
        made = new_record("a")
        await requested(two, two.shared, two.shared_journal, made)
        await two.parted()
        claim = Claim(key="k", fingerprint="f", token="t")
        await two.private.claims.claim(claim)
        await two.private.claims.keep(claim, Answer(status=409, body=b"taken"))
        await two.meet()
        assert await answer_to(two.shared) == b'{"instanceId":"%s"}' % made.id.encode()


@pytest.mark.parametrize("bought", [False, True])
async def test_a_create_that_the_server_did_late_and_that_was_asked_again_makes_one_instance(
    valkey_url: str, bought: bool
) -> None:
    """N4: the shared one stood still with it; nobody was told of what it made."""
    async with apart(valkey_url) as two:
        await two.parted()
        late, made = new_record("a"), new_record("a")
        if bought:
            late = replace(late, attempts=(attempt(),))
        await requested(two, two.shared, two.shared_journal, late)
        await requested(two, two.private, two.private_journal, made)
        await two.meet()
        there = await two.there(late)
        assert (there.wants, there.deleted_at) == (Wish.DELETED, None if bought else T0)
        assert (await two.there(made)).name == ("a-2" if bought else "a")
        assert await answer_to(two.shared) == b'{"instanceId":"%s"}' % made.id.encode()


async def test_what_the_same_request_made_on_the_other_side_of_a_cut_line_stays_where_it_ran(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        await two.parted()
        running, made = replace(ready(), name="a"), new_record("a")
        await requested(two, two.shared, two.shared_journal, running)
        await requested(two, two.private, two.private_journal, made)
        await two.meet()
        assert ((await two.there(running)).wants, (await two.there(made)).name) == (Wish.RUNNING, "a-2")


@pytest.mark.parametrize("done", [True, False])
async def test_out_again_in_the_midst_of_it_what_is_wished_after_that_is_kept_too(valkey_url: str, done: bool) -> None:
    """And of what may be there by now nothing is bought from here."""
    for number in range(1, 60):
        async with apart(valkey_url) as two:
            (moved,) = await two.parted(replace(ready(), webhook_url=HOOK))
            await two.moved(moved, **wished(Wish.STOPPED, moved))
            made = await two.write(two.private_journal, None, replace(new_record("c"), webhook_url=HOOK))
            whole = two.shared.wire._words  # pyright: ignore[reportPrivateUsage]
            dying(two.shared, number, done=done)
            finished = False
            try:
                await two.meet()
                finished = True
            except Unavailable:
                pass
            two.shared.wire._words = whole  # pyright: ignore[reportPrivateUsage]
            copy, is_there = await two.private.records.load(made.id), await two.shared.records.load(made.id)
            assert copy
            assert copy.base is not None or not is_there, number
            for record, wish in ((moved, Wish.DELETED), (made, Wish.STOPPED)):
                here = await two.private.records.load(record.id)
                assert here
                await two.moved(record, **wished(wish, here))
            await two.meet()
            assert ((await two.there(moved)).wants, (await two.there(made)).wants) == (Wish.DELETED, Wish.STOPPED)
            events = await two.shared.events.read(limit=500)
            told = {event.id for event in await two.private.events.read(limit=500)}
            assert len({event.id for event in events}) == len(events), number
            assert told <= {event.id for event in events}
            if finished:
                return
    raise AssertionError("it never ended")


async def test_nothing_is_carried_over_from_a_store_that_was_never_begun(valkey_url: str) -> None:
    async with apart(valkey_url) as two:
        await two.private.records.commit(two.private_journal.change(None, new_record("half"), CAUSE, T0))
        assert await two.private.facts.fact(PARTED) is None
        assert await two.meet() == Met()


async def test_a_private_store_that_is_half_removed_is_not_met_again(valkey_url: str) -> None:
    """What was stopped there is started since: its old wish must not come back."""
    async with apart(valkey_url) as two:
        (record,) = await two.parted(ready())
        await two.moved(record, **wished(Wish.STOPPED, record))
        sides = TwoSides(
            store=two.shared,
            listening=Listening(two.shared, lambda: T0),
            facts={},
            journal_of=lambda _: two.shared_journal,
            now=lambda: T0,
            new_id=two.new_id,
        )
        await sides.meet(two.private, two.shared)
        there = await two.there(record)
        assert there.wants is Wish.STOPPED
        await two.moved_there(record, wants=Wish.RUNNING, generation=there.generation + 1)
        for number in range(8):  # a record knows its last commits: past them none is told from a repeated one
            await two.moved_there(record, reason=f"{number}")
        await two.private.facts.forget(f"met:{record.id}")
        await sides.meet(two.private, two.shared)
        assert (await two.there(record)).wants is Wish.RUNNING
