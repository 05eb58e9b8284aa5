"""What a change of policy says of itself: each field that can be changed, by its name, and no secret."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import fields, replace

from novita_gpu.contract.requests import AutoStopRequest, PatchInstance, RecoveryRequest
from novita_gpu.control.difference import difference
from novita_gpu.domain.instance import Record
from novita_gpu.domain.spec import Activity, OnStartCapacity
from tests.domain import given

SECRET = "k3y"
PARTS: dict[str, Any] = {"autoStop": AutoStopRequest, "recovery": RecoveryRequest}
CASES: dict[str, tuple[Any, str]] = {
    "autoStop.enabled": (False, "false"),
    "autoStop.idleMinutes": (45, "45"),
    "autoStop.activity": (Activity.GPU, "gpu"),
    "autoStop.maxLifetimeMinutes": (90, "90"),
    "autoStop.pinnedUntil": (given.at(60), given.at(60).strftime("%Y-%m-%dT%H:%M:%S.000Z")),
    "recovery.onReclaim": ("recreate", "recreate"),
    "recovery.maxPerDay": (7, "7"),
    "recovery.allowOnDemand": (True, "true"),
    "recovery.saveImage": (True, "true"),
    "recovery.imageRepository": ("registry.example/team/image", "registry.example/team/image"),
    "recovery.imageAuthId": ("auth-1", "auth-1"),
    "onStartCapacity": (OnStartCapacity.FAIL, "fail"),
    "webhookUrl": (f"https://hooks.example/{SECRET}?token={SECRET}", "https://hooks.example/***"),
}


def named() -> list[str]:
    """Every field of a PATCH."""
    top = [one.encode_name for one in fields(PatchInstance)]
    below = [f"{part}.{one.encode_name}" for part, kind in PARTS.items() for one in fields(kind)]
    return sorted({*top, *below} - PARTS.keys())


def patched(name: str, value: Any) -> Record:
    """A record with this field as it comes of a PATCH."""
    before, (part, _, rest) = given.ready(), name.partition(".")
    kind = PARTS.get(part, PatchInstance)
    asked = {one.name: value for one in fields(kind) if one.encode_name == (rest or part)}
    if kind is AutoStopRequest:
        return replace(before, auto_stop=AutoStopRequest(**asked).over(before.auto_stop))
    if kind is RecoveryRequest:
        return replace(before, recovery=RecoveryRequest(**asked).over(before.recovery))
    return replace(before, **asked)


def test_every_field_that_can_be_changed_is_tried() -> None:
    assert named() == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_field_that_changed_is_named_with_its_new_value(name: str) -> None:
    value, shown = CASES[name]
    assert difference(given.ready(), patched(name, value)) == {name: shown}


def test_what_is_taken_away_is_told_and_what_stays_is_not() -> None:
    stop = replace(given.ready().auto_stop, max_lifetime=timedelta(hours=1))
    before = given.ready(auto_stop=stop, webhook_url="https://hooks.example/a")
    after = replace(before, auto_stop=replace(stop, max_lifetime=None), webhook_url=None)
    assert difference(before, after) == {"autoStop.maxLifetimeMinutes": "none", "webhookUrl": "none"}
    assert difference(before, before) == {}


def test_another_path_at_the_same_host_is_a_change() -> None:
    before = given.ready(webhook_url="https://hooks.example/a")
    assert difference(before, replace(before, webhook_url="https://hooks.example/b")) == {
        "webhookUrl": "https://hooks.example/***"
    }
