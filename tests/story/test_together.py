"""All instances at once, and what else the account has."""

from typing import Any

from tests.plane import IMAGE, Service, eventually

FOREIGN: dict[str, Any] = {
    "name": "somebody-elses",
    "productId": "4090.16c62g",
    "gpuNum": 1,
    "rootfsSize": 60,
    "imageUrl": IMAGE,
    "clusterId": "us-ca-6",
    "kind": "gpu",
}


async def test_ours_and_the_clouds_are_shown_side_by_side(service: Service) -> None:
    trainer = await service.ready()
    service.cloud.control.post("console", action="create", body=FOREIGN)
    answer = await service.get("/instances/comprehensive")
    rows = {row["name"]: row for row in answer.json["instances"]}
    assert (rows["trainer"]["source"], rows["trainer"]["dataConsistency"]) == ("merged", "consistent")
    assert rows["trainer"]["novitaInstanceId"] == trainer["novitaInstanceId"]
    assert rows["somebody-elses"]["source"] == "novita"
    assert answer.json["sources"] == {"local": 0, "novita": 1, "merged": 1}
    alone = await service.get("/instances/comprehensive?includeNovitaOnly=false")
    assert [row["name"] for row in alone.json["instances"]] == ["trainer"]


async def test_with_the_cloud_out_of_reach_ours_are_shown_with_a_warning(service: Service) -> None:
    await service.ready()
    service.fault("503", "list", times=0)
    answer = await service.get("/instances/comprehensive")
    assert answer.status == 200
    assert answer.headers["warning"].startswith("110")
    assert answer.json["syncErrors"]
    assert [row["status"] for row in answer.json["instances"]] == ["ready"]


async def test_stop_all_first_says_what_it_would_do_and_does_nothing(service: Service) -> None:
    """N18"""
    await service.ready("runs")
    await service.ready("stands")
    await service.post("/instances/stands/stop")
    await service.until("stopped", of="stands")
    service.cloud.control.post("stick", status="pulling", creates=1)
    await service.create("comes-up")
    told, asked = await service.told("runs"), service.count("stop")
    answer = await service.post("/instances/stop-all", {"dryRun": True})
    assert (answer.status, answer.json["count"]) == (202, 2)
    assert {row["name"] for row in answer.json["results"]} == {"runs", "comes-up"}
    await service.looked()
    assert (await service.told("runs"), service.count("stop")) == (told, asked)
    assert (await service.instance("runs"))["status"] == "ready"


async def test_stop_all_stops_what_runs_and_what_comes_up(service: Service) -> None:
    """N11"""
    await service.ready("runs")
    service.cloud.control.post("stick", status="pulling", creates=1)
    await service.create("comes-up")
    await eventually(lambda: len(service.machines()) == 2)  # it is the one that sticks
    service.cloud.control.post("console", action="create", body=FOREIGN)
    answer = await service.post("/instances/stop-all", {})
    assert {row["name"]: row["status"] for row in answer.json["results"]} == {
        "runs": "stopping",
        "comes-up": "stopping",
    }
    await service.until("stopped", of="runs")
    await service.until("stopped", of="comes-up")
    await eventually(lambda: sorted(m["status"] for m in service.audit()["alive"]) == ["exited", "running"])
    assert [m["name"] for m in service.audit()["alive"] if m["status"] == "running"] == ["somebody-elses"]


async def test_what_somebody_stops_in_the_console_is_stopped_here_and_stays_so(service: Service) -> None:
    trainer = await service.ready()
    service.cloud.control.post("console", action="stop", instanceId=trainer["novitaInstanceId"])
    stopped = await service.until("stopped")
    assert stopped["desired"] == "stopped"
    assert "cloud.changed_outside" in await service.told()
    assert service.count("start") == 0


async def test_what_somebody_removes_in_the_console_is_deleted_here(service: Service) -> None:
    trainer = await service.ready()
    service.cloud.control.post("console", action="delete", instanceId=trainer["novitaInstanceId"])
    await service.until("deleted")
    assert service.audit()["everCreated"] == 1


async def test_foreign_machines_are_never_touched(service: Service) -> None:
    """N17"""
    service.cloud.control.post("console", action="create", body=FOREIGN)
    await service.ready()
    await service.gone()
    await service.looked()
    assert [(m["name"], m["status"]) for m in service.audit()["alive"]] == [("somebody-elses", "running")]
    touched = {c["body"].get("instanceId") for c in service.calls() if c["op"] in {"stop", "delete", "start"}}
    assert service.audit()["alive"][0]["id"] not in touched
