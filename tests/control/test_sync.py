"""Comparison with the cloud: what it finds, takes in and confirms, and what a dry run leaves as it was."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.base import Unreachable
from novita_gpu.contract import SyncReport
from novita_gpu.control.ledger import CONFIRMED_FOR
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import (
    AttemptState,
    CloudId,
    InstanceId,
    Machine,
    Mutation,
    MutationKind,
    Record,
    RunKind,
    Seen,
    Status,
    Wish,
    status,
)
from tests.control.scene import CALLER, Scene
from tests.control.test_orphans import closed, old, vanished
from tests.domain.given import OFFER, T0, at, attempt, new, stopped

pytest_plugins = ("tests.valkey",)


def figures(report: SyncReport) -> dict[str, Any]:
    """All that a dry run and the real one answer alike."""
    told = {name: getattr(report, name) for name in report.__struct_fields__}
    for name in ("duration_ms", "dry_run", "adoptions"):
        told.pop(name)
    return told


async def contents(scene: Scene) -> dict[str, bytes | None]:
    """Every key of the store, as the server dumps it."""
    wire, found = scene.store.wire, dict[str, bytes | None]()
    for key in sorted(await wire.keys(scene.store.keys.pattern)):
        found[key.decode()] = await wire._send("DUMP", key)  # pyright: ignore[reportPrivateUsage]
    return found


async def populated(scene: Scene) -> dict[str, CloudId]:
    """One of each kind, seen in two listings where that matters."""
    machines = {"orphan": await vanished(scene, "orphan"), "foreign": scene.machine("somebodys", "")}
    await old(scene)
    machines["awaited"] = scene.machine("train-1-dep1-abc-1", "dep1/abc/1")
    machines["clone"] = scene.machine("clone", "dep1/abc/1")
    await scene.keep(new(attempts=(attempt(),)))
    runs = scene.machine("runs-dep1-runs-1", "dep1/runs/1")
    taken = attempt(marker="dep1/runs/1", state=AttemptState.ADOPTED, machine=runs)
    machine, seen = Machine(id=runs, offer=OFFER, attempt=1, adopted_at=T0, ran=True), Seen(at=T0, status="exited")
    await scene.keep(stopped(id=InstanceId("ins_runs"), name="runs", machine=machine, attempts=(taken,), seen=seen))
    await scene.lost(1)
    await scene.lost(2, missing_at=scene.now - timedelta(seconds=60))
    return machines


async def test_what_a_listing_tells_is_counted(scene: Scene) -> None:
    machines = await populated(scene)
    report = await scene.sync()
    assert (report.novita_instances, report.local_instances) == (5, 4)
    assert (report.adopted, report.updated, report.closed, report.missing) == (1, 1, 1, 1)
    assert [one.novita_instance_id for one in report.orphans] == [machines["orphan"]]
    assert report.orphans[0].usd_per_hour == "0.3500"
    assert report.orphans[0].since == "2026-01-01T00:00:00.000Z"
    assert [one.novita_instance_id for one in report.lookalikes] == [machines["clone"]]
    assert (report.orphans_removed, report.errors, report.dry_run) == (0, (), False)


async def test_what_was_counted_comes_about_by_the_passes(scene: Scene) -> None:
    machines = await populated(scene)
    await scene.sync(remove_orphans=True)
    await scene.passes()
    awaited, gone, lost = [await scene.record(f"ins_{name}") for name in ("abc", "lost2", "lost1")]
    assert awaited.machine
    assert awaited.machine.id == machines["awaited"]
    assert status(gone) is Status.DELETED
    assert (lost.deleted_at, lost.missing_at) == (None, scene.now)
    assert machines["orphan"] not in scene.alive()
    scene.turn(14)
    await scene.swept()
    assert status(await scene.record("ins_lost1")) is Status.DELETED


async def test_what_is_missing_is_looked_for_again_after_the_time_of_confirmation(scene: Scene) -> None:
    await scene.lost(1)
    assert (await scene.sync()).missing == 1
    assert scene.bell.looks == [scene.now + timedelta(seconds=12)]


async def test_n18_a_dry_run_says_the_same_and_writes_nothing(scene: Scene) -> None:
    await populated(scene)
    before, calls = await contents(scene), scene.listings()
    planned = await scene.sync(dry_run=True, remove_orphans=True, adopt=tuple(scene.alive()))
    assert await contents(scene) == before
    assert (scene.bell.instances, scene.bell.looks) == ([], [])
    assert scene.listings() == calls + 1
    changing = ("create", "start", "stop", "restart", "migrate", "delete")
    assert [call for op in changing for call in scene.calls(op)] == []
    done = await scene.sync(remove_orphans=True, adopt=tuple(scene.alive()))
    assert figures(planned) == figures(done)
    assert [(one.novita_instance_id, one.name) for one in planned.adoptions] == [
        (one.novita_instance_id, one.name) for one in done.adoptions
    ]
    assert planned.dry_run
    assert await contents(scene) != before


async def test_t5_a_page_that_fails_closes_and_removes_nothing(scene: Scene) -> None:
    await populated(scene)
    for number in range(101):
        scene.machine(f"m-{number}", "")
    scene.simulator.control.post("faults", op="list", kind="html", match={"pageNum": "2"}, times=0)
    report = await scene.sync(remove_orphans=True, confirm_gone=True)
    await scene.passes()
    assert (report.closed, report.missing, report.orphans_removed, report.confirmed_gone) == (0, 0, 0, ())
    (fault,) = report.errors
    assert fault.code == "LISTING_INCOMPLETE"
    assert status(await scene.record("ins_lost2")) is not Status.DELETED
    assert scene.calls("delete") == []


async def test_t15_without_a_listing_there_is_no_comparison(scene: Scene) -> None:
    await populated(scene)
    before = await contents(scene)
    scene.simulator.control.post("faults", op="list", kind="503", times=0)
    with pytest.raises(Unreachable):
        await scene.sync()
    assert await contents(scene) == before


async def missing_many(scene: Scene) -> None:
    for number in range(4):
        await scene.lost(number)


async def test_t5_many_gone_at_once_are_closed_after_an_operator_says_so(scene: Scene) -> None:
    await missing_many(scene)
    doubted = await scene.sync()
    await scene.passes()
    assert (doubted.missing, [fault.code for fault in doubted.errors]) == (0, ["MASS_ABSENCE"])
    assert {(await scene.record(f"ins_lost{n}")).missing_at for n in range(4)} == {None}
    planned = await scene.sync(confirm_gone=True, dry_run=True)
    confirmed = await scene.sync(confirm_gone=True)
    assert figures(planned) == figures(confirmed)
    assert (confirmed.missing, confirmed.errors) == (4, ())
    assert confirmed.confirmed_gone == tuple(f"{n:016x}" for n in range(4))
    await scene.passes()
    assert status(await scene.record("ins_lost0")) is not Status.DELETED, "a get and a later listing come first"
    scene.turn(12)
    await scene.swept()
    assert {status(await scene.record(f"ins_lost{n}")) for n in range(4)} == {Status.DELETED}
    assert EventType.GONE_CONFIRMED in await scene.events()


async def test_t5_what_is_missing_besides_is_doubted_all_the_same(scene: Scene) -> None:
    await missing_many(scene)
    await scene.sync(confirm_gone=True)
    for number in range(4, 8):
        await scene.lost(number)
    assert [fault.code for fault in (await scene.sync()).errors] == ["MASS_ABSENCE"]


async def test_t5_a_confirmation_ends(scene: Scene) -> None:
    await missing_many(scene)
    await scene.sync(confirm_gone=True)
    scene.turn(CONFIRMED_FOR.total_seconds() - 1)
    assert (await scene.sync()).errors == ()
    scene.turn(1)
    assert [fault.code for fault in (await scene.sync()).errors] == ["MASS_ABSENCE"]


async def test_nothing_is_confirmed_where_nothing_is_doubted(scene: Scene) -> None:
    await scene.lost(1)
    assert (await scene.sync(confirm_gone=True)).confirmed_gone == ()
    assert EventType.GONE_CONFIRMED not in await scene.events()


async def test_t5_a_new_key_that_shows_none_of_ours_goes_on_after_an_operator_says_so(scene: Scene) -> None:
    await scene.swept()
    await scene.lost(1)
    scene.turn(60)
    other = scene.with_key("key-2")
    doubted = await scene.sync(sweep=other)
    assert ([fault.code for fault in doubted.errors], doubted.missing) == (["ACCOUNT_CHANGED"], 0)
    assert (await scene.sync(sweep=other, confirm_gone=True)).missing == 1
    for _ in range(2):
        await scene.passes()
        scene.turn(12)
        await scene.with_key("key-2").sweep(asked=True)
    await scene.passes()
    assert status(await scene.record("ins_lost1")) is Status.DELETED


async def taken(scene: Scene, machine: CloudId, **asked: Any) -> Record:
    report = await scene.sync(adopt=(machine,), **asked)
    assert report.errors == ()
    (one,) = report.adoptions
    return await scene.record(one.instance_id or "")


async def test_n17_a_foreign_machine_is_taken_in_as_it_is(scene: Scene) -> None:
    envs = [{"key": "HF_HOME", "value": "/data"}]
    more = {"ports": "8080/http, 9000/tcp", "envs": envs, "command": "serve", "gpuNum": 2, "clusterId": "us-ca-6"}
    machine = scene.machine("box", "", **more)
    scene.simulator.control.post("disguise", instanceId=machine, fields={"name": "Some body's_box"})
    record = await taken(scene, machine)
    assert record.name == "Some-body-s_box"
    assert (record.wants, status(record), record.run.kind) == (Wish.RUNNING, Status.RUNNING, RunKind.TAKEN_IN)
    assert record.machine
    assert (record.machine.id, record.machine.ran) == (machine, True)
    spec = record.spec
    assert (spec.product_id, spec.gpu_num, spec.image_url, spec.rootfs_size_gb) == ("4090.16c62g", 2, "ubuntu", 60)
    assert [(port.port, port.type) for port in spec.ports] == [(8080, "http"), (9000, "tcp")]
    assert ([env.key for env in spec.envs], spec.command, spec.regions) == (["HF_HOME"], "serve", ("US-CA-06",))
    assert not record.auto_stop.enabled
    assert record.offer
    assert record.offer.units_per_hour == 70_000
    assert record.next_attempt == 2
    (told, runs) = await scene.store.events.read(0, 100)
    assert (told.type, told.actor, runs.type) == (EventType.TAKEN_IN, CALLER.actor, EventType.RUNNING)
    assert "auto-stop is off" in (told.reason or "")


async def test_what_does_not_run_is_taken_in_stopped(scene: Scene) -> None:
    machine = scene.machine("box", "")
    scene.simulator.control.post("console", action="stop", instanceId=machine)
    record = await taken(scene, machine)
    assert (record.wants, status(record)) == (Wish.STOPPED, Status.STOPPED)
    await scene.passes()
    assert scene.calls("start") == []


async def test_n17_a_machine_that_was_taken_in_is_not_stopped_by_any_rule_of_ours(scene: Scene) -> None:
    """It answers on no port, nobody sends a heartbeat, and nobody here has asked for either."""
    scene.simulator.control.post("health", health="502")
    machine = scene.machine("box", "", ports="8080/http")
    await taken(scene, machine)
    for _ in range(10):
        await scene.swept()
        scene.turn(1800)
    assert scene.alive() == {machine: "running"}
    assert scene.calls("stop") == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("sync", "adopted-sync"),
        ("0123456789abcdef", "adopted-0123456789abcdef"),
        ("ins_1", "adopted-ins_1"),
        ("train-1-dep1-zzz-1", "train-1"),
        ("taken", "taken-3"),
        ("x" * 120, "x" * 100),
    ],
)
async def test_the_name_is_one_that_an_instance_may_have(scene: Scene, given: str, name: str) -> None:
    for number, other in enumerate(("taken", "taken-2")):
        await scene.keep(new(id=InstanceId(f"ins_other{number}"), name=other, wants=Wish.STOPPED))
    marker = "dep1/zzz/1" if "zzz" in given else ""
    machine = scene.machine("box", marker)
    scene.simulator.control.post("disguise", instanceId=machine, fields={"name": given})
    assert (await taken(scene, machine)).name == name


async def test_n6_an_orphan_of_a_lost_store_gets_its_id_back(scene: Scene) -> None:
    first = scene.machine("train-1-dep1-zzz-1", "dep1/zzz/1")
    third = scene.machine("train-1-dep1-zzz-3", "dep1/zzz/3")
    record = await taken(scene, first)
    assert (record.id, record.attempts[0].marker, record.next_attempt) == (InstanceId("ins_zzz"), "dep1/zzz/1", 4)
    await scene.swept()
    report = await scene.sync()
    assert [one.novita_instance_id for one in report.orphans] == [third]
    other = await taken(scene, third)
    assert (other.id != record.id, other.name) == (True, "train-1-2")
    for _ in range(3):
        scene.turn(60)
        await scene.swept()
    assert set(scene.alive()) == {first, third}
    assert scene.calls("delete") == []
    assert (await scene.sync()).orphans == ()


async def test_an_orphan_with_a_closed_record_gets_a_new_one_and_the_closed_one_lets_go_of_it(scene: Scene) -> None:
    machine = await vanished(scene)
    await old(scene)
    record = await taken(scene, machine)
    assert (record.id == InstanceId("ins_abc"), record.attempts[0].marker) == (False, "dep1/abc/1")
    scene.removing()
    for _ in range(4):
        scene.turn(1800)
        await scene.swept()
    assert scene.alive() == {machine: "running"}
    assert (await scene.record("ins_abc")).deleted_at
    assert (await scene.sync(remove_orphans=True)).orphans == ()


async def test_a_machine_that_was_let_go_before_a_crash_can_still_be_taken_in(scene: Scene) -> None:
    """The record that the marker names has let go of it, and the new record was not written any more."""
    scene.removing()
    machine = scene.machine("train-abc-dep1-abc-1", "dep1/abc/1")
    await scene.keep(closed(machine, state=AttemptState.RELEASED))
    for _ in range(3):
        await scene.swept()
        scene.turn(3600)
    assert scene.alive() == {machine: "running"}
    assert [one.novita_instance_id for one in (await scene.sync()).orphans] == [machine]
    assert (await taken(scene, machine)).id != InstanceId("ins_abc")


async def test_a_machine_that_was_taken_in_and_deleted_is_deleted_again_by_its_last_owner(scene: Scene) -> None:
    machine = await vanished(scene)
    record = await taken(scene, machine)
    gone = replace(record, machine=None, seen=None, wants=Wish.DELETED, deleted_at=scene.now)
    await scene.store.records.commit(scene.journal.change(record, gone, CALLER.cause, scene.now))
    await scene.swept()
    assert scene.alive() == {}
    assert (await scene.record(record.id)).twin_removal


async def test_t9_of_two_syncs_at_once_one_takes_it_in(scene: Scene) -> None:
    for machine in (scene.machine("box", ""), scene.machine("lost-dep1-zzz-1", "dep1/zzz/1"), await vanished(scene)):
        reports = await asyncio.gather(*(scene.sync(adopt=(machine,)) for _ in range(4)))
        assert sum(len(report.adoptions) for report in reports) == 1
        faults = [fault.code for report in reports for fault in report.errors]
        assert faults == ["INSTANCE_ALREADY_EXISTS"] * 3
    assert (await scene.events()).count(EventType.TAKEN_IN) == 3
    assert len(await scene.store.records.living()) == 3


async def test_what_is_ours_already_or_not_there_is_refused(scene: Scene) -> None:
    ours = scene.machine("box", "")
    await taken(scene, ours)
    late = scene.machine("train-1-dep1-abc-1", "dep1/abc/1")
    await scene.keep(new(wants=Wish.STOPPED, attempts=(attempt(state=AttemptState.SETTLED),)))
    going = scene.machine("going", "")
    scene.simulator.control.post("disguise", instanceId=going, fields={"status": "toRemove"})
    asked = (ours, late, going, CloudId("f" * 16))
    for dry_run in (True, False):
        report = await scene.sync(adopt=asked, dry_run=dry_run)
        assert [(fault.novita_instance_id, fault.code) for fault in report.errors] == [
            (ours, "INSTANCE_ALREADY_EXISTS"),
            (late, "INSTANCE_ALREADY_EXISTS"),
            (going, "INSTANCE_NOT_RUNNING"),
            ("f" * 16, "INSTANCE_NOT_FOUND"),
        ]
        assert report.adoptions == ()


async def test_a_machine_that_is_being_deleted_is_not_taken_in(scene: Scene) -> None:
    """The delete may be on its way: its answer is not known."""
    machine = await vanished(scene)
    removal = Mutation(
        id="mut", kind=MutationKind.DELETE, machine=machine, generation=1, at=at(0), deadline=at(30), tries=1
    )
    record = await scene.record("ins_abc")
    await scene.store.records.commit(
        scene.journal.change(record, replace(record, twin_removal=removal), CALLER.cause, T0)
    )
    report = await scene.sync(adopt=(machine,))
    assert [fault.code for fault in report.errors] == ["INSTANCE_NOT_RUNNING"]
