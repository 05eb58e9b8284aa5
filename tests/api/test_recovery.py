"""Recovery over HTTP: its state, and checks at a person's wish."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from novita_gpu.domain.instance import CloudId, Record, Seen, Wish
from novita_gpu.domain.recovery import begun, lost
from tests.api.served import LEAST, Scope, Served
from tests.domain import given


def taken(record: Record, seconds_ago: float = 30) -> Record:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return lost(given.ready(), at, "the cloud took its spot machine")


async def test_with_nothing_taken_there_is_nothing_to_tell(api: Served) -> None:
    await api.becomes(await api.created(), given.ready())
    told = (await api.get("/api/instances/migration/status", key=Scope.READ)).json
    assert (told["onReclaim"], told["maxPerDay"], told["minIntervalMinutes"]) == ("migrate", 3, 30)
    assert (told["recovering"], told["last"], told["spotInstances"]) == ([], [], 0)


async def test_each_that_was_taken_is_told_with_its_stage(api: Served) -> None:
    now = datetime.now(UTC)
    due = taken(given.ready())
    waits = replace(due, recoveries=(now - timedelta(minutes=5),))
    limit = replace(due, recoveries=(now - timedelta(minutes=5),) * 3)
    under_way = begun(due, "recreate", now, "op_9")
    for name, other in (("due", due), ("waits", waits), ("limit", limit), ("under-way", under_way)):
        machine = other.machine and replace(other.machine, id=CloudId(name.encode().hex().rjust(16, "0")))
        await api.becomes(await api.created(name), replace(other, machine=machine))
    told = (await api.get("/api/instances/migration/status")).json
    stages = {row["name"]: row["stage"] for row in told["recovering"]}
    assert stages == {"due": "due", "waits": "waiting", "limit": "limit", "under-way": "under way"}
    rows = {row["name"]: row for row in told["recovering"]}
    assert rows["waits"]["nextAt"] > rows["waits"]["lostAt"]
    assert (rows["under-way"]["by"], "nextAt" in rows["under-way"]) == ("recreate", False)
    assert all(row["status"] == "migrating" for row in told["recovering"])


async def test_a_trigger_rings_for_them_and_a_dry_run_does_not(api: Served) -> None:
    """N18"""
    record = await api.becomes(await api.created(), taken(given.ready()))
    api.bell.instances.clear()
    api.bell.looks.clear()
    dry = (await api.post("/api/instances/migration/trigger", {"dryRun": True})).json
    assert (api.bell.instances, api.bell.looks) == ([], [])
    assert [row["instanceId"] for row in dry["results"]] == [record.id]
    real = (await api.post("/api/instances/migration/trigger")).json
    assert [row["stage"] for row in real["results"]] == [row["stage"] for row in dry["results"]] == ["due"]
    assert api.bell.instances == [record.id]
    assert len(api.bell.looks) == 1


async def machine_with_failed_job(api: Served) -> CloudId:
    order = {"name": "x", "productId": "4090.16c62g", "gpuNum": 1, "rootfsSize": 60, "kind": "gpu"}
    made: Any = api.simulator.control.post("console", action="create", body={**order, "imageUrl": "ubuntu"})
    api.simulator.control.post("clock", advance=60)
    api.simulator.control.post("jobs", times=1)
    api.simulator.control.post("console", action="migrate", instanceId=made["id"])
    api.simulator.control.post("clock", advance=60)
    return CloudId(made["id"])


async def test_a_migration_that_failed_is_found_and_its_recovery_rung_for(api: Served) -> None:
    machine = await machine_with_failed_job(api)
    other = given.ready(seen=Seen(at=given.at(100), status="exited"))
    assert other.machine
    record = await api.becomes(await api.created(), replace(other, machine=replace(other.machine, id=machine)))
    api.bell.instances.clear()
    dry = (await api.post("/api/instances/migration/check-failed", {"dryRun": True})).json
    assert api.bell.instances == []
    (row,) = dry["results"]
    assert (row["instanceId"], row["newest"], row["outcome"], row["state"]) == (record.id, True, "due", "fail")
    real = (await api.post("/api/instances/migration/check-failed")).json
    assert real["results"][0]["outcome"] == "rung"
    assert api.bell.instances == [record.id]


async def test_failed_migrations_of_others_and_of_what_is_stopped_are_left(api: Served) -> None:
    """N17, N21"""
    machine = await machine_with_failed_job(api)
    told = (await api.post("/api/instances/migration/check-failed")).json
    assert (told["totalChecked"], told["results"]) == (1, [])
    other = given.stopped(wants=Wish.STOPPED)
    assert other.machine
    await api.becomes(await api.created(), replace(other, machine=replace(other.machine, id=machine)))
    api.bell.instances.clear()
    (row,) = (await api.post("/api/instances/migration/check-failed")).json["results"]
    assert (row["outcome"], row["reason"]) == ("none", "the instance is not meant to run")
    assert api.bell.instances == []


async def test_an_image_needs_a_place_to_be_saved_at(api: Served) -> None:
    wanted: dict[str, Any] = {"recovery": {"saveImage": True}}
    refused = await api.post("/api/instances", {**LEAST, "name": "a", **wanted})
    assert refused.status == 400
    (fault,) = refused.json["error"]["details"]
    assert fault["field"] == "recovery.saveImage"
    assert "imageRepository" in fault["message"]
    for wrong in ("registry.example.com/team/x:latest", "UPPER/case:1", "", "a b"):
        wanted["recovery"]["imageRepository"] = wrong
        told = await api.post("/api/instances", {**LEAST, "name": "a", **wanted})
        assert (told.status, told.json["error"]["details"][0]["field"]) == (400, "recovery.imageRepository")
    wanted["recovery"]["imageRepository"] = "registry.example.com:5000/team/x"
    assert (await api.post("/api/instances", {**LEAST, "name": "a", **wanted})).status == 201


async def test_figures_count_what_was_taken_what_came_back_and_what_runs_dearer(api: Served) -> None:
    before = await api.becomes(await api.created(), given.ready())
    await api.becomes(before, taken(before))
    lines = (await api.get("/metrics")).body.decode().splitlines()
    assert "novita_gpu_reclaims_total 1.0" in lines
    assert 'novita_gpu_events_total{type="instance.creating"} 1.0' in lines
    assert 'novita_gpu_recovery_seconds_bucket{by="migrate",le="+Inf"} 0.0' in lines
    assert "novita_gpu_dearer_instances 0.0" in lines
