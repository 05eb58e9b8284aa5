"""Nothing bills for nothing: what is idle, or never answers, is stopped and says why."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from novita_gpu.contract import time_text
from novita_gpu.placement import utc_now
from tests.plane import Service, in_order, serving
from tests.webhooks.receiver import Receiver


async def test_without_a_heartbeat_it_is_stopped_and_says_why(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, idle_minutes=0.02) as service:
        await service.create("idle")
        await service.create("busy")
        await service.until("ready", of="busy")
        ahead = time_text(utc_now() + timedelta(seconds=50))
        assert (await service.ask("PUT", "/instances/busy/last-used", {"lastUsedAt": ahead})).status == 200
        stopped = await service.until("stopped", of="idle")
        assert stopped["desired"] == "stopped"
        stopping = next(e for e in await service.events("idle") if e["type"] == "instance.stopping")
        assert (stopping["data"]["actor"], "no heartbeat" in stopping["data"]["reason"]) == ("auto-stop", True)
        assert (await service.instance("busy"))["status"] == "ready"


async def test_a_started_machine_is_judged_by_its_own_run(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, idle_minutes=0.02) as service:
        await service.create()
        await service.until("stopped")
        await service.post("/instances/trainer/start")
        ready = await service.until("ready")
        stopped = await service.until("stopped")
        assert stopped["stoppedAt"] > ready["readyAt"]
        idle = [e["timestamp"] for e in await service.events() if e["data"]["actor"] == "auto-stop"]
        assert len(idle) == 2
        assert ready["autoStop"]["stopsAt"] <= idle[1]


async def test_with_auto_stop_off_it_runs_on(service: Service) -> None:
    trainer = await service.ready(autoStop={"enabled": False})
    assert "stopsAt" not in trainer["autoStop"]


async def test_a_machine_that_never_answers_is_stopped_and_failed(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, not_ready_stop_minutes=0.01) as service:
        service.cloud.control.post("health", health="502")
        await service.create(autoStop={"enabled": False})
        failed = await service.until("failed")
        assert failed["error"]["code"] == "NOT_READY"
        assert service.machine()["status"] == "exited"
        assert in_order(await service.told(), "instance.running", "instance.stopping", "instance.failed")
        service.cloud.control.post("health", health="ok")
        assert (await service.post("/instances/trainer/start")).status == 202
        assert (await service.until("ready")).get("error") is None


async def test_its_webhook_is_told_before_and_what_it_saved_is_shown(
    valkey_url: str, prefix: str, tmp_path: Path, receiver: Receiver
) -> None:
    quick: dict[str, Any] = {"idle_minutes": 0.04, "auto_stop_warn_minutes": 0.01}
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, **quick) as service:
        await service.create(webhookUrl=receiver.url)
        await service.until("stopped")
        told: dict[str, Any] = {}
        while "instance.stopped" not in told:
            await receiver.arrived.acquire()
            told = {body["type"]: body["data"] for body in receiver.bodies}
        warning = told["instance.auto_stop_warning"]
        stopping = next(body for body in receiver.bodies if body["type"] == "instance.stopping")
        assert warning["facts"]["stopsAt"] <= stopping["timestamp"]
        assert "heartbeat" in warning["facts"]["toKeepIt"]
        assert "7 days" in warning["facts"]["aStopMayCost"]
        types = [body["type"] for body in receiver.bodies]
        assert in_order(types, "instance.ready", "instance.auto_stop_warning", "instance.stopping", "instance.stopped")
        stats = (await service.get("/instances/auto-stop/stats")).json
        assert stats["schedulerRunning"]
        assert stats["totals"]["stopped"] == 1
        costs = (await service.get("/costs")).json
        assert costs["savedUsd"] == stats["totals"]["savedUsd"]
        assert Decimal(costs["savedUsd"]) >= 0
        explained = (await service.get("/instances/trainer/explain")).json
        assert explained["statusReason"].startswith("no heartbeat for")
        assert explained["regionChoice"]["region"] == "AS-SGP-02"
        assert "the first of" in explained["regionChoice"]["reason"]


async def test_a_trigger_warns_first_and_leaves_foreign_machines_alone(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    """The idle time passes while nobody looks: the instance's own alarm is minutes away."""
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix) as service:
        order = {"name": "theirs", "productId": "4090.16c62g", "gpuNum": 1, "rootfsSize": 60, "kind": "gpu"}
        service.cloud.control.post("console", action="create", body={**order, "imageUrl": "ubuntu"})
        await service.ready(autoStop={"maxLifetimeMinutes": 1})
        answer = (await service.post("/instances/auto-stop/trigger", {"dryRun": False})).json
        (row,) = answer["results"]
        assert (row["name"], row["rule"], row["outcome"]) == ("trainer", "lifetime", "none")
        assert answer["errors"] == 0
        explained = (await service.get("/instances/trainer/explain")).json["autoStop"]
        assert explained["stopsAt"] == row["stopsAt"]
        assert "maxLifetimeMinutes" in explained["toKeepIt"][0]
        assert min(m["name"] for m in service.machines() if m["status"] == "running").startswith("theirs")


async def test_the_check_warns_what_its_lost_alarm_did_not(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"idle_minutes": 0.05, "auto_stop_warn_minutes": 0.01}
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, **quick) as service:
        trainer = await service.ready()
        told = await service.hears("instance.auto_stop_warning")
        answer = (await service.post("/instances/auto-stop/trigger", {"dryRun": False})).json
        (row,) = answer["results"] or [{"outcome": "stopping"}]
        assert row["outcome"] in {"none", "stopping", "warned"}
        assert answer["errors"] == 0
        await service.until("stopped")
        warnings = [e for e in await service.told() if e == "instance.auto_stop_warning"]
        assert len(warnings) == 1
        assert told["data"]["instance"]["id"] == trainer["id"]
