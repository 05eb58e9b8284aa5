"""Comparison with the cloud over HTTP: what was lost is found, what is somebody else's is taken in on request only."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.client import Client, SyncClient
from novita_gpu.client.answers import Synced
from novita_gpu.domain.events import Cause
from novita_gpu.domain.instance import AttemptState, CloudId, InstanceId, Machine, Seen
from novita_gpu.placement import utc_now
from tests.cli.process import type_in
from tests.domain.given import OFFER, attempt, stopped
from tests.plane import KEY, Service, eventually, in_order, serving
from tests.story.test_together import FOREIGN
from tests.valkey import forget

CHANGING = {"create", "start", "stop", "restart", "migrate", "delete"}


async def sync(service: Service, **asked: Any) -> Any:
    answer = await service.post("/instances/sync", asked)
    assert answer.status == 200, answer.body
    return answer.json


def console(service: Service, name: str, marker: str = "") -> str:
    envs = [{"key": "NOVITA_GPU_MARKER", "value": marker}] if marker else []
    made: Any = service.cloud.control.post("console", action="create", body={**FOREIGN, "name": name, "envs": envs})
    return made["id"]


def disguise(service: Service, machine: str, **fields: object) -> None:
    service.cloud.control.post("disguise", instanceId=machine, fields=fields)


async def store_is_lost(service: Service) -> None:
    await forget(service.plane.store)
    await service.plane.store.view.load()


async def back_after_it_went(service: Service) -> Any:
    """An instance that was closed because its machine went, and whose machine is there again."""
    trainer = await service.ready()
    disguise(service, trainer["novitaInstanceId"], status="removed")
    await service.until("deleted")
    disguise(service, trainer["novitaInstanceId"])
    return trainer


async def types(service: Service) -> list[str]:
    return [event["type"] for event in (await service.get("/events?limit=1000")).json["events"]]


async def orphan_is_known(service: Service) -> None:
    while "sync.orphan_found" not in await types(service):
        await service.looked()


async def test_n6_after_a_lost_store_what_bills_is_found_and_gets_its_instance_back(service: Service) -> None:
    trainer = await service.ready()
    await store_is_lost(service)
    assert (await service.get("/instances/trainer")).status == 404
    await orphan_is_known(service)
    found = await sync(service)
    assert [(one["novitaInstanceId"], one["usdPerHour"]) for one in found["orphans"]] == [
        (trainer["novitaInstanceId"], "0.3500")
    ]
    taken = await sync(service, adopt=[trainer["novitaInstanceId"]])
    assert taken["adoptions"] == [
        {"novitaInstanceId": trainer["novitaInstanceId"], "instanceId": trainer["id"], "name": "trainer"}
    ]
    assert (taken["orphans"], taken["errors"]) == ([], [])
    await service.until("ready")
    again = await service.instance()
    assert (again["id"], again["novitaInstanceId"]) == (trainer["id"], trainer["novitaInstanceId"])
    assert again["autoStop"]["enabled"] is False
    assert (service.audit()["everCreated"], service.count("delete")) == (1, 0)


async def test_n6_nobodys_machine_is_in_health(service: Service) -> None:
    console(service, "lost-zzzz-abc-1", "zzzz/abc/1")
    deployment = await service.plane.store.facts.fact("deployment")
    console(service, f"lost-{deployment}-abc-1", f"{deployment}/abc/1")
    await orphan_is_known(service)
    await service.plane.health.check()
    assert (await service.get("/health")).json["sync"]["orphans"] == 1


async def test_n17_a_foreign_machine_becomes_an_instance_on_request_only(service: Service) -> None:
    box = console(service, "somebody-elses")
    assert (await sync(service))["orphans"] == []
    await sync(service, adopt=[box])
    await service.until("ready", of="somebody-elses")
    assert (await service.instance(box))["name"] == "somebody-elses"
    await service.post("/instances/somebody-elses/stop")
    await service.until("stopped", of=box)
    await service.post("/instances/somebody-elses/start")
    await service.until("ready", of=box)
    changed = await service.ask("PATCH", "/instances/somebody-elses", {"autoStop": {"enabled": True}})
    assert changed.json["autoStop"]["enabled"] is True
    await service.gone("somebody-elses")
    assert service.audit()["alive"] == []
    told = await service.told("somebody-elses")
    assert in_order(told, "sync.adopted", "instance.running", "instance.ready", "instance.stopped")


async def test_n6_a_machine_that_is_back_after_it_went_is_told_of_and_kept(service: Service) -> None:
    trainer = await back_after_it_went(service)
    await orphan_is_known(service)
    found = await sync(service, removeOrphans=True)
    assert (found["orphansRemoved"], len(found["orphans"])) == (0, 1)
    assert "younger than 30 minutes" in found["orphans"][0]["heldBack"]
    await service.looked()
    assert [machine["id"] for machine in service.audit()["alive"]] == [trainer["novitaInstanceId"]]
    assert service.count("delete") == 0
    taken = await sync(service, adopt=[trainer["novitaInstanceId"]])
    assert taken["adoptions"][0]["instanceId"] != trainer["id"]
    await service.until("ready")
    await service.looked()
    assert service.count("delete") == 0


async def test_n6_where_the_policy_says_so_it_is_removed_through_its_closed_record(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    grace: dict[str, Any] = {"orphan_policy": "delete", "orphan_grace_minutes": 0.001}
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, **grace) as service:
        trainer = await back_after_it_went(service)
        await eventually(lambda: service.audit()["alive"] == [])
        told = await service.told(trainer["id"])
        assert told[-2:] == ["instance.deleted", "sync.orphan_removed"]
        assert service.count("delete") == 1


async def test_n17_a_clone_with_our_environment_is_never_touched(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    grace: dict[str, Any] = {"orphan_policy": "delete", "orphan_grace_minutes": 0.001, "deployment_id": "dep1"}
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, **grace) as service:
        trainer = await service.ready()
        marker = next(m["marker"] for m in service.machines())
        clone = console(service, "a-clone", marker)
        await service.gone()
        found = await sync(service, removeOrphans=True)
        assert [one["novitaInstanceId"] for one in found["lookalikes"]] == [clone]
        await service.looked()
        assert [machine["id"] for machine in service.audit()["alive"]] == [clone]
        assert {call["body"]["instanceId"] for call in service.calls("delete")} == {trainer["novitaInstanceId"]}


async def gone_long_ago(service: Service, number: int) -> None:
    """An instance whose machine the cloud does not know."""
    at = utc_now() - timedelta(hours=1)
    machine = Machine(id=CloudId(f"{number:016x}"), offer=OFFER, attempt=1, adopted_at=at, ran=True)
    made = attempt(marker=f"dep1/lost{number}/1", state=AttemptState.ADOPTED, machine=machine.id)
    record = stopped(id=InstanceId(f"ins_lost{number}"), name=f"lost-{number}", machine=machine, attempts=(made,))
    record = replace(record, seen=Seen(at=at, status="exited"), created_at=at)
    journal = service.plane.commands._journal  # pyright: ignore[reportPrivateUsage]
    await journal.write(journal.change(None, record, Cause(actor="test"), at))


async def test_t5_many_gone_at_once_are_doubted_until_an_operator_says_so(service: Service) -> None:
    for number in range(4):
        await gone_long_ago(service, number)
    doubted = await sync(service)
    assert ([fault["code"] for fault in doubted["errors"]], doubted["missing"]) == (["MASS_ABSENCE"], 0)
    await service.plane.health.check()
    assert (await service.get("/health")).json["services"]["novitaApi"] == "degraded"
    confirmed = await sync(service, confirmGone=True)
    assert (confirmed["missing"], len(confirmed["confirmedGone"]), confirmed["errors"]) == (4, 4, [])
    await service.looked()
    await service.plane.health.check()
    assert (await service.get("/health")).json["services"]["novitaApi"] == "up"
    (told,) = (await service.get("/events?type=sync.gone_confirmed")).json["events"]
    assert told["data"]["actor"] == "admin"


async def test_n18_a_dry_run_writes_nothing(service: Service) -> None:
    """At rest, so that no pass writes meanwhile."""
    await service.ready()
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    box = console(service, "somebody-elses")
    await service.looked()
    events, calls = (await service.get("/events?limit=1000")).json, [c for c in service.calls() if c["op"] in CHANGING]
    planned = await sync(service, dryRun=True, adopt=[box], removeOrphans=True, confirmGone=True)
    assert planned["adoptions"] == [{"novitaInstanceId": box, "name": "somebody-elses"}]
    assert (planned["dryRun"], planned["adopted"], planned["localInstances"]) == (True, 1, 1)
    assert (await service.get("/events?limit=1000")).json == events
    assert [call for call in service.calls() if call["op"] in CHANGING] == calls
    assert (await service.get("/instances/somebody-elses")).status == 404


async def test_one_key_takes_in_once_and_answers_the_same_again(service: Service) -> None:
    box = console(service, "somebody-elses")
    first = await service.post("/instances/sync", {"adopt": [box]}, Idempotency_Key="s-1")
    again = await service.post("/instances/sync", {"adopt": [box]}, Idempotency_Key="s-1")
    assert (again.status, again.body) == (200, first.body)
    assert len(first.json["adoptions"]) == 1
    other = await service.post("/instances/sync", {"adopt": []}, Idempotency_Key="s-1")
    assert (other.status, other.code) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_t15_with_the_cloud_away_its_error_is_answered(service: Service) -> None:
    service.fault("503", "list", times=0)
    answer = await service.post("/instances/sync", {})
    assert (answer.status, answer.code) in {(504, "NOVITA_TIMEOUT"), (503, "CIRCUIT_BREAKER_OPEN")}
    assert int(answer.headers["retry-after"]) > 0


async def test_both_clients_and_the_command_line_ask_this_route(service: Service, tmp_path: Path) -> None:
    deployment = await service.plane.store.facts.fact("deployment")
    orphan = console(service, f"lost-{deployment}-abc-1", f"{deployment}/abc/1")
    boxes = [console(service, f"box-{number}") for number in range(3)]

    def blocking() -> Synced:
        with SyncClient(service.root, KEY) as client:
            return client.sync(adopt=boxes[1:2])

    async with Client(service.root, KEY) as client:
        first = await client.sync(adopt=boxes[:1])
    second = await asyncio.to_thread(blocking)
    for number, answer in enumerate((first, second)):
        assert [(one.novita_instance_id, one.name) for one in answer.adoptions] == [(boxes[number], f"box-{number}")]
        assert [(one.novita_instance_id, one.usd_per_hour) for one in answer.orphans] == [(orphan, Decimal("0.35"))]
        assert answer.orphans[0].held_back
    where = {"NOVITA_GPU_URL": service.root, "NOVITA_GPU_KEY": KEY}
    typed = await type_in(tmp_path, "sync", "--adopt", boxes[2], "--remove-orphans", "--json", **where)
    assert typed.json["adoptions"][0]["name"] == "box-2"
    shown = await type_in(tmp_path, "sync", "--dry-run", "--confirm-gone", **where)
    assert orphan in shown.out
    assert "dry run" in shown.out
    await service.plane.health.check()
    told = (await service.get("/health")).json["sync"]
    assert (told["found"]["orphans"], told["isLocked"]) == (1, False)
    known = await type_in(tmp_path, "sync", "--last", **where)
    assert told["lastSync"] not in known.out
    assert told["lastSync"][11:19] in known.out, "local time, which is UTC here"
    assert (await type_in(tmp_path, "sync", "--last", "--json", **where)).json["found"] == told["found"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"adopt": ["a", "a"]}, "adopt"),
        ({"adopt": ["a/b"]}, "adopt[0]"),
        ({"adopt": "a"}, "adopt"),
        ({"dryRun": "yes"}, "dryRun"),
        ({"dryrun": True}, "dryrun"),
    ],
)
async def test_a_request_that_breaks_rules_is_refused(service: Service, body: object, field: str) -> None:
    answer = await service.post("/instances/sync", body)
    assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, field)
