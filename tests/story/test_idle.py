"""Nothing bills for nothing: what is idle, or never answers, is stopped and says why."""

from datetime import timedelta
from pathlib import Path

from novita_gpu.contract import time_text
from novita_gpu.wiring import utc_now
from tests.plane import Service, in_order, serving


async def test_without_a_heartbeat_it_is_stopped_and_says_why(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, auto_stop_idle_minutes=0.02) as service:
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
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, auto_stop_idle_minutes=0.02) as service:
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
