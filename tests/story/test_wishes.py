"""What each wish gets, by status: every cell of the table."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.plane import Answer, Service

VERBS = ("start", "stop", "restart", "delete")
BEGUN, SAME, DONE, NO = "202", "202, same operation", "200", "409"


async def creating(service: Service, name: str) -> None:
    service.cloud.control.post("stick", status="pulling", creates=1)
    await service.create(name)


async def ready(service: Service, name: str) -> None:
    await service.ready(name)


async def running(service: Service, name: str) -> None:
    service.cloud.control.post("health", health="502")
    await service.create(name)
    await service.until("running", of=name)


async def stopping(service: Service, name: str) -> None:
    await held(service, name, "stopping")
    await service.post(f"/instances/{name}/stop")


async def stopped(service: Service, name: str) -> None:
    await service.ready(name)
    await service.post(f"/instances/{name}/stop")
    await service.until("stopped", of=name)


async def starting(service: Service, name: str) -> None:
    await stopped(service, name)
    machine = (await service.instance(name))["novitaInstanceId"]
    service.cloud.control.post("stick", instanceId=machine, status="starting")
    await service.post(f"/instances/{name}/start")


async def failed(service: Service, name: str) -> None:
    service.fault("insufficient", "create", times=0)
    await service.create(name)
    await service.until("failed", of=name)


async def deleting(service: Service, name: str) -> None:
    await held(service, name, "removing")
    await service.delete(name)


async def deleted(service: Service, name: str) -> None:
    await service.ready(name)
    await service.gone(name)


async def held(service: Service, name: str, status: str) -> None:
    """Ready, and kept by the cloud in that status once it comes there."""
    machine = (await service.ready(name))["novitaInstanceId"]
    service.cloud.control.post("stick", instanceId=machine, status=status)


@pytest.mark.parametrize(
    ("status", "answers"),
    [
        (creating, (SAME, BEGUN, NO, BEGUN)),
        (starting, (SAME, BEGUN, NO, BEGUN)),
        (running, (DONE, BEGUN, BEGUN, BEGUN)),
        (ready, (DONE, BEGUN, BEGUN, BEGUN)),
        (stopping, (BEGUN, SAME, NO, BEGUN)),
        (stopped, (BEGUN, DONE, NO, BEGUN)),
        (failed, (BEGUN, DONE, NO, BEGUN)),
        (deleting, (NO, NO, NO, SAME)),
        (deleted, (NO, NO, NO, DONE)),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
async def test_wishes(
    service: Service, status: Callable[[Service, str], Awaitable[None]], answers: tuple[str, ...]
) -> None:
    names = [f"to-{verb}" for verb in VERBS]
    await asyncio.gather(*(status(service, name) for name in names))
    before = [await service.instance(name) for name in names]
    assert {it["status"] for it in before} == {status.__name__}
    operations = [(await service.events(name))[-1]["data"]["operationId"] for name in names]
    given = [await wish(service, verb, name) for verb, name in zip(VERBS, names, strict=True)]
    assert tuple(map(told, given, operations)) == answers


async def wish(service: Service, verb: str, name: str) -> Answer:
    return await (service.delete(name) if verb == "delete" else service.post(f"/instances/{name}/{verb}"))


def told(answer: Answer, operation: str) -> str:
    body: Any = answer.json
    if answer.status == 202 and body["operationId"] == operation:
        return SAME
    return str(answer.status)
