"""Spot machines under notice, and the jobs that move machines."""

from typing import Any

import pytest
from caller import Caller

from novita_gpu.cloud.simulator import Timing


async def reclaimed(cloud: Caller) -> str:
    instance_id = await cloud.running(billingMode="spot")
    cloud.control.post("reclaim", instanceId=instance_id, noticeSeconds=0)
    cloud.turn(5)
    return instance_id


async def test_a_reclaim_is_announced_an_hour_ahead_and_ends_in_exited(cloud: Caller) -> None:
    instance_id = await cloud.running(billingMode="spot")
    assert (await cloud.row(instance_id))["spotStatus"] == "running"
    cloud.control.post("reclaim", instanceId=instance_id)
    row = await cloud.row(instance_id)
    assert (row["status"], row["spotStatus"], row["spotReclaimTime"]) == ("running", "notified", "1780003610")
    cloud.turn(3600)
    assert (await cloud.row(instance_id))["spotStatus"] == "reclaiming"
    cloud.turn(5)
    row = await cloud.row(instance_id)
    assert (row["status"], row["spotStatus"], row["spotReclaimTime"]) == ("exited", "terminated", "1780003610")


async def test_the_status_of_a_reclaimed_machine_may_be_empty_again(cloud: Caller) -> None:
    cloud.quirks(spotStatusAfterReclaim="")
    row = await cloud.row(await reclaimed(cloud))
    assert (row["status"], row["spotStatus"]) == ("exited", "")
    assert row["spotReclaimTime"] != "0"


async def test_an_ordinary_stop_of_a_spot_machine_leaves_no_trace_of_a_reclaim(cloud: Caller) -> None:
    row = await cloud.row(await cloud.exited(billingMode="spot"))
    assert (row["spotStatus"], row["spotReclaimTime"]) == ("", "0")


async def test_a_stop_under_notice_calls_the_reclaim_off(cloud: Caller) -> None:
    instance_id = await cloud.running(billingMode="spot")
    cloud.control.post("reclaim", instanceId=instance_id, noticeSeconds=60)
    await cloud.act("stop", instance_id)
    cloud.turn(120)
    row = await cloud.row(instance_id)
    assert (row["status"], row["spotReclaimTime"]) == ("exited", "0")
    assert (await cloud.act("start", instance_id)).status == 200


async def test_a_reclaimed_machine_starts_no_more_but_migrates(cloud: Caller) -> None:
    instance_id = await reclaimed(cloud)
    assert (await cloud.act("start", instance_id)).reason == "INSUFFICIENT_RESOURCE"
    said = await cloud.act("migrate", instance_id)
    assert (said.status, said.body) == (200, b"")
    assert await cloud.status(instance_id) == "migrating"
    cloud.turn(10)
    row = await cloud.row(instance_id)
    assert (row["status"], row["spotStatus"], row["spotReclaimTime"]) == ("running", "running", "0")


async def test_the_gpus_of_a_reclaimed_machine_are_somebody_elses(cloud: Caller) -> None:
    cloud.control.post("stock", gpus=1)
    await reclaimed(cloud)
    assert (await cloud.order()).reason == "INSUFFICIENT_RESOURCE"


async def test_only_spot_machines_are_reclaimed(cloud: Caller) -> None:
    instance_id = await cloud.running()
    answer = cloud.control.answer("POST", "reclaim", {}, b'{"instanceId": "%s"}' % instance_id.encode())
    assert answer.status == 400


async def test_a_machine_under_notice_does_not_migrate(cloud: Caller) -> None:
    instance_id = await cloud.running(billingMode="spot")
    cloud.control.post("reclaim", instanceId=instance_id)
    assert (await cloud.act("migrate", instance_id)).reason == "OPERATION_LIMIT"


async def test_a_migration_goes_where_there_is_room(cloud: Caller) -> None:
    instance_id = await cloud.exited()
    cloud.control.post("stock", clusterId="us-ca-6", gpus=0)
    await cloud.act("migrate", instance_id)
    cloud.turn(10)
    one = await cloud.one(instance_id)
    assert (one["status"], one["clusterId"]) == ("running", "as-sgp-2")
    assert "as-sgp-2" in one["portMappings"][0]["endpoint"]


