"""The life of an instance, from create to its end."""

from novita_gpu.contract import time_text
from novita_gpu.placement import utc_now
from tests.plane import KEY, Service


async def test_what_was_asked_for_comes_about(service: Service) -> None:
    accepted = await service.create()
    assert (accepted["status"], accepted["region"], accepted["pricePerHour"]) == ("creating", "AS-SGP-02", "0.3500")
    trainer = await service.until("ready")
    assert trainer["id"] == accepted["instanceId"]
    assert trainer["readiness"]["state"] == "ready"
    assert service.machine()["status"] == "running"


async def test_ready_means_that_its_port_answers(service: Service) -> None:
    service.cloud.control.post("health", health="502")
    await service.create()
    running = await service.until("running")
    assert "readyAt" not in running
    service.cloud.control.post("health", health="ok")
    ready = await service.until("ready")
    assert [(p["port"], p["healthy"]) for p in ready["portMappings"]] == [(8080, True)]
    async with service.http.get(ready["portMappings"][0]["endpoint"]) as answer:
        assert answer.status == 200


async def test_the_single_get_tells_how_to_log_in(service: Service) -> None:
    trainer = await service.ready()
    details = trainer["connectionDetails"]
    assert details["ssh"].startswith("ssh -p ")
    assert len(details["sshPassword"]) == 20
    listed = (await service.get("/instances")).json["instances"]
    assert "sshPassword" not in listed[0]["connectionDetails"]


async def test_a_sign_of_life_is_kept_and_never_moves_backwards(service: Service) -> None:
    trainer, now = await service.ready(), time_text(utc_now())
    later = await service.ask("PUT", "/instances/trainer/last-used", {"lastUsedAt": now})
    earlier = await service.ask("PUT", "/instances/trainer/last-used", {"lastUsedAt": trainer["createdAt"]})
    assert later.json["lastUsedAt"] == earlier.json["lastUsedAt"] == now
    assert (await service.instance())["autoStop"]["lastActivitySource"] == "heartbeat"


async def test_stopped_is_said_only_once_the_cloud_says_exited(service: Service) -> None:
    trainer = await service.ready()
    machine = trainer["novitaInstanceId"]
    service.cloud.control.post("stick", instanceId=machine, status="stopping")
    accepted = await service.post("/instances/trainer/stop")
    assert (accepted.status, accepted.json["status"]) == (202, "stopping")
    await service.looked()
    await service.looked()
    assert (await service.instance())["status"] == "stopping"
    service.cloud.control.post("unstick", instanceId=machine)
    stopped = await service.until("stopped")
    assert stopped["novitaStatus"] == "exited"
    refused = await service.ask("PUT", "/instances/trainer/last-used", {})
    assert (refused.status, refused.code) == (409, "INSTANCE_NOT_RUNNING")


async def test_a_start_is_ready_with_its_new_port_and_password(service: Service) -> None:
    before = await service.ready()
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    accepted = await service.post("/instances/trainer/start")
    assert (accepted.status, accepted.json["status"]) == (202, "starting")
    await service.until("ready")
    after = await service.instance()
    assert after["novitaInstanceId"] == before["novitaInstanceId"]
    for what in ("ssh", "sshPassword"):
        assert after["connectionDetails"][what] != before["connectionDetails"][what]
    assert after["portMappings"][0]["endpoint"] != before["portMappings"][0]["endpoint"]


async def test_a_restart_shows_starting_at_once_and_is_ready_again(service: Service) -> None:
    before = await service.ready()
    accepted = await service.post("/instances/trainer/restart")
    assert (accepted.status, accepted.json["status"]) == (202, "starting")
    after = await service.until("ready", after=before["sequence"])
    assert after["readyAt"] > before["readyAt"]
    assert service.count("restart") == 1


async def test_deleted_is_said_only_once_the_cloud_says_it_is_gone(service: Service) -> None:
    trainer = await service.ready()
    machine = trainer["novitaInstanceId"]
    service.cloud.control.post("stick", instanceId=machine, status="removing")
    accepted = await service.delete("trainer")
    assert (accepted.status, accepted.json["status"]) == (202, "deleting")
    await service.looked()
    await service.looked()
    assert (await service.instance())["status"] == "deleting"
    service.cloud.control.post("unstick", instanceId=machine)
    gone = await service.until("deleted")
    assert gone["desired"] == "deleted"
    assert service.audit()["alive"] == []


async def test_its_timeline_tells_everything_once_and_in_order(service: Service) -> None:
    await service.ready()
    for wish, then in (("stop", "stopped"), ("start", "ready"), ("restart", "ready")):
        known = (await service.instance())["sequence"]
        await service.post(f"/instances/trainer/{wish}")
        await service.until(then, after=known)
    await service.gone()
    events = await service.events()
    assert [event["type"].removeprefix("instance.") for event in events] == [
        *("creating", "launch.offer_chosen", "running", "ready"),
        *("stopping", "stopped"),
        *("starting", "running", "ready"),
        *("starting", "running", "ready"),
        *("deleting", "deleted"),
    ]
    sequences = [event["data"]["sequence"] for event in events]
    assert sequences == sorted(set(sequences))


async def test_an_instance_is_named_by_our_id_the_clouds_id_or_its_name(service: Service) -> None:
    trainer = await service.ready()
    for ref in (trainer["id"], trainer["novitaInstanceId"], "trainer"):
        assert (await service.instance(ref))["id"] == trainer["id"]
    stopped = await service.post("/instances/stop", {"instanceName": "trainer"})
    assert (stopped.status, stopped.json["instanceId"]) == (202, trainer["id"])
    await service.until("stopped", of=trainer["id"])
    started = await service.post("/instances/start", {"instanceName": trainer["novitaInstanceId"]})
    assert (started.status, started.json["status"]) == (202, "starting")
    await service.until("ready", of=trainer["novitaInstanceId"])
    assert (await service.post("/instances/delete", {"instanceName": trainer["id"]})).status == 202
    await service.until("deleted")


async def test_without_ports_it_is_ready_as_soon_as_it_runs(service: Service) -> None:
    trainer = await service.ready(ports=[])
    assert trainer["readiness"]["endpoints"] == []


async def test_a_tcp_port_is_probed_by_connecting(service: Service) -> None:
    """T14"""
    trainer = await service.ready(ports=[{"port": 9000, "type": "tcp"}], healthCheck={"targetPort": 9000})
    (endpoint,) = trainer["readiness"]["endpoints"]
    assert (endpoint["port"], endpoint["healthy"], endpoint.get("statusCode")) == (9000, True, None)


async def test_one_operation_leads_from_the_request_through_events_to_the_cloud(service: Service) -> None:
    answer = await service.ask(
        "POST",
        "/instances",
        {"name": "trainer", "productName": "RTX 4090 24GB", "imageUrl": "docker.io/library/ubuntu:22.04"},
        key=KEY,
        X_Correlation_ID="night-run-7",
    )
    await service.until("ready")
    told = [event["data"] for event in await service.events()]
    assert {data["correlationId"] for data in told} == {"night-run-7"}
    assert {data["operationId"] for data in told} == {answer.json["operationId"]}
