"""Getting a machine: regions in order, what the cloud will not sell, what gets stuck."""

from pathlib import Path

from tests.plane import PRODUCT, Service, eventually, in_order, serving

SINGAPORE = "as-sgp-2"


async def test_the_next_region_is_taken_where_the_first_has_no_stock(service: Service) -> None:
    service.stock(0, SINGAPORE)
    trainer = await service.ready()
    assert trainer["region"] == "CN-HK-01"
    refused = [e["data"]["reason"] for e in await service.events() if e["type"] == "launch.offer_refused"]
    assert refused
    assert all("AS-SGP-02" in reason for reason in refused)
    assert service.audit()["everCreated"] == 1


async def test_an_empty_region_is_not_asked_again_by_the_next_instance(service: Service) -> None:
    service.stock(0, SINGAPORE)
    await service.ready("first")
    asked = service.count("create")
    await service.ready("second")
    assert service.count("create") == asked + 1


async def test_without_fallback_only_the_preferred_region_is_tried(service: Service) -> None:
    service.stock(0, SINGAPORE)
    await service.create(region=SINGAPORE, fallback=False)
    failed = await service.until("failed")
    assert failed["error"]["code"] == "NO_OFFER"
    assert service.audit()["everCreated"] == 0


async def test_no_offer_is_said_at_once_where_the_catalogue_rules_all_out(service: Service) -> None:
    service.stock(0)
    answer = await service.post("/instances", {"name": "trainer", "productName": PRODUCT, "imageUrl": "ubuntu:22.04"})
    assert (answer.status, answer.code) == (422, "NO_OFFER")
    assert {line["region"] for line in answer.json["error"]["details"]} == {"AS-SGP-02", "CN-HK-01", "AS-IN-01"}
    assert (await service.get("/instances")).json["total"] == 0


async def test_no_offer_is_a_failure_after_the_last_refusal_and_bills_nothing(service: Service) -> None:
    service.fault("insufficient", "create", times=0)
    await service.create()
    failed = await service.until("failed")
    assert failed["error"]["code"] == "NO_OFFER"
    assert service.audit()["everCreated"] == 0
    service.cloud.control.post("faults/clear")
    assert (await service.post("/instances/trainer/start")).status == 202
    await service.until("ready")


async def test_a_template_is_copied_into_the_order(service: Service) -> None:
    await service.ready(templateId="20001", envs=[{"key": "WORKER_MODE", "value": "batch"}])
    order = service.calls("create")[0]["body"]
    assert order["imageUrl"] == "registry.example.com/team/worker:1.4"
    assert order["imageAuthId"] == "9f2c4e7a1b3d5f60718293a4b5c6d7e8"
    assert (order["ports"], order["rootfsSize"]) == ("8188/http", 80)
    envs = {entry["key"]: entry["value"] for entry in order["envs"]}
    marker = envs.pop("NOVITA_GPU_MARKER")
    assert envs == {"WORKER_MODE": "batch"}
    assert order["name"] == "trainer-" + marker.replace("/", "-")


async def test_a_templates_tools_and_command_come_along(service: Service) -> None:
    await service.ready("notebook", templateId=101)
    await service.ready("server", templateId="102")
    notebook, server = (call["body"] for call in service.calls("create"))
    assert [tool["name"] for tool in notebook["tools"]] == ["Jupyter"]
    assert server["command"] == "--model Qwen/Qwen3-8B --port 8000"
    assert (await service.instance("notebook"))["connectionDetails"]["jupyter"]


async def test_a_template_that_cannot_be_read_for_want_of_a_key_says_so(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, novita_api_key="no-key") as service:
        body = {"name": "trainer", "productName": PRODUCT, "templateId": "102"}
        answer = await service.post("/instances", body)
        assert (answer.status, answer.code) == (502, "NOVITA_AUTH_FAILED")
        assert (await service.get("/instances")).json["total"] == 0


async def test_a_launch_stuck_in_pulling_is_deleted_and_the_next_offer_tried(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, launch_timeout_minutes=0.02) as service:
        service.cloud.control.post("stick", status="pulling", creates=1)
        trainer = await service.ready()
        stuck, taken = service.machines()
        assert (stuck["status"], taken["status"]) == ("removed", "running")
        assert taken["id"] == trainer["novitaInstanceId"]
        assert (stuck["clusterId"], stuck["productId"]) != (taken["clusterId"], taken["productId"])


async def test_a_stop_of_what_never_ran_removes_it_and_a_later_start_launches_anew(service: Service) -> None:
    service.cloud.control.post("stick", status="pulling", creates=1)
    await service.create()
    await eventually(service.machines)
    assert (await service.post("/instances/trainer/stop")).json["status"] == "stopping"
    await service.until("stopped")
    assert service.audit()["alive"] == []
    assert (await service.post("/instances/trainer/start")).status == 202
    await service.until("ready")
    assert service.audit()["everCreated"] == 2
    assert len(service.audit()["alive"]) == 1


async def test_a_start_whose_gpu_was_given_away_waits_and_says_so(service: Service) -> None:
    await service.ready()
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    service.stock(0)
    await service.post("/instances/trainer/start")
    refused = await service.hears("start.refused")
    assert "given away" in refused["data"]["reason"]
    waiting = await service.instance()
    assert (waiting["status"], waiting["desired"]) == ("starting", "running")
    assert "given away" in waiting["statusReason"]


async def test_told_to_fail_a_start_without_a_gpu_fails_with_its_machine_stopped(service: Service) -> None:
    await service.ready(onStartCapacity="fail")
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    service.stock(0)
    await service.post("/instances/trainer/start")
    failed = await service.until("failed")
    assert failed["error"]["code"] == "NO_CAPACITY"
    assert service.machine()["status"] == "exited"


async def test_told_to_migrate_a_start_without_a_gpu_moves_to_where_there_is_one(service: Service) -> None:
    before = await service.ready(onStartCapacity="migrate")
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    service.stock(0, SINGAPORE)
    await service.post("/instances/trainer/start")
    after = await service.until("ready")
    assert after["novitaInstanceId"] == before["novitaInstanceId"]
    assert after["clusterId"] == service.machine()["clusterId"] != SINGAPORE
    assert in_order(await service.told(), "start.refused", "instance.running", "instance.ready")
