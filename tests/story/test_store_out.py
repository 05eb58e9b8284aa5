"""The shared Redis goes out: reads go on, money is still saved, and what was done meanwhile is there afterwards."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from novita_gpu.settings import WrongSettings
from novita_gpu.store.fallback import OUT_AFTER_S
from novita_gpu.store.wire import connect
from tests.plane import WITHIN_MS, Service, eventually, serving
from tests.server.shared import SharedServer, shared_server


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncGenerator[SharedServer]:
    async with shared_server(tmp_path / "redis") as server:
        yield server


async def mode(service: Service) -> str:
    told: Any = (await service.get("/health")).json
    return str(told["redis"]["mode"])


async def until_mode(service: Service, wanted: str) -> None:
    async with asyncio.timeout(WITHIN_MS / 1000):
        while await mode(service) != wanted:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["killed", "stands still"])
async def test_reads_go_on_writes_within_seconds_and_all_of_it_is_there_afterwards(
    shared: SharedServer, tmp_path: Path, how: str
) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        await service.ready("runs")
        await service.ready("stops")
        await service.ready("beats")
        shared.kill() if how == "killed" else shared.stop_still()
        assert (await service.instance("runs"))["status"] == "ready"
        await until_mode(service, "fallback")
        assert (await service.get("/health")).json["status"] == "degraded"
        assert (await service.post("/instances/stops/stop")).status == 202
        assert (await service.until("stopped", of="stops"))["desired"] == "stopped"
        beat = await service.ask("PUT", "/instances/beats/last-used")
        assert beat.status == 200
        await service.ready("made-away")
        if how == "killed":
            await shared.start()
        else:
            shared.go_on()
        await until_mode(service, "redis")
        assert (await service.instance("stops"))["status"] == "stopped"
        assert (await service.until("ready", of="made-away"))["status"] == "ready"
        assert (await service.instance("beats"))["lastUsedAt"] == beat.json["lastUsedAt"]
        assert [t for t in await service.told("stops") if "stop" in t] == ["instance.stopping", "instance.stopped"]
        audit = service.audit()
        assert (audit["everCreated"], len(audit["alive"])) == (4, 4)
        await service.gone("made-away")
        assert (await service.post("/instances/runs/stop")).status == 202
        await service.until("stopped", of="runs")
    assert not (tmp_path / "data" / "fallback" / "0").exists()


async def test_a_start_of_a_shared_record_waits_and_happens_when_the_store_is_back(
    shared: SharedServer, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        await service.ready()
        await service.post("/instances/trainer/stop")
        await service.until("stopped")
        shared.kill()
        await until_mode(service, "fallback")
        assert (await service.post("/instances/trainer/start")).status == 202
        await service.looked()
        waits = await service.instance()
        assert (waits["status"], service.count("start")) == ("starting", 0)
        await shared.start()
        await until_mode(service, "redis")
        await service.until("ready")
        assert service.count("start") == 1


async def test_a_name_that_a_machine_bears_is_refused_while_the_store_is_out(
    shared: SharedServer, tmp_path: Path
) -> None:
    """Another replica has made it, and this one cannot know."""
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        made = await service.ready("elsewhere")
        shared.kill()
        await until_mode(service, "fallback")
        copy = await service.plane.store.records.load(made["id"])
        assert copy
        for key in await service.plane.store.wire.keys(f"*{made['id']}*"):
            await service.plane.store.wire.delete(key.decode())
        await service.plane.store.wire.delete(service.plane.store.keys.name("elsewhere"))
        refused = await service.post(
            "/instances", {"name": "elsewhere", "productName": "RTX 4090 24GB", "imageUrl": "ubuntu"}
        )
        assert (refused.status, refused.code) == (409, "INSTANCE_ALREADY_EXISTS")
        await shared.start()
        await until_mode(service, "redis")


async def test_a_store_that_comes_back_empty_gets_its_living_records_back(shared: SharedServer, tmp_path: Path) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        before = await service.ready()
        key = (await service.post("/keys", {"name": "ci", "scopes": ["read"]})).json
        shared.kill()
        shared.lose_all()
        await until_mode(service, "fallback")
        await shared.start()
        await until_mode(service, "redis")
        after = await service.instance()
        assert (after["id"], after["novitaInstanceId"], after["status"]) == (
            before["id"],
            before["novitaInstanceId"],
            "ready",
        )
        assert [one["id"] for one in (await service.get("/keys")).json["keys"]] == [key["id"]]
        await service.gone()
        assert service.audit()["alive"] == []


@pytest.mark.parametrize("fallback", [True, False])
async def test_a_restart_without_data_is_noticed_at_once_and_told(
    shared: SharedServer, tmp_path: Path, fallback: bool
) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url, redis_fallback=fallback) as service:
        before = await service.ready()
        await service.ask("PUT", "/instances/trainer/last-used")
        key = (await service.post("/keys", {"name": "ci", "scopes": ["read"]})).json
        last = await service.plane.store.records.last_sequence()
        await eventually(lambda: service.plane.store.view.sequence == last)  # it waits for news then
        shared.kill()
        shared.lose_all()
        await shared.start()
        told: list[Any] = []
        async with asyncio.timeout(WITHIN_MS / 1000):
            while not told:
                await asyncio.sleep(0.01)
                told = (await service.get("/events?type=store.restored")).json.get("events", [])
        assert "idempotency answers, deliveries, history" in told[0]["data"]["reason"]
        after = await service.instance()
        assert (after["id"], after["status"]) == (before["id"], "ready")
        assert (await service.get("/instances", key=key["key"])).status == 200
        assert (await service.post("/instances/trainer/stop")).status == 202
        await service.until("stopped")
        assert service.audit()["everCreated"] == 1


async def test_without_a_fallback_writes_are_refused_and_reads_go_on(shared: SharedServer, tmp_path: Path) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url, redis_fallback=False) as service:
        await service.ready()
        shared.kill()
        refused = await service.post("/instances/trainer/stop")
        assert (refused.status, refused.code) == (503, "STORE_UNAVAILABLE")
        assert "retry-after" in refused.headers
        assert (await service.instance())["status"] == "ready"
        until = time.monotonic() + OUT_AFTER_S + 1  # it would have turned to another store by then
        while time.monotonic() < until:
            assert (await service.post("/instances/trainer/stop")).status == 503
        await shared.start()
        async with asyncio.timeout(WITHIN_MS / 1000):
            while (await service.post("/instances/trainer/stop")).status == 503:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
        await service.until("stopped")


async def test_a_start_while_redis_is_out_goes_on_where_it_is_known_and_is_refused_elsewhere(
    shared: SharedServer, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        kept, cloud = await service.ready("kept"), service.cloud
        shared.kill()
        with pytest.raises(WrongSettings, match="nothing is known here"):
            async with serving(tmp_path / "other", redis_url=shared.url):
                pass
        async with serving(tmp_path / "data", redis_url=shared.url, cloud=cloud) as started:
            assert await mode(started) == "fallback"
            made = await started.ready("made-away")
            await shared.start()
            await until_mode(started, "redis")
            assert (await started.instance("kept"))["novitaInstanceId"] == kept["novitaInstanceId"]
            assert (await started.instance("made-away"))["novitaInstanceId"] == made["novitaInstanceId"]
            await until_mode(service, "redis")
            assert (await service.until("ready", of="made-away"))["id"] == made["id"]
        assert len(service.audit()["alive"]) == service.audit()["everCreated"] == 2


async def test_what_a_process_left_that_ended_meanwhile_is_met_by_the_next_start(
    shared: SharedServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(serving(tmp_path / "other", redis_url=shared.url))
        async with serving(tmp_path / "data", redis_url=shared.url, cloud=other.cloud) as service:
            await service.ready()
            shared.kill()
            await until_mode(service, "fallback")
            assert (await service.post("/instances/trainer/stop")).status == 202
            made = await service.ready("made-away")
        assert (tmp_path / "data" / "fallback" / "0").exists()
        await shared.start()
        async with serving(tmp_path / "data", redis_url=shared.url, cloud=other.cloud) as again:
            await eventually(lambda: not (tmp_path / "data" / "fallback" / "0").exists())
            await eventually(lambda: again.plane.store.view.by_name("made-away"))
            assert (await again.until("ready", of="made-away"))["id"] == made["id"]
            assert (await again.until("stopped"))["desired"] == "stopped"
        assert other.audit()["everCreated"] == 2


async def test_who_knows_more_does_not_go_on_with_what_another_left(shared: SharedServer, tmp_path: Path) -> None:
    """A slot that was left is for a start that knows nothing, and not for a process with a view of its own."""
    left = tmp_path / "data" / "fallback" / "0"
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        await service.ready()
        left.mkdir(parents=True)
        shared.kill()
        await until_mode(service, "fallback")
        assert (tmp_path / "data" / "fallback" / "1" / "valkey.pid").exists()
        assert list(left.iterdir()) == []
        await shared.start()
        await until_mode(service, "redis")


async def test_keys_go_on_none_is_made_and_one_that_was_revoked_meanwhile_stays_so(
    shared: SharedServer, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        kept, leaked = [
            (await service.post("/keys", {"name": name, "scopes": ["read"]})).json for name in ("kept", "leaked")
        ]
        shared.kill()
        await until_mode(service, "fallback")
        assert (await service.get("/instances", key=kept["key"])).status == 200
        made = await service.post("/keys", {"name": "more", "scopes": ["read"]})
        assert (made.status, made.code) == (503, "STORE_UNAVAILABLE")
        assert (await service.ask("DELETE", f"/keys/{leaked['id']}")).status == 200
        assert (await service.get("/instances", key=leaked["key"])).status == 401
        await shared.start()
        await until_mode(service, "redis")
        assert (await service.get("/instances", key=leaked["key"])).status == 401
        assert (await service.get("/instances", key=kept["key"])).status == 200
        assert [key["name"] for key in (await service.get("/keys")).json["keys"]] == ["kept"]
        async with serving(tmp_path / "other", redis_url=shared.url, cloud=service.cloud) as another:
            assert (await another.get("/instances", key=kept["key"])).status == 200
            await service.ask("DELETE", f"/keys/{kept['id']}")
            async with asyncio.timeout(5):
                while (await another.get("/instances", key=kept["key"])).status != 401:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_a_server_that_may_throw_records_away_is_not_taken_in_the_place_of_the_one_before(
    shared: SharedServer, tmp_path: Path
) -> None:
    """What lacks is told, and once it is mended all moves there by itself."""
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        await service.ready()
        shared.kill()
        await until_mode(service, "fallback")
        await shared.start("--maxmemory-policy", "allkeys-lru")
        async with asyncio.timeout(WITHIN_MS / 1000):
            while b"allkeys-lru" not in (await service.get("/health")).body:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
        assert await mode(service) == "fallback"
        assert (await service.post("/instances/trainer/stop")).status == 202
        async with connect(shared.url, connections=1) as server:
            await server.config_set("maxmemory-policy", "noeviction")  # pyright: ignore[reportUnknownMemberType]
        await until_mode(service, "redis")
        await service.until("stopped")


async def test_a_fault_that_nobody_thought_of_does_not_end_the_watch(shared: SharedServer, tmp_path: Path) -> None:
    """There is no place for a private store at first; once there is, all goes on in it."""
    place = tmp_path / "data" / "fallback"
    async with serving(tmp_path / "data", redis_url=shared.url) as service:
        await service.ready()
        shutil.rmtree(place)
        place.write_text("not a folder")
        with capture_logs() as told:
            shared.kill()
            await eventually(lambda: any(line["event"] == "fallback.failed" for line in told))
        assert (await service.instance())["status"] == "ready"
        assert await mode(service) == "redis"
        place.unlink()
        await until_mode(service, "fallback")
        assert (await service.post("/instances/trainer/stop")).status == 202
        await service.until("stopped")
        await shared.start()
        await until_mode(service, "redis")
        assert (await service.instance())["status"] == "stopped"
