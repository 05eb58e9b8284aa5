"""One listing for all: when it is made, whom it rings, and what it does not believe."""

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.base import Listing
from novita_gpu.control.bell import NextLook
from novita_gpu.control.sweep import is_mass_absence
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import CloudId, InstanceId, Machine, MutationKind, Record, Wish
from tests.control.scene import Scene
from tests.domain.given import OFFER, T0, at, attempt, launched, mutation, new, row

pytest_plugins = ("tests.valkey",)


async def test_a_listing_comes_fast_while_something_moves_and_slowly_at_rest(scene: Scene) -> None:
    assert await scene.sweep.sweep(asked=False) == NextLook(at=at(60))
    await scene.keep(new())
    scene.now = at(60)
    assert await scene.sweep.sweep(asked=False) == NextLook(at=at(62))


async def test_who_asks_gets_one_within_the_shortest_interval_and_no_sooner(scene: Scene) -> None:
    """L2"""
    await scene.sweep.sweep(asked=True)
    scene.now = at(1.7)
    assert await scene.sweep.sweep(asked=True) == NextLook(at=at(1.8), asked=True)
    assert scene.listings() == 1
    scene.now = at(1.8)
    assert await scene.sweep.sweep(asked=True) == NextLook(at=at(61.8))
    assert scene.listings() == 2


async def test_a_look_that_another_listing_has_overtaken_is_the_one_that_this_has_announced(scene: Scene) -> None:
    """L2: else every burst would leave one more chain of listings behind, and none if it were dropped."""
    await scene.sweep.sweep(asked=False)
    scene.now = at(30)
    assert await scene.sweep.sweep(asked=True) == NextLook(at=at(90))
    scene.now = at(60)
    assert await scene.sweep.sweep(asked=False) == NextLook(at=at(90))
    assert scene.listings() == 2
    scene.now = at(90)
    assert await scene.sweep.sweep(asked=False) == NextLook(at=at(150))


async def test_only_those_are_rung_whom_the_listing_tells_something_new(scene: Scene) -> None:
    """L2"""
    marker = "dep1/abc/1"
    machine = scene.machine("train-1-dep1-abc-1", marker)
    awaiting = await scene.keep(new(attempts=(attempt(),)))
    await scene.keep(new(id=InstanceId("ins_other"), name="other", wants=Wish.STOPPED))
    await scene.sweep.sweep(asked=False)
    assert scene.bell.instances == [awaiting.id]
    look = await scene.store.looks.look(awaiting)
    assert look
    assert [r.id for r in look.marked] == [machine]


async def test_who_is_due_is_rung_though_nothing_changed(scene: Scene) -> None:
    """A lost alarm costs one interval."""
    due = await scene.keep(new(wants=Wish.STOPPED, due=at(-1)))
    await scene.keep(new(id=InstanceId("ins_later"), name="later", wants=Wish.STOPPED, due=at(1)))
    await scene.sweep.sweep(asked=False)
    assert scene.bell.instances == [due.id]


async def test_a_machine_of_ours_without_a_record_is_told_of_once_and_a_foreign_one_never(scene: Scene) -> None:
    """N6, N17"""
    scene.machine("lost-dep1-zzz-1", "dep1/zzz/1")
    scene.machine("theirs-dep2-zzz-1", "dep2/zzz/1")
    scene.machine("somebodys", "")
    for second in (0, 60, 120):
        scene.now = at(second)
        await scene.sweep.sweep(asked=False)
    assert await scene.events() == [EventType.ORPHAN_FOUND]


async def test_a_page_that_cannot_be_read_makes_no_absence(scene: Scene) -> None:
    """T5"""
    for number in range(101):
        scene.machine(f"m-{number}", "")
    scene.simulator.control.post("faults", op="list", kind="html", match={"pageNum": "2"}, times=0)
    gone = await scene.keep(launched(created_at=at(-4000)))
    await scene.sweep.sweep(asked=False)
    mark = await scene.store.looks.mark()
    assert mark
    assert not mark.complete
    assert mark.fault
    look = await scene.store.looks.look(gone)
    assert look
    assert not look.complete
    assert scene.bell.instances == []


async def test_most_machines_gone_at_once_is_not_believed_and_told_of_once(scene: Scene) -> None:
    """T5"""
    for number in range(4):
        await scene.lost(number)
    for second in (0, 2, 4):
        scene.now = at(second)
        await scene.sweep.sweep(asked=True)
    mark = await scene.store.looks.mark()
    assert mark
    assert mark.complete
    assert not mark.trusted
    assert scene.bell.instances == []
    assert await scene.events() == [EventType.MASS_ABSENCE]


async def test_machines_that_we_removed_ourselves_are_no_mass_absence(scene: Scene) -> None:
    """Launches that were given up at once: nobody wished them deleted, and their machines went by our own deletes."""
    for number in range(4):
        sent = mutation(MutationKind.DELETE, -90, machine=CloudId(f"{number:016x}"))
        await scene.lost(number, wants=Wish.RUNNING, mutation=sent)
    await scene.sweep.sweep(asked=True)
    mark = await scene.store.looks.mark()
    assert mark
    assert mark.trusted
    assert len(scene.bell.instances) == 4


async def test_nothing_is_concluded_before_the_records_are_known(scene: Scene) -> None:
    scene.store.view.loaded = False
    assert await scene.sweep.sweep(asked=True) == NextLook(at=at(2), asked=True)
    assert scene.listings() == 0


@pytest.mark.parametrize("shows_one_of_ours", [True, False])
async def test_a_new_key_is_believed_once_it_shows_a_machine_of_ours(scene: Scene, shows_one_of_ours: bool) -> None:
    """T5: another account's key must not close what still bills on the first."""
    await scene.sweep.sweep(asked=True)
    machine = Machine(id=CloudId("0" * 16), offer=OFFER, attempt=1, adopted_at=at(-400), ran=True)
    if shows_one_of_ours:
        machine = replace(machine, id=scene.machine("train-1-dep1-abc-1", "dep1/abc/1"))
    await scene.keep(launched(machine=machine))
    scene.now = at(60)
    await scene.with_key("key-2").sweep(asked=True)
    mark = await scene.store.looks.mark()
    assert mark
    assert mark.complete
    assert mark.trusted is shows_one_of_ours
    assert await scene.events() == ([] if shows_one_of_ours else [EventType.ACCOUNT_CHANGED])


def listed(*ids: str) -> Listing:
    rows = tuple(row("running", CloudId(i)) for i in ids)
    return Listing(began_at=at(1000), ended_at=at(1000), complete=True, rows=rows, total=len(rows))


def with_machine(name: str) -> Record:
    machine = Machine(id=CloudId(name), offer=OFFER, attempt=1, adopted_at=T0)
    return launched(id=InstanceId(f"ins_{name}"), name=name, machine=machine)


@pytest.mark.parametrize(
    ("known", "seen", "mass"),
    [("abcd", "ab", False), ("abcd", "a", True), ("abc", "", True), ("ab", "", False), ("abcdefg", "abcd", False)],
)
def test_three_or_more_and_over_half_is_mass(known: str, seen: str, mass: bool) -> None:
    assert is_mass_absence(listed(*seen), [with_machine(name) for name in known]) is mass


def test_what_we_delete_ourselves_is_no_mass_absence() -> None:
    records = [replace(with_machine(name), wants=Wish.DELETED) for name in "abcd"]
    assert not is_mass_absence(listed(), records)
