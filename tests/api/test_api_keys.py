"""Keys are made, told once, counted against, and revoked with effect on what is open."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from novita_gpu.api.keyring import StoredKeyring
from novita_gpu.contract import time_text
from novita_gpu.control.admission import hashed
from novita_gpu.domain.instance import InstanceId
from tests.api.served import LEAST, Scope, Served, now, until


async def made(api: Served, name: str = "ci", *scopes: str, **more: object) -> Any:
    answer = await api.post("/api/keys", {"name": name, "scopes": scopes or ["admin"], **more})
    assert answer.status == 201, answer.body
    return answer.json


async def test_a_key_opens_what_its_scopes_say_and_events_bear_its_name(api: Served) -> None:
    key = (await made(api, "ci", "read"))["key"]
    assert (await api.get("/api/instances", key=key)).status == 200
    assert (await api.post("/api/instances", LEAST, key=key)).code == "FORBIDDEN"
    admin = (await made(api, "deploy"))["key"]
    assert (await api.post("/api/instances", LEAST, key=admin)).status == 201
    events = (await api.get("/api/events")).json["events"]
    told = [(e["type"], e["data"]["actor"]) for e in events]
    assert told == [("key.created", "admin-key"), ("key.created", "admin-key"), ("instance.creating", "deploy")]
    assert events[0]["data"]["facts"]["keyName"] == "ci"


async def test_s1_a_key_is_told_once_and_kept_nowhere(api: Served) -> None:
    body = {"name": "ci", "scopes": ["read"]}
    first, again = [await api.post("/api/keys", body, Idempotency_Key="once") for _ in range(2)]
    key = first.json.pop("key") if "key" in first.json else ""
    assert key.startswith("ngpu_")
    assert len(key) > 40
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    listed = await api.get("/api/keys")
    seen = b"".join((again.body, listed.body, (await api.get("/api/events")).body))
    assert key.encode() not in seen
    assert hashed(key).encode() not in seen
    store = api.store
    for name in await store.wire.keys(store.keys.pattern):
        kind = (await store.wire.ask("TYPE", name)).decode()
        words = {"hash": ("HGETALL", name), "string": ("GET", name), "stream": ("XRANGE", name, "-", "+")}.get(kind)
        if words:
            assert key not in repr(await store.wire.ask(*words)), name


async def test_when_it_was_last_used_is_told(api: Served) -> None:
    key = await made(api, "ci", "read")
    assert "lastUsedAt" not in (await api.get("/api/keys")).json["keys"][0]
    await api.get("/api/instances", key=key["key"])
    (shown,) = (await api.get("/api/keys")).json["keys"]
    assert shown["lastUsedAt"] >= shown["createdAt"]
    assert {**shown, "key": key["key"]} == {**key, "lastUsedAt": shown["lastUsedAt"]}


async def test_a_revoked_key_opens_nothing_and_what_it_holds_open_ends(api: Served) -> None:
    key = await made(api)
    told = {"Authorization": f"Bearer {key['key']}", "Accept": "text/event-stream"}
    record = await api.created()
    wait = asyncio.ensure_future(api.get(f"/api/instances/{record.id}/wait?timeoutMs=20000", key=key["key"]))
    async with api.http.get(f"{api.root}/api/events", headers=told) as stream:
        assert await stream.content.readline() == b"retry: 2000\n"
        await until(lambda: api.desk.waits.count == 1)
        assert (await api.ask("DELETE", f"/api/keys/{key['id']}")).json["name"] == "ci"
        assert b"event:" not in await stream.content.read()
    assert (await wait).status == 401
    assert (await api.get("/api/instances", key=key["key"])).status == 401
    assert (await api.get("/api/keys")).json == {"keys": []}
    assert (await api.ask("DELETE", f"/api/keys/{key['id']}")).code == "NOT_FOUND"
    assert (await api.get("/api/events")).json["events"][-1]["type"] == "key.revoked"


async def test_a_key_that_has_expired_opens_nothing(api: Served) -> None:
    ends = now() + timedelta(hours=1)
    key = await made(api, "ci", "read", expiresAt=time_text(ends))
    clock = [now()]
    ring = StoredKeyring(hashed("another"), api.store.api_keys, lambda: clock[0])
    assert await ring.principal(key["key"]) == ring.named(key["id"]) is not None
    clock[0] = ends
    assert (await ring.principal(key["key"]), ring.named(key["id"])) == (None, None)


async def test_what_is_wrong_with_a_key_is_told_all_at_once(api: Served) -> None:
    await made(api, "ci")
    body = {"name": "a b", "scopes": ["read", "read"], "limits": {"maxInstances": -1, "maxUsdPerHour": 1}, "x": 1}
    answer = await api.post("/api/keys", body)
    assert (answer.status, {f["field"] for f in answer.json["error"]["details"]}) == (
        400,
        {"name", "scopes", "limits.maxInstances", "limits.maxUsdPerHour", "x"},
    )
    for wrong, fields in [
        ({"name": "ci", "scopes": ["read"]}, ["name"]),
        ({"name": "control", "scopes": ["read"]}, ["name"]),
        (
            {"name": "b", "scopes": ["operate"], "expiresAt": "2020-01-01T00:00:00Z", "limits": {"maxInstances": 1}},
            ["expiresAt", "limits"],
        ),
    ]:
        answer = await api.post("/api/keys", wrong)
        assert [f["field"] for f in answer.json["error"]["details"]] == fields
        assert answer.status == 400


async def test_a_key_creates_no_more_than_its_limits_say_and_is_told_the_figures(api: Served) -> None:
    key = (await made(api, limits={"maxInstances": 2}))["key"]
    bodies = [{**LEAST, "name": f"t-{number}"} for number in range(5)]
    answers = await asyncio.gather(*(api.post("/api/instances", body, key=key) for body in bodies))
    refused = [answer for answer in answers if answer.status == 422]
    assert sorted(answer.status for answer in answers) == [201, 201, 422, 422, 422]
    told = refused[0].json["error"]
    assert (told["code"], told["details"]["maxInstances"], told["details"]["key"]) == ("LIMIT_REACHED", 2, "ci")
    assert told["message"].startswith("maxInstances of the key ci is 2; this would make 3.")
    plan = await api.post("/api/instances/plan", {**LEAST, "name": "t-9"}, key=key)
    assert plan.json["refusal"]["code"] == "LIMIT_REACHED"
    assert "refusal" not in (await api.post("/api/instances/plan", {**LEAST, "name": "t-9"})).json
    assert (await api.post("/api/instances", {**LEAST, "name": "t-9"})).status == 201


async def test_a_key_spends_no_more_than_its_limits_say(api: Served) -> None:
    key = (await made(api, limits={"maxUsdPerHour": "0.5000"}))["key"]
    body = {**LEAST, "regions": ["AS-SGP-02"], "maxPricePerHour": "0.4000"}
    assert (await api.post("/api/instances", body, key=key)).status == 201
    over = await api.post("/api/instances", {**body, "name": "t-2"}, key=key)
    assert (over.code, over.json["error"]["details"]["maxUsdPerHour"]) == ("LIMIT_REACHED", "0.5000")


async def test_a_key_stays_in_its_regions(api: Served) -> None:
    key = (await made(api, limits={"regions": ["CN-HK-01", "us-ca-6"]}))["key"]
    answer = await api.post("/api/instances", {**LEAST, "region": "AS-SGP-02"}, key=key)
    assert (answer.code, answer.json["error"]["details"]) == (
        "LIMIT_REACHED",
        {"allowedRegions": ["CN-HK-01", "us-ca-6"], "refusedRegions": ["AS-SGP-02"]},
    )
    accepted = await api.post("/api/instances", LEAST, key=key)
    spec = (await api.record(accepted.json["instanceId"])).spec
    assert spec.regions == ("CN-HK-01", "US-CA-06")


async def test_a_key_with_limits_makes_no_keys_and_starts_only_what_it_created(api: Served) -> None:
    key = (await made(api, limits={"maxInstances": 1}))["key"]
    assert (await api.post("/api/keys", {"name": "more", "scopes": ["admin"]}, key=key)).code == "FORBIDDEN"
    assert (await api.ask("DELETE", "/api/keys/key_1", key=key)).code == "FORBIDDEN"
    other = await api.created("others")
    mine = await api.post("/api/instances", {**LEAST, "name": "mine"}, key=key)
    for name in ("others", "mine"):
        record = await api.record(other.id if name == "others" else mine.json["instanceId"])
        await api.post(f"/api/instances/{name}/stop", key=key)
        record = await api.record(record.id)
        assert record.owner
        started = await api.post(f"/api/instances/{name}/start", key=key)
        assert started.status == (403 if name == "others" else 202), started.body
    assert InstanceId(mine.json["instanceId"]) in api.bell.instances


@pytest.mark.parametrize("scope", [Scope.READ, Scope.OPERATE])
async def test_only_an_admin_sees_keys(api: Served, scope: Scope) -> None:
    assert (await api.get("/api/keys", key=scope)).status == 403
