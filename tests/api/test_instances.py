"""Instances over HTTP: made, read, listed, changed, kept in use, all stopped."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from novita_gpu.contract import ROUTE_WORDS, time_text
from novita_gpu.domain.bill import Bill, Rate
from novita_gpu.domain.instance import CloudId, Record
from novita_gpu.domain.spec import Env
from tests.api.served import LEAST, Scope, Served, until
from tests.domain import given


async def ready(api: Served, name: str = "trainer-1", **more: object) -> Record:
    record = await api.created(name, **more)
    return await api.becomes(record, given.ready())


def with_password(record: Record) -> Record:
    connection = record.run.connection
    assert connection
    told = replace(connection, ssh="ssh root@m.example", ssh_password="s3cret")
    return replace(
        record,
        run=replace(record.run, connection=told),
        spec=replace(record.spec, envs=(Env(key="TOKEN", value="hunter2"),)),
    )


async def test_create_is_accepted_stored_and_rung(api: Served) -> None:
    answer = await api.post("/api/instances", LEAST)
    assert answer.status == 201
    accepted = answer.json
    assert accepted["status"] == "creating"
    assert answer.headers["location"] == f"/api/instances/{accepted['instanceId']}"
    assert api.bell.instances == [accepted["instanceId"]]
    again = await api.get(answer.headers["location"])
    assert (again.json["name"], again.json["status"], again.json["desired"]) == ("trainer-1", "creating", "running")


async def test_money_is_a_decimal_string_with_four_places(api: Served) -> None:
    price = (await api.post("/api/instances", LEAST)).json["pricePerHour"]
    assert len(price.partition(".")[2]) == 4


async def test_n4_a_taken_name_is_refused_with_the_id_that_has_it(api: Served) -> None:
    record = await api.created()
    answer = await api.post("/api/instances", LEAST)
    assert (answer.status, answer.code) == (409, "INSTANCE_ALREADY_EXISTS")
    assert answer.json["error"]["details"]["instanceId"] == record.id


async def test_every_fault_of_a_create_is_answered_at_once(api: Served) -> None:
    answer = await api.post("/api/instances", {"name": "start", "gpuNum": "2", "colour": "red"})
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    fields = {fault["field"] for fault in answer.json["error"]["details"]}
    assert fields == {"name", "gpuNum", "colour", "productName", "templateId"}


async def test_an_instance_is_found_by_our_id_by_the_clouds_and_by_its_name(api: Served) -> None:
    record = await ready(api)
    for ref in (record.id, given.MACHINE, record.name):
        answer = await api.get(f"/api/instances/{ref}", key=Scope.READ)
        assert (answer.status, answer.json["id"]) == (200, record.id)


@pytest.mark.parametrize("ref", ["nobody", "ins_0", "0000000000000000", "a%20b", "%00", "%F0%9F%98%80", "x" * 200])
async def test_what_is_not_there_is_not_found(api: Served, ref: str) -> None:
    for method, path in (("GET", ""), ("GET", "/wait"), ("GET", "/events"), ("POST", "/start"), ("DELETE", "")):
        answer = await api.ask(method, f"/api/instances/{ref}{path}")
        assert (answer.status, answer.code) == (404, "INSTANCE_NOT_FOUND")


async def test_s6_the_password_is_only_in_the_single_get_and_only_for_who_may_operate(api: Served) -> None:
    record = await api.created()
    record = await api.becomes(record, with_password(given.ready()))
    shown = await api.get(f"/api/instances/{record.id}", key=Scope.OPERATE)
    assert shown.json["connectionDetails"]["sshPassword"] == "s3cret"
    assert shown.json["envs"] == ["TOKEN"]
    others = [
        await api.get(f"/api/instances/{record.id}", key=Scope.READ),
        await api.get("/api/instances"),
        await api.get("/api/instances?source=all"),
        await api.get("/api/instances/comprehensive"),
        await api.get("/api/events"),
        await api.get(f"/api/instances/{record.id}/events"),
        await api.get(f"/api/instances/{record.id}/wait"),
        await api.get(f"/api/instances/{record.id}/wait?for=stopped&timeoutMs=1"),
        await api.ask("PATCH", f"/api/instances/{record.id}", {"onStartCapacity": "fail"}),
    ]
    assert not any(b"s3cret" in answer.body or b"hunter2" in answer.body for answer in others)
    assert b"hunter2" not in shown.body


async def test_what_is_known_already_is_not_sent_again(api: Served) -> None:
    record = await ready(api)
    path = f"/api/instances/{record.id}"
    first = await api.get(path, key=Scope.READ)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-store"
    known = await api.get(path, key=Scope.READ, If_None_Match=f'"x", W/{etag}')
    assert (known.status, known.body, known.headers["etag"]) == (304, b"", etag)
    await api.ask("PATCH", path, {"onStartCapacity": "fail"})
    assert (await api.get(path, key=Scope.READ, If_None_Match=etag)).status == 200


async def test_a_change_of_policy_is_told_with_what_changed_and_the_name(api: Served) -> None:
    record = await ready(api)
    body = {"onStartCapacity": "fail", "autoStop": {"idleMinutes": 45}}
    await api.ask("PATCH", f"/api/instances/{record.id}", body, key=Scope.OPERATE)
    (told,) = (await api.get("/api/events?type=instance.updated")).json["events"]
    assert told["data"]["facts"] == {"autoStop.idleMinutes": "45", "onStartCapacity": "fail"}
    assert told["data"]["reason"] == "changed: autoStop.idleMinutes, onStartCapacity"
    assert told["data"]["instance"]["name"] == record.name
    assert told["data"]["instance"]["sequence"] == told["data"]["sequence"]
    assert 'novita_gpu_events_total{type="instance.updated"} 1.0' in (await api.get("/metrics")).body.decode()


async def test_a_heartbeat_changes_what_is_answered(api: Served) -> None:
    record = await ready(api)
    path = f"/api/instances/{record.id}"
    etag = (await api.get(path)).headers["etag"]
    await api.ask("PUT", f"{path}/last-used")
    answer = await api.get(path, If_None_Match=etag)
    assert answer.status == 200
    assert answer.json["autoStop"]["lastActivitySource"] == "heartbeat"


async def test_the_cost_of_a_running_machine_goes_on(api: Served) -> None:
    record = await api.created()
    since = datetime.now(UTC) - timedelta(hours=2)
    record = await api.becomes(record, given.ready(bill=Bill(since=since, rate=Rate(compute=2_400_000))))
    cost = (await api.get(f"/api/instances/{record.id}")).json["costUsd"]
    assert Decimal("1.98") < Decimal(cost) <= Decimal("2.01")


async def test_the_list_is_newest_first_by_pages(api: Served) -> None:
    names = [f"n-{i}" for i in range(5)]
    for name in names:
        await api.created(name)
    got: list[str] = []
    cursor, page = "", {}
    for _ in range(3):
        page = (await api.get(f"/api/instances?limit=2{cursor}")).json
        assert page["total"] == 5
        got += [row["name"] for row in page["instances"]]
        cursor = f"&cursor={page.get('nextCursor')}"
    assert got == names[::-1]
    assert "nextCursor" not in page


async def test_the_list_is_filtered(api: Served) -> None:
    await ready(api, "alpha")
    await api.created("alpine", billingMode="spot")
    await api.created("beta")

    async def names(query: str) -> set[str]:
        answer = await api.get(f"/api/instances?{query}")
        assert answer.status == 200, answer.body
        return {row["name"] for row in answer.json["instances"]}

    assert await names("name=alp") == {"alpha", "alpine"}
    assert await names("status=ready&status=failed") == {"alpha"}
    assert await names("billingMode=spot") == {"alpine"}
    assert await names("region=AS-SGP-02&status=ready") == {"alpha"}
    assert await names("source=all") == {"alpha", "alpine", "beta"}
    assert await names("source=novita") == set()


async def test_a_list_that_is_known_is_not_sent_again(api: Served) -> None:
    await api.created()
    etag = (await api.get("/api/instances")).headers["etag"]
    assert (await api.get("/api/instances", If_None_Match=etag)).status == 304
    await api.created("another")
    assert (await api.get("/api/instances", If_None_Match=etag)).status == 200


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "cursor=zzz", "cursor=%00", "order=up", "source=all&cursor=zz"]
)
async def test_a_wrong_query_is_refused(api: Served, query: str) -> None:
    answer = await api.get(f"/api/instances?{query}")
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")


async def test_s6_a_whole_receiver_is_only_in_the_single_get_and_only_for_who_may_operate(api: Served) -> None:
    told = "https://example.com:443/a?token=hush"
    record = await api.becomes(await api.created(), replace(given.ready(), webhook_url=told))
    path = f"/api/instances/{record.name}"
    assert (await api.get(path, key=Scope.OPERATE)).json["webhookUrl"] == told
    hidden = [(await api.get(path, key=Scope.READ)).json, *(await api.get("/api/instances")).json["instances"]]
    hidden.append((await api.ask("PATCH", path, {"autoStop": {"idleMinutes": 9}})).json)
    events = (await api.get("/api/events")).json["events"]
    hidden += [event["data"]["instance"] for event in events if "instance" in event["data"]]
    assert {one["webhookUrl"] for one in hidden if "webhookUrl" in one} == {"https://example.com:443/***"}
    assert any("webhookUrl" in event["data"].get("instance", {}) for event in events)


async def test_patch_changes_policy_and_takes_limits_away(api: Served) -> None:
    record = await ready(api, webhookUrl="https://example.com/a")
    path = f"/api/instances/{record.name}"
    body = {"autoStop": {"idleMinutes": 99, "maxLifetimeMinutes": 60}, "recovery": {"maxPerDay": 1}}
    changed = (await api.ask("PATCH", path, body, key=Scope.OPERATE)).json
    assert (changed["autoStop"]["idleMinutes"], changed["autoStop"]["maxLifetimeMinutes"]) == (99, 60)
    bare = (await api.ask("PATCH", path, {"webhookUrl": None, "autoStop": {"maxLifetimeMinutes": None}})).json
    assert "webhookUrl" not in bare
    assert "maxLifetimeMinutes" not in bare["autoStop"]
    assert bare["autoStop"]["idleMinutes"] == 99


async def test_last_used_never_moves_backwards(api: Served) -> None:
    record = await ready(api)
    path = f"/api/instances/{record.id}/last-used"
    first = await api.ask("PUT", path, key=Scope.OPERATE)
    assert (first.status, first.json["instanceId"], first.json["message"]) == (200, record.id, "Recorded.")
    older = await api.ask("PUT", path, {"lastUsedAt": time_text(record.created_at + timedelta(milliseconds=1))})
    assert older.json["lastUsedAt"] == first.json["lastUsedAt"]
    assert older.json["message"] != "Recorded."


async def test_last_used_is_neither_before_creation_nor_far_ahead(api: Served) -> None:
    record = await ready(api)
    now = datetime.now(UTC)
    for at in (now + timedelta(seconds=120), record.created_at - timedelta(seconds=1)):
        answer = await api.ask("PUT", f"/api/instances/{record.id}/last-used", {"lastUsedAt": time_text(at)})
        assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, "lastUsedAt")
    told = f"{now + timedelta(seconds=120):%Y-%m-%dT%H:%M:%S}.5Z"
    answer = await api.ask("PUT", f"/api/instances/{record.id}/last-used", {"lastUsedAt": told})
    assert answer.json["error"]["details"][0]["value"] == told


async def test_last_used_is_refused_once_a_stop_is_under_way(api: Served) -> None:
    record = await ready(api)
    await api.post(f"/api/instances/{record.id}/stop")
    answer = await api.ask("PUT", f"/api/instances/{record.id}/last-used")
    assert (answer.status, answer.code) == (409, "INSTANCE_NOT_RUNNING")


async def test_n11_stop_all_stops_what_may_bill(api: Served) -> None:
    await ready(api, "one")
    down = await api.created("two")
    await api.becomes(down, replace(given.stopped(), machine=replace(given.stopped().machine, id=CloudId("a" * 16))))  # pyright: ignore[reportArgumentType]
    dry = await api.post("/api/instances/stop-all", {"dryRun": True})
    assert (dry.status, dry.json["count"]) == (202, 1)
    assert (await api.get("/api/instances/one")).json["desired"] == "running"
    done = await api.post("/api/instances/stop-all")
    assert [(row["name"], row["status"]) for row in done.json["results"]] == [("one", "stopping")]
    assert (await api.get("/api/instances/one")).json["desired"] == "stopped"


async def test_a_receiver_in_a_private_network_is_refused(api: Served) -> None:
    answer = await api.post("/api/instances", {**LEAST, "webhookUrl": "http://169.254.169.254/"})
    assert (answer.status, answer.code) == (422, "WEBHOOK_URL_REFUSED")


async def test_no_name_can_be_taken_for_a_route(api: Served) -> None:
    routes = {route.path for route in api.app.routes}
    words = {path.split("/")[3] for path in routes if path.startswith("/api/instances/")}
    assert {word for word in words if not word.startswith("{")} <= ROUTE_WORDS


async def test_reads_cost_the_store_nothing(api: Served) -> None:
    record = await ready(api)
    await until(lambda: api.store.view.get(record.id) is not None)
    before = await api.commands_done()
    for _ in range(20):
        await api.get(f"/api/instances/{record.id}")
        await api.get("/api/instances")
    assert await api.commands_done() - before < 10
