"""The comparison that nobody asks for: when and by whom it is made, what it leaves alone, what health says of it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from novita_gpu.contract import time_text
from novita_gpu.control.bell import NextLook
from novita_gpu.control.sync_log import LOCK, RETRY, SyncState
from novita_gpu.control.timed_sync import LOCKED_FOR, LOOK_AGAIN
from novita_gpu.control.waking import AT_ONCE
from novita_gpu.domain.instance import InstanceId, Status, Wish, status
from tests.control.scene import MOVING, RESTING, Scene
from tests.control.test_idle_check import check_of, health_of
from tests.control.test_sync import populated
from tests.domain.given import T0, at, launched, new

pytest_plugins = ("tests.valkey",)

HALF_HOUR = timedelta(minutes=30)


async def state(scene: Scene) -> SyncState:
    found = await scene.sync_log.state()
    assert found
    return found


async def test_at_start_it_takes_the_place_of_the_listing(scene: Scene) -> None:
    await populated(scene)
    calls = scene.listings()
    timed = scene.timed()
    await timed.ask()
    assert scene.bell.looks == [scene.now]
    assert await timed.look(asked=True) == NextLook(at=scene.now + MOVING)
    assert scene.listings() == calls + 1
    known = await state(scene)
    assert (known.next_at, known.errors) == (scene.now + HALF_HOUR, ())
    assert known.last
    assert known.last.by == "sync"
    found = known.last
    assert (found.novita_instances, found.local_instances) == (5, 4)
    assert (found.adopted, found.updated, found.closed, found.missing, found.orphans) == (1, 1, 1, 1, 1)


async def test_until_the_interval_is_over_looks_are_listings(scene: Scene) -> None:
    timed = scene.timed()
    await timed.look(asked=True)
    first = await state(scene)
    for minutes in (1, 29):
        scene.now = T0 + timedelta(minutes=minutes)
        assert await timed.look(asked=True) == NextLook(at=scene.now + RESTING)
        assert await state(scene) == first
    scene.now = T0 + HALF_HOUR
    await timed.look(asked=False)
    assert (await state(scene)).tried_at == scene.now


async def test_of_many_that_start_at_once_one_makes_it_for_all(scene: Scene) -> None:
    replicas = [scene.timed(str(number)) for number in range(3)]
    for replica in replicas:
        await replica.ask()
    calls = scene.listings()
    for replica in replicas:
        scene.turn(2)
        await replica.look(asked=False)
    assert scene.listings() == calls + 1


async def test_who_finds_it_locked_looks_again_and_lists_nothing(scene: Scene) -> None:
    async with scene.store.facts.lock(LOCK, "another", LOCKED_FOR):
        assert await scene.timed().look(asked=True) == NextLook(at=scene.now + LOOK_AGAIN, asked=True)
        assert scene.listings() == 0
    await scene.timed().look(asked=True)
    assert scene.listings() == 1
    assert await scene.store.facts.holder(LOCK) is None


async def test_l2_starts_in_a_row_list_no_faster_than_the_shortest_interval(scene: Scene) -> None:
    for second in range(4):
        scene.now = at(second)
        timed = scene.timed()
        await timed.ask()
        await timed.look(asked=True)
    assert scene.listings() == 2


async def test_nothing_is_compared_before_the_records_are_known(scene: Scene) -> None:
    """T5: without records all machines of ours would be nobody's."""
    scene.store.view.loaded = False
    assert await scene.timed().look(asked=True) == NextLook(at=scene.now + MOVING, asked=True)
    assert (scene.listings(), await scene.sync_log.state()) == (0, None)


async def test_whoever_is_on_the_way_is_rung_and_lost_alarms_are_set(scene: Scene) -> None:
    """The whole queue is lost: what it held comes back from the records."""
    waits = await scene.keep(new(wants=Wish.STOPPED, due=at(3600)))
    moving = await scene.keep(launched(id=InstanceId("ins_moving"), name="moving", created_at=at(-400)))
    late = await scene.keep(new(id=InstanceId("ins_late"), name="late", wants=Wish.STOPPED, due=at(-1)))
    await scene.timed().look(asked=True)
    assert sorted(scene.bell.instances) == [late.id, moving.id]
    assert scene.bell.kept == {waits.id: at(3600)}
    assert scene.bell.alarmed == {}


async def test_l6_thousands_are_not_rung_at_once(scene: Scene) -> None:
    for number in range(AT_ONCE + 1):
        await scene.keep(new(id=InstanceId(f"ins_{number}"), name=f"n-{number}", due=at(0) if number else at(0.001)))
    await scene.timed().look(asked=True)
    assert scene.bell.instances == []
    assert len(scene.bell.alarmed) == AT_ONCE + 1
    assert {T0 <= turn < at(1) for turn in scene.bell.alarmed.values()} == {True}
    assert scene.bell.alarmed[InstanceId("ins_0")] <= at(0.001), "never later than it is due"


async def full(scene: Scene) -> None:
    for number in range(101):
        scene.machine(f"m-{number}", "")


