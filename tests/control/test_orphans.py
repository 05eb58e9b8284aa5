"""Machines that nobody has: told of once, and removed by the pass over their closed record, under every condition."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from novita_gpu.control.ledger import Ledger
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import AttemptState, CloudId, InstanceId, Machine, Record, Wish
from novita_gpu.store import open_store
from novita_gpu.store.base import Change
from novita_gpu.store.feed import INCARNATION
from tests.control.scene import Scene
from tests.domain.given import OFFER, T0, at, attempt, new

pytest_plugins = ("tests.valkey",)

GRACE = 30 * 60


async def vanished(scene: Scene, instance: str = "abc") -> CloudId:
    """A machine of ours whose record was closed when it went, and that is back."""
    machine = scene.machine(f"train-{instance}-dep1-{instance}-1", f"dep1/{instance}/1")
    await scene.keep(closed(machine, instance, vanished_at=T0))
    return machine


def closed(machine: CloudId | None, instance: str = "abc", **of_attempt: object) -> Record:
    known = {"state": AttemptState.ADOPTED, "machine": machine, "marker": f"dep1/{instance}/1", **of_attempt}
    name = f"train-{instance}"
    record = new(id=InstanceId(f"ins_{instance}"), name=name, wants=Wish.DELETED, deleted_at=T0)
    return replace(record, attempts=(attempt(**known),))


async def old(scene: Scene) -> None:
    """Seen in two complete listings, and older than the grace."""
    for _ in range(2):
        await scene.swept()
        scene.turn(GRACE)


async def test_n6_an_orphan_is_told_of_and_left_alone_by_default(scene: Scene) -> None:
    machine = await vanished(scene)
    for _ in range(4):
        await scene.swept()
        scene.turn(GRACE)
    assert scene.alive() == {machine: "running"}
    assert await scene.events() == [EventType.ORPHAN_FOUND]
    assert scene.calls("delete") == []


async def test_n6_where_the_policy_says_so_it_is_removed_after_its_grace(scene: Scene) -> None:
    scene.removing()
    machine = await vanished(scene)
    await scene.swept()
    scene.turn(GRACE - 1)
    await scene.swept()
    assert scene.alive() == {machine: "running"}
    scene.turn(3)
    await scene.swept()
    assert scene.alive() == {}
    assert await scene.events() == [EventType.ORPHAN_FOUND, EventType.ORPHAN_REMOVED]
    scene.turn(60)
    await scene.swept()
    assert len(scene.calls("delete")) == 1
    assert await Ledger(scene.store).known() == ()


async def store_was_lost(scene: Scene) -> None:
    await scene.store.facts.put(INCARNATION, "another")


async def record_is_gone(scene: Scene) -> None:
    await scene.store.wire.delete(scene.store.keys.record(InstanceId("ins_abc")))
    await scene.store.view.load()


async def listing_is_doubted(scene: Scene) -> None:
    for number in range(4):
        await scene.lost(number)


async def name_was_changed(scene: Scene) -> None:
    (machine,) = scene.alive()
    scene.simulator.control.post("disguise", instanceId=machine, fields={"name": "renamed"})


async def marker_was_changed(scene: Scene) -> None:
    (machine,) = scene.alive()
    scene.simulator.control.post("disguise", instanceId=machine, fields={"envs": []})


@pytest.mark.parametrize(
    "trouble", [store_was_lost, record_is_gone, listing_is_doubted, name_was_changed, marker_was_changed]
)
@pytest.mark.parametrize("asked", [False, True])
async def test_n6_each_missing_condition_holds_a_removal_back(
    scene: Scene, trouble: Callable[[Scene], Awaitable[None]], asked: bool
) -> None:
    if not asked:
        scene.removing()
    machine = await vanished(scene)
    await scene.swept()
    scene.turn(GRACE + 1)
    await trouble(scene)
    if asked:
        assert (await scene.sync(remove_orphans=True)).orphans_removed == 0
    else:
        await scene.sweep.sweep(asked=True)
    await scene.passes()
    assert machine in scene.alive()
    assert scene.calls("delete") == []


async def test_n6_listings_that_are_not_complete_do_not_count(scene: Scene) -> None:
    scene.removing()
    for number in range(101):
        scene.machine(f"m-{number}", "")
    machine = await vanished(scene)
    scene.simulator.control.post("faults", op="list", kind="html", match={"pageNum": "2"}, times=0)
    for _ in range(2):
        await scene.swept()
        scene.turn(GRACE + 1)
    assert (await Ledger(scene.store).known())[0].listings == 0
    scene.simulator.control.post("faults/clear")
    scene.turn(60)
    await scene.swept()
    assert machine in scene.alive()
    scene.turn(60)
    await scene.swept()
    assert machine not in scene.alive()


async def test_n6_a_young_machine_is_not_removed_however_long_it_was_not_seen(scene: Scene) -> None:
    scene.removing()
    scene.turn(5 * 3600)
    machine = await vanished(scene)
    scene.simulator.control.post("disguise", instanceId=machine, fields={"createdAt": str(int(at(0).timestamp()))})
    for _ in range(2):
        await scene.swept()
        scene.turn(GRACE / 2 - 1)
    await scene.swept()
    assert machine in scene.alive()


async def test_n6_three_an_hour_are_removed_and_no_more(scene: Scene) -> None:
    scene.removing()
    for instance in "abcde":
        await vanished(scene, instance)
    await scene.swept()
    scene.turn(GRACE + 1)
    for _ in range(20):
        await scene.swept()
        scene.turn(60)
    assert len(scene.alive()) == 2
    scene.turn(3600)
    await scene.swept()
    assert scene.alive() == {}


async def test_n6_by_request_it_is_removed_once_and_only_when_every_condition_holds(scene: Scene) -> None:
    machine = await vanished(scene)
    young = await scene.sync(remove_orphans=True)
    await scene.passes()
    assert (young.orphans_removed, young.orphans[0].held_back) == (0, "it was not seen in 2 complete listings yet")
    scene.turn(GRACE - 1)
    young = await scene.sync(remove_orphans=True)
    await scene.passes()
    assert (young.orphans_removed, young.orphans[0].held_back) == (0, "it is younger than 30 minutes")
    scene.turn(5)
    await scene.swept()
    assert scene.alive() == {machine: "running"}, "the wish was for then"
    scene.turn(60)
    planned = await scene.sync(remove_orphans=True, dry_run=True)
    done = await scene.sync(remove_orphans=True)
    await scene.passes()
    assert (planned.orphans_removed, done.orphans_removed) == (1, 1)
    assert scene.alive() == {}
    assert (await scene.events()).count(EventType.ORPHAN_REMOVED) == 1


async def test_of_many_at_once_the_figure_is_what_the_hour_leaves(scene: Scene) -> None:
    for instance in "abcde":
        await vanished(scene, instance)
    await old(scene)
    planned = await scene.sync(remove_orphans=True, dry_run=True)
    done = await scene.sync(remove_orphans=True)
    await scene.passes()
    assert (planned.orphans_removed, done.orphans_removed, len(scene.alive())) == (3, 3, 2)
    assert [fault.code for fault in done.errors] == ["LIMIT_REACHED"]
    assert (await scene.sync(remove_orphans=True)).orphans_removed == 0


async def test_a_late_machine_is_no_orphan_and_is_deleted_at_once_though_its_record_is_closed(scene: Scene) -> None:
    scene.machine("train-abc-dep1-abc-1", "dep1/abc/1")
    await scene.keep(closed(None, state=AttemptState.SETTLED))
    await scene.swept()
    assert scene.alive() == {}
    assert await scene.events() == [EventType.TWIN_FOUND]


async def test_what_a_person_wanted_deleted_is_deleted_again_when_it_is_back(scene: Scene) -> None:
    machine = scene.machine("train-abc-dep1-abc-1", "dep1/abc/1")
    await scene.keep(closed(machine))
    await scene.swept()
    assert scene.alive() == {}


async def test_n17_one_half_of_a_marker_is_told_of_once_and_never_touched(scene: Scene) -> None:
    scene.removing()
    machine = await vanished(scene)
    clone = scene.machine("a-clone", "dep1/abc/1")
    named = scene.machine("train-abc-dep1-abc-1", "")
    for _ in range(5):
        await scene.swept()
        scene.turn(GRACE)
    assert set(scene.alive()) == {clone, named}
    assert (await scene.events()).count(EventType.LOOKALIKE_FOUND) == 2
    report = await scene.sync(remove_orphans=True)
    assert {one.novita_instance_id for one in report.lookalikes} == {clone, named}
    assert report.orphans == ()
    assert [call["body"]["instanceId"] for call in scene.calls("delete")] == [machine]


async def test_an_orphan_that_went_and_came_back_is_told_of_anew(scene: Scene) -> None:
    machine = scene.machine("lost-dep1-zzz-1", "dep1/zzz/1")
    await scene.swept()
    scene.simulator.control.post("disguise", instanceId=machine, fields={"envs": [], "name": "x"})
    scene.turn(60)
    await scene.swept()
    scene.simulator.control.post("disguise", instanceId=machine, fields={})
    scene.turn(60)
    await scene.swept()
    scene.turn(60)
    await scene.swept()
    assert await scene.events() == [EventType.ORPHAN_FOUND] * 2


async def test_t9_listings_at_the_same_time_tell_of_it_once(scene: Scene) -> None:
    scene.machine("lost-dep1-zzz-1", "dep1/zzz/1")
    await asyncio.gather(*(scene.sync() for _ in range(4)))
    assert await scene.events() == [EventType.ORPHAN_FOUND]


@pytest.mark.parametrize("is_marked", [True, False])
async def test_what_another_process_has_just_made_is_no_orphan(
    scene: Scene, valkey_url: str, prefix: str, is_marked: bool
) -> None:
    """The view may lag behind the store."""
    machine = scene.machine("train-1-dep1-abc-1", "dep1/abc/1")
    async with open_store(valkey_url, prefix=prefix) as other:
        if is_marked:
            record = new(attempts=(attempt(),))
        else:
            had = Machine(id=machine, offer=OFFER, attempt=1, adopted_at=T0, ran=True)
            record = new(id=InstanceId("ins_other"), machine=had)
        await other.records.commit(Change(before=None, after=record))
    await scene.sweep.sweep(asked=True)
    assert await scene.events() == []
    assert (await scene.sync()).orphans == ()


async def test_n5_a_marker_is_never_given_twice(scene: Scene) -> None:
    """The fifth machine of an instance whose first record was lost."""
    let_go = attempt(number=4, marker="dep1/abc/4", state=AttemptState.RELEASED)
    record = await scene.keep(new(spec=replace(new().spec, regions=("US-CA-06",)), attempts=(let_go,)))
    await scene.bell.ring(record.id)
    await scene.passes()
    (call,) = scene.calls("create")
    assert call["body"]["name"] == "train-1-dep1-abc-5"
