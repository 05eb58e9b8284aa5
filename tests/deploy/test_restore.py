"""A backup is the data folder of a service that is stopped; put back whole, it is gone on from."""

import shutil
from pathlib import Path
from typing import Any

from novita_gpu.cloud.simulator import SimulatorSettings, running
from tests.plane import QUICK_TIMING, Service, serving
from tests.story.test_sync import orphan_is_known, sync


async def made(service: Service, name: str) -> str:
    machine: str = (await service.ready(name))["novitaInstanceId"]
    return machine


async def restored(service: Service, kept: str, later: str) -> None:
    """What was in the backup is as it was; what was bought since is found by its marker, and taken in on request."""
    assert (await service.until("ready", of="kept"))["novitaInstanceId"] == kept
    await orphan_is_known(service)
    found = await sync(service)
    assert [one["novitaInstanceId"] for one in found["orphans"]] == [later]
    await sync(service, adopt=[later])
    taken = next(one for one in await listed(service) if one["novitaInstanceId"] == later)
    await service.until("ready", of=taken["id"])
    assert (service.audit()["everCreated"], service.count("delete")) == (2, 0)


async def listed(service: Service) -> list[Any]:
    return (await service.get("/instances")).json["instances"]


async def test_a_data_folder_that_is_put_back_is_gone_on_from(tmp_path: Path) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup"
    async with running(SimulatorSettings(timing=QUICK_TIMING)) as cloud:
        async with serving(folder, cloud=cloud) as service:
            kept = await made(service, "kept")
        shutil.copytree(folder, backup)
        async with serving(folder, cloud=cloud) as service:
            later = await made(service, "later")
        shutil.rmtree(folder)
        shutil.copytree(backup, folder)
        async with serving(folder, cloud=cloud) as service:
            await restored(service, kept, later)