TROUBLES: dict[str, dict[str, Any]] = {
    "a page that cannot be read": {"op": "list", "kind": "html", "match": {"pageNum": "2"}},
    "no page at all": {"op": "list", "kind": "503"},
}


async def failing(scene: Scene, trouble: str) -> None:
    """Everything that a sync could close, adopt or remove is there, and the cloud's list is not to be had."""
    await populated(scene)
    await full(scene)
    scene.simulator.control.post("faults", times=0, **TROUBLES[trouble])


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_t5_one_that_fails_closes_nothing_is_said_in_health_and_tried_again_soon(
    scene: Scene, trouble: str
) -> None:
    await failing(scene, trouble)
    timed, health = scene.timed(), health_of(scene, check_of(scene))
    await timed.ask()
    await timed.look(asked=True)
    await scene.passes()
    for name in ("lost1", "lost2", "abc", "runs"):
        assert (await scene.record(f"ins_{name}")).deleted_at is None
    assert scene.calls("delete") == []
    await health.check()
    view = health.view(True)
    assert view.sync
    assert view.dependencies
    assert view.sync.errors
    assert (view.status, view.sync.last_sync, view.dependencies["sync"].status) == ("degraded", None, "degraded")
    assert (await state(scene)).next_at == scene.now + RETRY
    scene.simulator.control.post("faults/clear")
    scene.turn(RETRY.total_seconds())
    await timed.look(asked=False)
    known = await state(scene)
    assert (known.errors, known.next_at) == ((), scene.now + HALF_HOUR)
    await health.check()
    view = health.view(True)
    assert view.sync
    assert view.dependencies
    assert (view.sync.last_sync, view.dependencies["sync"].status) == (time_text(scene.now), "up")


async def test_t5_an_empty_list_by_error_closes_nothing(scene: Scene) -> None:
    """The cloud says that there is nothing, in a list that is whole by all that it says of itself."""
    for number in range(5):
        await scene.lost(number)
    timed = scene.timed()
    for _ in range(4):
        await timed.look(asked=True)
        await scene.passes()
        scene.turn(RETRY.total_seconds())
    known = await state(scene)
    assert ([fault.code for fault in known.errors], known.last) == (["MASS_ABSENCE"], None)
    assert {(await scene.record(f"ins_lost{number}")).deleted_at for number in range(5)} == {None}


async def test_t5_a_list_that_lags_closes_nothing(scene: Scene) -> None:
    """It lacks a machine that is there: a get says so."""
    scene.simulator.control.post("listing", staleSeconds=3600)
    machine = scene.machine("train-1-dep1-abc-1", "dep1/abc/1")
    base = launched(created_at=at(-4000))
    assert base.machine
    mine = scene.adopted(base, machine)
    await scene.keep(mine)
    timed = scene.timed()
    for _ in range(3):
        await timed.look(asked=True)
        await scene.passes()
        scene.turn(RETRY.total_seconds())
        await timed.ask()
    found = (await state(scene)).last
    assert found
    assert (found.missing, found.closed) == (1, 0)
    assert status(await scene.record("ins_abc")) is not Status.DELETED
    assert machine in scene.alive()


async def test_health_says_who_makes_it_and_what_the_last_one_found(scene: Scene) -> None:
    await populated(scene)
    health = health_of(scene, check_of(scene))
    async with scene.store.facts.lock(LOCK, "host-7", LOCKED_FOR):
        await health.check()
    told = health.view(True).sync
    assert told
    assert (told.is_locked, told.locked_by, told.last_sync) == (True, "host-7", None)
    await scene.timed().look(asked=True)
    await health.check()
    told = health.view(True).sync
    assert told
    assert told.found
    assert (told.is_locked, told.last_sync) == (False, time_text(scene.now))
    assert (told.found.closed, told.found.missing) == (1, 1)
    assert told.duration_ms
    assert told.next_sync == time_text(scene.now + HALF_HOUR)


async def test_one_that_does_not_come_is_said_to_be_late(scene: Scene) -> None:
    health = health_of(scene, check_of(scene))
    await scene.timed().look(asked=True)
    scene.turn(HALF_HOUR.total_seconds() + 89)
    await scene.swept()
    await health.check()
    assert (health.view(True).dependencies or {})["sync"].detail is None
    scene.turn(2)
    assert (health.view(True).dependencies or {})["sync"].detail == "the sync is late"


async def test_a_persons_comparison_counts_too_and_a_dry_run_does_not(scene: Scene) -> None:
    await scene.sync(dry_run=True)
    assert await scene.sync_log.state() is None
    await scene.sync()
    known = await state(scene)
    assert known.last
    assert (known.last.by, known.next_at) == ("admin", scene.now + HALF_HOUR)


async def test_two_at_once_do_no_harm(scene: Scene) -> None:
    await populated(scene)
    await asyncio.gather(scene.timed().look(asked=True), scene.sync())
    await scene.passes()
    assert (await scene.record("ins_lost1")).deleted_at is None