@pytest.mark.parametrize("was", ["running", "exited"])
async def test_without_room_a_migration_is_refused_and_changes_nothing(cloud: Caller, was: str) -> None:
    instance_id = await (cloud.running() if was == "running" else cloud.exited())
    cloud.control.post("stock", gpus=0)
    assert (await cloud.act("migrate", instance_id)).reason == "MIGRATE_INSUFFICIENT_RESOURCE"
    assert await cloud.status(instance_id) == was
    assert (await cloud.get("/jobs")).json == {"jobs": [], "total": 0}


async def test_or_its_job_fails_and_the_machine_is_exited(cloud: Caller) -> None:
    cloud.quirks(migrateShortage="fails")
    instance_id = await cloud.exited()
    cloud.control.post("stock", gpus=0)
    assert (await cloud.act("migrate", instance_id)).status == 200
    cloud.turn(10)
    (job,) = (await cloud.get("/jobs", type="instanceMigrate", state="fail")).json["jobs"]
    assert job["state"]["error"] == "MIGRATE_INSUFFICIENT_RESOURCE"
    assert job["instanceId"] == instance_id
    assert await cloud.status(instance_id) == "exited"


async def test_a_migration_is_a_job_from_pulling_to_success(cloud: Caller) -> None:
    instance_id = await cloud.running()
    await cloud.act("migrate", instance_id)

    async def job() -> Any:
        (row,) = (await cloud.get("/jobs")).json["jobs"]
        return row

    first = await job()
    assert len(first["Id"]) == 16
    assert first["state"] == {"state": "pulling", "error": "", "errorMessage": ""}
    assert (await cloud.one(instance_id))["jobs"] == [{"id": first["Id"], "type": "instanceMigrate"}]
    cloud.turn(2)
    assert (await job())["state"]["state"] == "running"
    assert (await cloud.post("/job/break", jobId=first["Id"])).reason == "MIGRATION_JOB_NOT_BREAKABLE"
    cloud.turn(8)
    assert (await job())["state"]["state"] == "success"
    assert (await cloud.one(instance_id))["jobs"] == []


async def test_the_next_jobs_can_be_made_to_fail(cloud: Caller) -> None:
    cloud.control.post("jobs", times=1)
    instance_id = await cloud.running()
    await cloud.act("migrate", instance_id)
    cloud.turn(10)
    assert await cloud.status(instance_id) == "exited"
    await cloud.act("migrate", instance_id)
    cloud.turn(10)
    assert await cloud.status(instance_id) == "running"


async def test_saving_an_image_can_be_broken_off(cloud: Caller) -> None:
    instance_id = await cloud.running()
    job_id = (await cloud.post("/job/save/image", instanceId=instance_id, image="r/x:1")).json["jobId"]
    assert (await cloud.post("/job/break", jobId=job_id)).json == {"jobId": job_id}
    assert (await cloud.get("/jobs", jobId=job_id)).json["jobs"][0]["state"]["state"] == "break"
    assert (await cloud.post("/job/break", jobId="nope")).reason == "JOB_NOT_FOUND"


async def test_the_cloud_may_move_a_reclaimed_machine_by_itself(cloud: Caller) -> None:
    instance_id = await cloud.running(billingMode="spot")
    await cloud.post("/gpu/instance/setAutoMigrate", instanceId=instance_id, autoMigrateOpen=True)
    cloud.control.post("reclaim", instanceId=instance_id, noticeSeconds=0)
    cloud.turn(5)
    assert await cloud.status(instance_id) == "migrating"
    cloud.turn(10)
    assert await cloud.status(instance_id) == "running"
    assert (await cloud.get("/jobs", type="autoInstanceMigrate")).json["total"] == 1


async def test_a_machine_deleted_while_it_moves_stays_deleted() -> None:
    cloud = Caller(timing=Timing(migrating_s=60))
    instance_id = await cloud.running()
    await cloud.act("migrate", instance_id)
    await cloud.act("delete", instance_id)
    cloud.turn(120)
    assert await cloud.rows() == []
    assert (await cloud.get("/jobs")).json["jobs"][0]["state"]["state"] == "success"
