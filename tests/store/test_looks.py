"""What the last listings say of the cloud's machines."""

from novita_gpu.domain.instance import CloudId, Record
from novita_gpu.domain.look import Look, Row
from novita_gpu.store import Store, open_store
from novita_gpu.store.looks import Looks
from tests.store.samples import NOON, after, attempt, machine, mark, new_record, row
from tests.valkey import forget

MARKER = "dep/ins_1/1"


def with_machine(cloud_id: str = "m1", *markers: str) -> Record:
    attempts = tuple(attempt(number, marker) for number, marker in enumerate(markers, 1))
    return new_record(machine=machine(cloud_id), attempts=attempts)


async def ids(looks: Looks) -> list[str]:
    return [found.id for found in await looks.rows()]


async def test_before_the_first_listing_nothing_is_known(store: Store) -> None:
    assert await store.looks.mark() is None
    assert await store.looks.look(with_machine()) is None
    assert await store.looks.rows() == []


async def test_a_listing_answers_for_every_instance(store: Store) -> None:
    rows = [row("m1"), row("m2", status="exited")]
    assert await store.looks.publish(rows, mark(total=2))
    assert await store.looks.mark() == mark(total=2)
    assert await store.looks.look(with_machine("m2")) == Look(began_at=NOON, complete=True, row=rows[1])
    assert await store.looks.look(with_machine("m9")) == Look(began_at=NOON, complete=True)
    assert await store.looks.rows() == rows


async def test_a_complete_listing_replaces_all(store: Store) -> None:
    await store.looks.publish([row("m1"), row("m2")], mark())
    await store.looks.publish([row("m2", at=after(9)), row("m3", at=after(9))], mark(after(9)))
    assert await ids(store.looks) == ["m2", "m3"]


async def test_t5_a_listing_that_is_not_complete_takes_nothing_away(store: Store) -> None:
    await store.looks.publish([row("m1"), row("m2")], mark())
    await store.looks.publish([row("m2", at=after(9), status="exited")], mark(after(9), complete=False))
    assert [(found.id, found.seen.status) for found in await store.looks.rows()] == [
        ("m1", "running"),
        ("m2", "exited"),
    ]
    look = await store.looks.look(with_machine("m9"))
    assert look and not look.complete


async def test_a_listing_that_is_not_trusted_is_not_complete(store: Store) -> None:
    await store.looks.publish([], mark(trusted=False))
    assert await store.looks.look(with_machine()) == Look(began_at=NOON, complete=False)


async def test_a_row_has_the_time_of_the_last_look_that_saw_it(store: Store) -> None:
    """A row an incomplete listing lacks is as old as it was: else a look before a stop would count as one after it."""
    await store.looks.publish([row("m1"), row("m2")], mark())
    await store.looks.publish([row("m1", at=after(9)), row("m2", at=after(9))], mark(after(9)))
    assert [found.seen.at for found in await store.looks.rows()] == [after(9), after(9)]
    await store.looks.publish([row("m1", at=after(20))], mark(after(20), complete=False))
    seen, unseen = await store.looks.look(with_machine("m1")), await store.looks.look(with_machine("m2"))
    assert seen and seen.began_at == after(20)
    assert unseen and unseen.began_at == after(9)
    await store.looks.publish([row("m1", at=after(30)), row("m2", at=after(30))], mark(after(30)))
    assert [found.seen.at for found in await store.looks.rows()] == [after(30), after(30)]


async def test_only_what_changed_is_written(store: Store) -> None:
    await store.looks.publish([row("m1"), row("m2")], mark())
    await store.wire.delete(store.keys.rows())
    await store.looks.publish([row("m1", at=after(9)), row("m2", at=after(9), status="exited")], mark(after(9)))
    assert await ids(store.looks) == ["m2"]


async def test_an_older_listing_does_not_replace_a_later_one(store: Store) -> None:
    await store.looks.publish([row("m1", at=after(9))], mark(after(9)))
    assert not await store.looks.publish([], mark(NOON))
    assert await ids(store.looks) == ["m1"]
    assert await store.looks.publish([row("m2", at=after(10))], mark(after(10)))
    assert await ids(store.looks) == ["m2"]


async def test_two_publishers_in_turn_leave_what_the_last_saw(valkey_url: str, prefix: str, store: Store) -> None:
    async with open_store(valkey_url, prefix=prefix) as other:
        seen: dict[int, list[str]] = {1: ["m1", "m2"], 2: ["m2", "m3"], 3: ["m1"], 4: ["m1", "m4"], 5: ["m4"]}
        for at, machines in seen.items():
            looks = (store, other)[at in {2, 4}].looks
            assert await looks.publish([row(machine_id, at=after(at)) for machine_id in machines], mark(after(at)))
            assert await ids(store.looks) == machines
        await other.looks.publish([row("m9", at=after(6))], mark(after(6), complete=False))
        assert await ids(store.looks) == ["m4", "m9"]
        await other.looks.publish([row("m9", at=after(7))], mark(after(7)))
        assert await ids(store.looks) == ["m9"]


async def test_n5_only_a_machine_with_both_marks_is_marked(store: Store) -> None:
    both = row("m1", MARKER)
    rows: list[Row] = [
        both,
        row("m2", MARKER, name="trainer"),
        row("m3", name="trainer-dep-ins_1-1"),
        row("m4", "dep/ins_1/11"),
        row("m5", "dep/ins_2/1"),
    ]
    await store.looks.publish(rows, mark())
    look = await store.looks.look(with_machine("m7", "dep/ins_1/2", MARKER))
    assert look and look.marked == (both,)


async def test_all_machines_with_one_marker_are_found(store: Store) -> None:
    await store.looks.publish([row("m1", MARKER), row("m2", MARKER)], mark())
    look = await store.looks.look(with_machine("m1", MARKER))
    assert look and look.row and [found.id for found in look.marked] == ["m1", "m2"]


async def test_a_marker_that_is_gone_finds_nothing(store: Store) -> None:
    await store.looks.publish([row("m1", MARKER), row("m2", MARKER)], mark())
    await store.looks.publish([row("m1", "dep/other/1", at=after(1))], mark(after(1)))
    look = await store.looks.look(with_machine("m9", MARKER))
    assert look and look.marked == ()
    assert await store.wire.zrange(store.keys.markers(), 0, -1) == [b"dep/other/1 m1"]


async def test_a_marker_written_by_others_is_only_text(store: Store) -> None:
    odd = row(CloudId("m1"), "dep/ins_1/1 m2 \xff*")
    await store.looks.publish([odd, row("m2")], mark())
    look = await store.looks.look(with_machine("m9", MARKER))
    assert look and look.marked == ()


async def test_what_was_published_to_one_server_is_not_taken_for_known_to_another(valkey_url: str, prefix: str) -> None:
    """Both were published to as often: only what changed since would be written, and the rest stay as it was there."""
    first, second = f"{valkey_url.partition('?')[0]}?db=0", f"{valkey_url.partition('?')[0]}?db=1"
    async with open_store(first, prefix=prefix) as store:
        await store.looks.publish([row("m1", at=after(1))], mark(after(1)))
        await store.wire.turn_to(second)
        await store.looks.publish([row("m1", at=after(2), status="exited")], mark(after(2)))
        await store.wire.turn_to(first)
        await store.looks.publish([row("m1", at=after(3), status="exited")], mark(after(3)))
        assert [found.seen.status for found in await store.looks.rows()] == ["exited"]
        await store.wire.turn_to(second)
        await forget(store)
        await store.wire.turn_to(first)
        await forget(store)
