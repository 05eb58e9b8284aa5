"""A create whose answer is lost makes one machine, whatever became of it."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.plane import Service, eventually, in_order, serving

SOON = timedelta(seconds=0.5)


@pytest.fixture
async def service(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """Waits half a second for the answer to a mutation."""
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, mutation_timeout=SOON) as it:
        yield it


@pytest.mark.parametrize("kind", ["cut", "hang", "500", "502", "html", "empty", "ambiguous_200_without_id", "late"])
async def test_one_machine_though_its_create_had_no_usable_answer(service: Service, kind: str) -> None:
    """N1"""
    when = {} if kind == "late" else {"when": "after"}
    service.fault(kind, "create", **when, **({"seconds": 0.2} if kind == "late" else {}))
    await service.create()
    await service.until("ready")
    await service.looked()
    audit = service.audit()
    assert (audit["everCreated"], audit["duplicates"], len(audit["alive"])) == (1, {}, 1)
    assert service.count("create") == 1
    assert in_order(await service.told(), "launch.adopted", "instance.ready")


async def test_nothing_made_is_believed_after_two_listings_and_a_late_twin_is_deleted(service: Service) -> None:
    service.fault("late", "create", seconds=3600)
    await service.create()
    trainer = await service.until("ready")
    lost, sent = service.calls("create")
    lists = [call["at"] for call in service.calls("list") if lost["at"] + 5.5 + 0.3 <= call["at"] <= sent["at"]]
    assert len(lists) >= 2
    assert in_order(await service.told(), "launch.attempt_settled", "instance.ready")
    assert service.audit()["everCreated"] == 1
    await service.cloud.turn(3600)
    await service.hears("launch.twin_found")
    await eventually(lambda: len(service.audit()["alive"]) == 1)
    assert service.audit()["everCreated"] == 2
    assert service.audit()["alive"][0]["id"] == trainer["novitaInstanceId"]
    assert (await service.instance())["status"] == "ready"


async def test_a_delete_while_the_create_is_unanswered_says_deleted_only_when_its_machine_is_gone(
    service: Service,
) -> None:
    """N24"""
    service.fault("late", "create", seconds=1)
    await service.create()
    await eventually(lambda: service.count("create") == 1)
    assert (await service.delete("trainer")).json["status"] == "deleting"
    await service.until("deleted")
    assert (service.audit()["everCreated"], service.audit()["alive"]) == (1, [])


@pytest.mark.parametrize("wish", ["stop", "start", "restart", "delete"])
async def test_a_wish_whose_answer_is_lost_comes_about_all_the_same(service: Service, wish: str) -> None:
    await service.ready()
    if wish == "start":
        await service.post("/instances/trainer/stop")
        await service.until("stopped")
    await service.cloud.turn(2)  # the cloud tells times by the second
    known = (await service.instance())["sequence"]
    service.fault("cut", wish, when="after")
    if wish == "delete":
        await service.delete("trainer")
    else:
        await service.post(f"/instances/trainer/{wish}")
    status = {"stop": "stopped", "start": "ready", "restart": "ready", "delete": "deleted"}[wish]
    await service.until(status, after=known)
    assert (service.audit()["everCreated"], service.count(wish)) == (1, 1)
