"""Auto-stop over HTTP: explained, checked at a person's wish, and within the operator's ceilings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.contract import time_text
from novita_gpu.control.ceilings import Ceilings
from novita_gpu.control.commands import Defaults
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import Failure, Record
from novita_gpu.domain.spec import Activity, AutoStop
from tests.api.served import LEAST, Scope, Served, served
from tests.domain import given

DEFAULT_IDLE = timedelta(minutes=20)


async def explained(api: Served, record: Record) -> Any:
    answer = await api.get(f"/api/instances/{record.id}/explain", key=Scope.READ)
    assert answer.status == 200, answer.body
    return answer.json


async def becomes_ready(api: Served, **auto_stop: Any) -> Record:
    return await api.becomes(
        await api.created(), given.ready(run=replace(given.ready().run, ready_at=datetime.now(UTC)), **auto_stop)
    )


async def test_an_instance_in_use_says_why_it_runs_and_what_would_change_that(api: Served) -> None:
    told = await explained(api, await becomes_ready(api))
    assert (told["status"], told["desired"]) == ("ready", "running")
    idle = told["autoStop"]
    assert (idle["enabled"], idle["verdict"], idle["rule"]) == (True, "active", "idle")
    assert idle["reason"].startswith("in use (heartbeat: ")
    assert [(s["source"], s["decides"]) for s in idle["sources"]] == [
        ("heartbeat", True),
        ("gpu", False),
        ("pin", True),
    ]
    assert any("heartbeat" in way for way in idle["toKeepIt"])
    assert "no network volume" in idle["aStopMayCost"]
    assert told["waitingFor"]["step"] == "rest"
    assert idle["stopsAt"] > told["asOf"]


async def test_what_its_gpu_does_is_told_as_unknown_until_it_was_read(api: Served) -> None:
    record = await becomes_ready(api, auto_stop=AutoStop(activity=Activity.GPU, idle=timedelta(seconds=1)))
    old = replace(record.run, ready_at=datetime.now(UTC) - timedelta(hours=1))
    record = await api.becomes(record, replace(record, run=old))
    told = (await explained(api, record))["autoStop"]
    assert told["verdict"] == "unknown"
    assert "unknown stops nothing" in told["reason"]
    assert "read near the limit" in told["reason"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (given.new(), "not ready yet"),
        (given.running(), "not ready yet"),
        (given.stopped(), "not meant to run"),
        (given.ready(failure=Failure(code="X", message="x", at=given.T0)), "not meant to run"),
        (given.ready(auto_stop=AutoStop(enabled=False)), "autoStop.enabled"),
        (given.ready(auto_stop=AutoStop(enabled=False, max_lifetime=timedelta(hours=9_000))), "lifetime"),
    ],
)
async def test_every_state_has_an_explanation(api: Served, other: Record, reason: str) -> None:
    told = await explained(api, await api.becomes(await api.created(), other))
    assert reason in told["autoStop"]["reason"]
    assert told["waitingFor"]["reason"]


async def test_an_instance_that_is_not_there_is_not_explained(api: Served) -> None:
    assert (await api.get("/api/instances/nobody/explain")).code == "INSTANCE_NOT_FOUND"


async def test_a_trigger_says_by_default_what_it_would_do(api: Served) -> None:
    await becomes_ready(api)
    answer = await api.post("/api/instances/auto-stop/trigger")
    assert answer.status == 200
    told = answer.json
    assert (told["dryRun"], told["totalChecked"], told["eligible"]) == (True, 1, 0)
    assert [(row["name"], row["verdict"], row["outcome"]) for row in told["results"]] == [
        ("trainer-1", "active", "none")
    ]
    stats = (await api.get("/api/instances/auto-stop/stats")).json
    assert "lastCheckAt" not in stats
    assert (await api.post("/api/instances/auto-stop/trigger", {"dryRun": False})).json["dryRun"] is False
    stats = (await api.get("/api/instances/auto-stop/stats")).json
    assert stats["lastResult"]["totalChecked"] == 1
    assert stats["totals"] == {"checks": 1, "stopped": 0, "errors": 0, "savedUsd": "0.0000"}
    assert stats["nextCheckAt"] > stats["lastCheckAt"]


async def test_a_trigger_that_is_not_understood_does_nothing(api: Served) -> None:
    assert (await api.post("/api/instances/auto-stop/trigger", {"dryRun": "no"})).code == "VALIDATION_ERROR"
    assert "lastCheckAt" not in (await api.get("/api/instances/auto-stop/stats")).json


def capped(minutes: int) -> Defaults:
    return Defaults(ceilings=Ceilings(max_idle=timedelta(minutes=minutes)))


def ahead(minutes: float) -> str:
    return time_text(datetime.now(UTC) + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("auto_stop", "fields"),
    [
        ({"idleMinutes": 61}, {"autoStop.idleMinutes"}),
        ({"enabled": False}, {"autoStop.enabled"}),
        ({"pinnedUntil": ahead(120)}, {"autoStop.pinnedUntil"}),
        ({"enabled": False, "idleMinutes": 100}, {"autoStop.enabled", "autoStop.idleMinutes"}),
    ],
)
async def test_nobody_idles_longer_than_the_operator_allows(
    valkey: str, auto_stop: dict[str, object], fields: set[str]
) -> None:
    async with served(valkey, defaults=capped(60)) as api:
        refused = await api.post("/api/instances", {**LEAST, "autoStop": auto_stop})
        assert (refused.status, refused.code) == (400, "VALIDATION_ERROR")
        assert {fault["field"] for fault in refused.json["error"]["details"]} == fields
        assert (await api.get("/api/instances")).json["total"] == 0
        record = await api.created(autoStop={"idleMinutes": 60, "pinnedUntil": ahead(30)})
        patched = await api.ask("PATCH", f"/api/instances/{record.id}", {"autoStop": auto_stop})
        assert patched.status == 400
        assert (await api.record(record.id)).auto_stop == record.auto_stop
        assert (await api.ask("PATCH", f"/api/instances/{record.id}", {"autoStop": {"idleMinutes": 5}})).status == 200
        plan = await api.post("/api/instances/plan", {**LEAST, "name": "next", "autoStop": auto_stop})
        assert plan.status == 400


async def test_a_ceiling_that_came_later_does_not_keep_other_changes_out(valkey: str) -> None:
    async with served(valkey, defaults=capped(10)) as api:
        record = await api.becomes(await api.created(), given.ready())
        assert record.auto_stop.idle > timedelta(minutes=10)
        answer = await api.ask("PATCH", f"/api/instances/{record.id}", {"autoStop": {"activity": "any"}})
        assert answer.status == 200


async def test_only_what_has_a_network_volume_is_stopped_where_the_operator_says_so(valkey: str) -> None:
    only = Defaults(ceilings=Ceilings(only_with_volume=True))
    async with served(valkey, defaults=only) as api:
        accepted = (await api.post("/api/instances", LEAST)).json
        assert "not stopped for idleness" in accepted["message"]
        assert not (await api.record(accepted["instanceId"])).auto_stop.enabled
        refused = await api.post("/api/instances", {**LEAST, "name": "b", "autoStop": {"enabled": True}})
        assert refused.json["error"]["details"][0]["field"] == "autoStop.enabled"
        volume = {"networkStorages": [{"id": "ns-1", "mountPoint": "/network"}]}
        safe = await api.created("c", **volume)
        assert safe.auto_stop.enabled
        told = (await explained(api, await api.becomes(safe, replace(given.ready(), spec=safe.spec))))["autoStop"]
        assert "/network" in told["aStopMayCost"]


async def test_create_and_plan_tell_when_it_will_be_stopped(valkey: str) -> None:
    by_gpu = Defaults(auto_stop=AutoStop(activity=Activity.GPU), idle=IdlePolicy())
    async with served(valkey, defaults=by_gpu) as api:
        plan = (await api.post("/api/instances/plan", LEAST)).json
        assert "without use of its GPU" in plan["message"]
        assert "7 days" in plan["aStopMayCost"]
        accepted = (await api.post("/api/instances", LEAST)).json
        assert plan["message"] in accepted["message"]


async def test_where_the_operator_switched_it_off_nothing_says_it_will_be_stopped(valkey: str) -> None:
    async with served(valkey, defaults=Defaults(idle=IdlePolicy(on=False))) as api:
        accepted = (await api.post("/api/instances", LEAST)).json
        assert "not stopped for idleness" in accepted["message"]
        record = await api.becomes(await api.record(accepted["instanceId"]), given.ready())
        assert "stopsAt" not in (await api.get(f"/api/instances/{record.id}")).json["autoStop"]


async def test_costs_tell_what_auto_stop_saved(api: Served) -> None:
    costs = (await api.get("/api/costs")).json
    assert costs["savedUsd"] == "0.0000"
    assert "nobody can know" in costs["savedRule"]


async def test_n16_reading_and_waiting_are_no_use(api: Served) -> None:
    record = await becomes_ready(api)
    before = (await api.get(f"/api/instances/{record.id}")).json["autoStop"]
    for path in ("", "/explain", "/events", "/wait?for=ready"):
        assert (await api.get(f"/api/instances/{record.id}{path}")).status == 200
    for path in ("/api/instances", "/api/instances/comprehensive", "/api/costs", "/metrics", "/health"):
        assert (await api.get(path)).status == 200
    await api.post("/api/instances/auto-stop/trigger")
    assert (await api.get(f"/api/instances/{record.id}")).json["autoStop"] == before
    assert await api.store.records.activity(record.id) is None
