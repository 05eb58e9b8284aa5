"""The queue is a doorbell: all that was in it may be lost at any moment, and everything still comes about."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from novita_gpu.domain.instance import InstanceId
from tests.plane import QUICK_TIMING, Service, serving
from tests.work.adapters import forget_queue

# Long enough for each to be on its way when the queue is lost.
SLOWLY = replace(
    QUICK_TIMING, creating_s=0.3, pulling_s=0.3, starting_s=0.3, stopping_s=0.3, restarting_s=0.3, removing_s=0.3
)
ENDS = {
    "creating": "ready",
    "starting": "ready",
    "stopping": "stopped",
    "deleting": "deleted",
    "restarting": "ready",
    "at-rest": "ready",
    "stopped": "stopped",
}


async def in_all_phases(service: Service) -> None:
    others = [name for name in ENDS if name != "creating"]
    await asyncio.gather(*(service.ready(name) for name in others))
    await asyncio.gather(*(service.post(f"/instances/{name}/stop") for name in ("starting", "stopped")))
    await asyncio.gather(*(service.until("stopped", of=name) for name in ("starting", "stopped")))
    wishes = (
        service.create("creating"),
        service.post("/instances/starting/start"),
        service.post("/instances/stopping/stop"),
        service.delete("deleting"),
        service.post("/instances/restarting/restart"),
    )
    await asyncio.gather(*wishes)


async def has_alarm(service: Service, name: str) -> bool:
    record = service.plane.store.view.by_name(name)
    with service.plane.work._in_use() as docket:  # pyright: ignore[reportPrivateUsage]
        return record is not None and await docket.get_execution(f"alarm:{InstanceId(record.id)}") is not None


async def test_the_whole_queue_may_be_lost_in_all_phases(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, timing=SLOWLY) as service:
        await in_all_phases(service)
        assert await has_alarm(service, "at-rest"), "the time of its idle stop"
        for _ in range(3):
            await forget_queue(valkey_url, service.plane.store.keys.work)
            assert not await has_alarm(service, "at-rest")
            await service.looked()
        for name, end in ENDS.items():
            await service.until(end, of=name)
        async with asyncio.timeout(60):
            while not await has_alarm(service, "at-rest"):
                await service.looked()
        assert service.audit()["everCreated"] == len(ENDS)
        assert set(service.audit()["aliveAtOnce"].values()) == {1}
