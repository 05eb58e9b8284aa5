"""Calls to the cloud grow with time and pages, not with instances or callers."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plane import Service, eventually, serving

MOVING_S = 0.1


@pytest.mark.parametrize("instances", [1, 40])
async def test_from_create_to_ready_it_takes_one_create_and_one_get(
    service: Service, instances: int, figure: Callable[[str], None]
) -> None:
    names = [f"w-{number}" for number in range(instances)]
    began = time.monotonic()
    await asyncio.gather(*(service.create(name) for name in names))
    await asyncio.gather(*(service.until("ready", of=name) for name in names))
    took = time.monotonic() - began
    calls = Counter(call["op"] for call in service.calls())
    listings = calls.pop("list")
    figure(f"{instances} instances ready in {took:.1f} s: {dict(calls)} and {listings} listings")
    assert calls == {"create": instances, "get": instances, "products": 1, "clusters": 1}
    assert listings <= took / MOVING_S + 3


async def test_a_hundred_instances_at_rest_cost_listings_alone(
    valkey_url: str, prefix: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, poll_resting_seconds=0.3) as service:
        names = [f"w-{number}" for number in range(100)]
        await asyncio.gather(*(service.create(name) for name in names))
        await asyncio.gather(*(service.until("ready", of=name) for name in names))
        await service.looked()
        service.cloud.control.post("calls/clear")
        began = time.monotonic()
        await eventually(lambda: service.count("list") >= 16)
        took = time.monotonic() - began
        calls = Counter(call["op"] for call in service.calls())
        figure(f"100 instances at rest for {took:.1f} s: {dict(calls)}")
        assert set(calls) == {"list"}
        assert took >= 4 * 0.3  # some that were asked for while it moved may still follow


async def test_callers_who_read_cost_the_cloud_nothing(service: Service) -> None:
    await service.ready()
    await service.looked()
    service.cloud.control.post("calls/clear")
    began = time.monotonic()
    answers = await asyncio.gather(*(service.get("/instances/trainer") for _ in range(200)))
    took = time.monotonic() - began
    assert {answer.status for answer in answers} == {200}
    calls = Counter(call["op"] for call in service.calls())
    assert set(calls) <= {"list"}
    assert calls["list"] <= took / MOVING_S + 2


async def test_only_documented_parameters_are_sent(service: Service) -> None:
    """T6"""
    await service.ready(templateId="20001")
    for wish, then in (("stop", "stopped"), ("start", "ready"), ("restart", "ready")):
        known = (await service.instance())["sequence"]
        await service.post(f"/instances/trainer/{wish}")
        await service.until(then, after=known)
    await service.gone()
    calls = service.calls()
    assert {"create", "get", "list", "stop", "start", "restart", "delete"} <= {call["op"] for call in calls}
    assert [call for call in calls if call["unknown"] or call["malformed"]] == []
