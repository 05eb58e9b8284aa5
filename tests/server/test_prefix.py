"""Two deployments on one server, told apart by `REDIS_KEY_PREFIX` alone."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.store.wire import Wire, connect
from tests.plane import Service, serving
from tests.valkey import forget, new_prefix

TRAINER = "trainer"


async def lived(service: Service) -> Any:
    """Launched and stopped; both deployments use one name."""
    instance = await service.ready(TRAINER)
    await service.post(f"/instances/{TRAINER}/stop")
    await service.until("stopped")
    return instance


async def test_two_deployments_on_one_server_do_not_see_each_other(valkey_url: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(serving(tmp_path / name, redis_url=valkey_url, prefix=new_prefix()))
            for name in ("one", "other")
        ]
        known = [await lived(it) for it in (one, other)]
        for it, instance in zip((one, other), known, strict=True):
            listed = (await it.get("/instances")).json["instances"]
            assert [row["id"] for row in listed] == [instance["id"]]
            assert it.audit()["everCreated"] == 1
            events = await it.plane.store.events.read(limit=1000)
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            assert {event.instance_id for event in events} == {instance["id"]}
        wire = Wire(connect(valkey_url))
        stack.push_async_callback(wire.close)
        prefixes = [f"{{{it.plane.store.keys.prefix}}}:".encode() for it in (one, other)]
        for prefix, it in zip(prefixes, (one, other), strict=True):
            names = [key for key in await wire.keys("*") if it.plane.store.keys.prefix.encode() in key]
            assert names and all(name.startswith(prefix) for name in names)
            assert any(name.startswith(prefix + b"work:") for name in names)
        await one.gone()
        assert (await other.instance())["status"] == "stopped"
        for it in (one, other):
            stack.push_async_callback(forget, it.plane.store)


@pytest.mark.parametrize("prefix", ["a b", "{a}", "a*", "x" * 65])
def test_a_prefix_that_would_match_others_is_a_wrong_setting(prefix: str) -> None:
    with pytest.raises(WrongSettings, match="REDIS_KEY_PREFIX"):
        Settings.load(redis_key_prefix=prefix)
