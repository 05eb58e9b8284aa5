"""What was sent to receivers is listed with what came of it, and is sent again on request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.contract import time_text
from novita_gpu.store.base import Delivery, Try
from novita_gpu.store.endpoints import MOST
from novita_gpu.webhooks import outbox
from novita_gpu.webhooks.schedule import SCHEDULE
from tests.api.served import Scope, Served
from tests.domain import given
from tests.webhooks.receiver import SECRET

HOOK = "https://hook.example/path?token=abc"
OTHER = "https://OTHER.example:443/"
A_TRY = Try(at=datetime(2026, 1, 31, 12, tzinfo=UTC), duration_ms=17, status_code=500, answer="out of order")


async def sent(api: Served, name: str, url: str = HOOK) -> Delivery:
    """The delivery of a new instance's first event."""
    await api.created(name, webhookUrl=url)
    return (await api.store.deliveries.newest(1))[0][0]


async def ended(api: Served, delivery: Delivery, state: str, tries: int = 1) -> Delivery:
    return await api.store.deliveries.save(replace(delivery, state=state, tries=(A_TRY,) * tries))


async def listed(api: Served, query: str = "") -> list[str]:
    answer = await api.get(f"/api/webhooks/deliveries?{query}", key=Scope.READ)
    assert answer.status == 200, answer.body
    return [row["id"] for row in answer.json["deliveries"]]


async def test_a_delivery_is_shown_with_its_tries_and_without_the_receivers_address(api: Served) -> None:
    delivery = await ended(api, await sent(api, "a"), "exhausted")
    answer = await api.get("/api/webhooks/deliveries", key=Scope.READ)
    assert answer.json == {
        "deliveries": [
            {
                "id": delivery.id,
                "eventId": delivery.event_id,
                "type": "instance.creating",
                "sequence": 1,
                "status": "exhausted",
                "host": "hook.example",
                "instanceId": delivery.instance_id,
                "createdAt": time_text(delivery.created_at),
                "attempts": [
                    {"at": "2026-01-31T12:00:00.000Z", "durationMs": 17, "statusCode": 500, "answer": "out of order"}
                ],
            }
        ]
    }
    assert b"token" not in answer.body


async def test_an_open_one_says_when_it_is_tried_next(api: Served) -> None:
    delivery = await sent(api, "a")
    (row,) = (await api.get("/api/webhooks/deliveries")).json["deliveries"]
    assert (row["status"], row["nextTryAt"], row["attempts"]) == ("pending", time_text(delivery.due), [])


async def test_deliveries_are_filtered(api: Served) -> None:
    a, b, c = await sent(api, "a"), await sent(api, "b", OTHER), await sent(api, "c")
    await ended(api, b, "delivered")
    await ended(api, c, "exhausted")
    assert await listed(api) == [c.id, b.id, a.id]
    assert await listed(api, "status=pending") == [a.id]
    assert await listed(api, "status=delivered&status=exhausted") == [c.id, b.id]
    assert await listed(api, "instanceId=b") == [b.id]
    assert await listed(api, "host=Other.example:443") == [b.id]
    assert await listed(api, "type=instance.ready") == []
    await api.becomes(await api.record(a.instance_id or ""), replace(given.ready(), webhook_url=HOOK))
    assert len(await listed(api, "type=instance.ready")) == 1


@pytest.mark.parametrize(
    "query", ["status=open", "cursor=x", "cursor=-1", "limit=0", "type=no", "since=2026-01-31T12:00:00Z", "host="]
)
async def test_a_wrong_query_is_refused(api: Served, query: str) -> None:
    assert (await api.get(f"/api/webhooks/deliveries?{query}")).status == 400


async def test_pages_go_on_where_the_last_one_ended(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [(await sent(api, f"a{n}", OTHER if n % 2 else HOOK)).id for n in range(8)][::-2]
    monkeypatch.setattr(outbox, "LOOKED_AT", 3)
    found, cursor, pages = list[str](), "", 0
    while True:
        answer = (await api.get(f"/api/webhooks/deliveries?host=other.example:443&limit=2{cursor}")).json
        found += [row["id"] for row in answer["deliveries"]]
        pages += 1
        if "nextCursor" not in answer:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    assert found == wanted
    assert pages >= 3


async def test_one_that_ended_is_sent_again_by_the_whole_schedule(api: Served) -> None:
    delivery = await ended(api, await sent(api, "a"), "exhausted", tries=len(SCHEDULE) + 3)
    answer = await api.post(f"/api/webhooks/deliveries/{delivery.id}/replay")
    assert (answer.status, answer.json["status"], answer.json["id"]) == (202, "pending", delivery.id)
    assert len(answer.json["attempts"]) == len(SCHEDULE)
    again = await api.store.deliveries.load(delivery.id)
    assert again
    assert (again.tries_before, again.event_id) == (len(SCHEDULE), delivery.event_id)
    assert await api.store.deliveries.hosts_due(datetime.now(UTC)) == ["hook.example"]
    assert api.bell.outboxes == 2


async def test_an_open_one_is_brought_forward_and_keeps_its_place_in_the_schedule(api: Served) -> None:
    waiting = await sent(api, "a")
    later = datetime.now(UTC) + timedelta(hours=5)
    await api.store.deliveries.save(replace(waiting, due=later, tries=(A_TRY,)))
    await api.post(f"/api/webhooks/deliveries/{waiting.id}/replay")
    again = await api.store.deliveries.load(waiting.id)
    assert again
    assert (again.tries_before, len(again.tries)) == (0, 1)
    assert again.due <= datetime.now(UTC)


async def test_what_is_not_there_cannot_be_sent_again(api: Served) -> None:
    answer = await api.post("/api/webhooks/deliveries/msg_0/replay")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_a_range_is_sent_again_by_the_time_of_its_events(api: Served) -> None:
    first, second = (
        await ended(api, await sent(api, "a"), "delivered"),
        await ended(api, await sent(api, "b"), "exhausted"),
    )
    await sent(api, "c")
    since, until = second.created_at - timedelta(microseconds=1), second.created_at + timedelta(hours=1)
    assert first.created_at < second.created_at

    async def replayed(**more: object) -> int:
        times = {"since": first.created_at.isoformat(), "until": until.isoformat()}
        answer = await api.post("/api/webhooks/deliveries/replay", {**times, **more})
        assert answer.status == 202, answer.body
        return answer.json["count"]

    assert await replayed(until=first.created_at.isoformat(), since="2026-01-01T00:00:00Z") == 0
    assert await replayed(status=["exhausted"], host="nobody.example") == 0
    assert await replayed(since=since.isoformat()) == 1
    assert await listed(api, "status=delivered") == [first.id]
    assert await replayed() == 1
    assert await listed(api, "status=delivered&status=exhausted") == []


@pytest.mark.parametrize(
    "body", [{}, {"since": "2026-01-31T12:00:00Z"}, {"since": "2026-01-31T12:00:00Z", "until": "2026-01-31T12:00:00Z"}]
)
async def test_a_wrong_range_is_refused(api: Served, body: object) -> None:
    assert (await api.post("/api/webhooks/deliveries/replay", body)).status == 400


async def test_a_test_is_an_event_and_a_delivery(api: Served) -> None:
    answer = await api.post("/api/webhooks/test", {"url": HOOK})
    assert answer.status == 202
    (row,) = answer.json["deliveries"]
    assert (row["type"], row["host"], row["sequence"]) == ("webhook.test", "hook.example", answer.json["sequence"])
    (event,) = (await api.get("/api/events?type=webhook.test")).json["events"]
    assert (event["id"], event["data"]["actor"]) == (answer.json["eventId"], "admin-key")
    assert await listed(api) == [row["id"]]
    assert api.bell.outboxes == 1


async def test_a_test_needs_a_receiver_and_s2_a_public_one(api: Served) -> None:
    missing = await api.post("/api/webhooks/test")
    assert (missing.status, missing.json["error"]["details"][0]["field"]) == (400, "url")
    private = await api.post("/api/webhooks/test", {"url": "http://169.254.169.254/"})
    assert (private.status, private.code) == (422, "WEBHOOK_URL_REFUSED")
    assert await api.store.events.read() == []


async def added(api: Served, **body: object) -> dict[str, Any]:
    answer = await api.post("/api/webhooks/endpoints", {"url": HOOK, **body})
    assert answer.status == 201, answer.body
    return answer.json


async def endpoints(api: Served) -> list[dict[str, Any]]:
    return (await api.get("/api/webhooks/endpoints")).json["endpoints"]


async def test_s6_an_endpoints_secret_is_told_where_it_is_made_and_never_again(api: Served) -> None:
    made = await added(api, types=["instance.ready"])
    assert made["secret"] == SECRET
    changed = await api.ask("PATCH", f"/api/webhooks/endpoints/{made['id']}", {"types": []})
    listed_ = await api.get("/api/webhooks/endpoints")
    removed = await api.ask("DELETE", f"/api/webhooks/endpoints/{made['id']}")
    for answer in (changed, listed_, removed):
        assert answer.status == 200
        assert b"whsec_" not in answer.body
    assert await endpoints(api) == []


async def test_an_endpoint_is_changed_switched_off_and_on(api: Served) -> None:
    made = await added(api)
    at = f"/api/webhooks/endpoints/{made['id']}"
    assert (made["types"], made["enabled"]) == ([], True)
    changed = (await api.ask("PATCH", at, {"url": OTHER, "types": ["instance.failed"]})).json
    assert (changed["url"], changed["types"]) == (OTHER, ["instance.failed"])
    assert changed["updatedAt"] > made["updatedAt"]
    off = (await api.ask("PATCH", at, {"enabled": False})).json
    assert (off["enabled"], off["offReason"], off["url"]) == (False, "switched off by hand", OTHER)
    on = (await api.ask("PATCH", at, {"enabled": True})).json
    assert on["enabled"]
    assert "offReason" not in on
    assert (await api.ask("PATCH", at, {})).json == on == (await endpoints(api))[0]


async def test_a_rotation_says_until_when_the_secret_before_signs(api: Served) -> None:
    made = await added(api)
    rotated = await api.post(f"/api/webhooks/endpoints/{made['id']}/rotate")
    assert (rotated.status, rotated.json["secret"]) == (200, SECRET)
    until = datetime.fromisoformat(rotated.json["secretBeforeUntil"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    assert (await endpoints(api))[0]["secretBeforeUntil"] == rotated.json["secretBeforeUntil"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "VALIDATION_ERROR"),
        ({"url": "ftp://x/"}, 400, "VALIDATION_ERROR"),
        ({"url": HOOK, "types": ["webhook.test"]}, 400, "VALIDATION_ERROR"),
        ({"url": HOOK, "types": ["sync.orphan_found"]}, 400, "VALIDATION_ERROR"),
        ({"url": HOOK, "types": ["instance.ready", "instance.ready"]}, 400, "VALIDATION_ERROR"),
        ({"url": HOOK, "secret": "mine"}, 400, "VALIDATION_ERROR"),
        ({"url": "http://169.254.169.254/"}, 422, "WEBHOOK_URL_REFUSED"),
    ],
)
async def test_a_wrong_endpoint_is_refused(api: Served, body: object, status: int, code: str) -> None:
    answer = await api.post("/api/webhooks/endpoints", body)
    assert (answer.status, answer.code) == (status, code)
    assert await endpoints(api) == []


async def test_a_change_to_a_private_address_is_refused(api: Served) -> None:
    at = f"/api/webhooks/endpoints/{(await added(api))['id']}"
    assert (await api.ask("PATCH", at, {"url": "http://169.254.169.254/"})).code == "WEBHOOK_URL_REFUSED"
    assert (await endpoints(api))[0]["url"] == HOOK


async def test_an_endpoint_that_is_not_there(api: Served) -> None:
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = await api.ask(method, f"/api/webhooks/endpoints/whe_0{path}", {} if method == "PATCH" else None)
        assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_no_more_endpoints_than_there_may_be(api: Served) -> None:
    for _ in range(MOST):
        await added(api)
    answer = await api.post("/api/webhooks/endpoints", {"url": HOOK})
    assert (answer.status, answer.code) == (422, "LIMIT_REACHED")


async def test_a_test_reaches_every_endpoint_or_those_at_the_address(api: Served) -> None:
    one, two = await added(api), await added(api, url=OTHER)
    off = await added(api)
    await api.ask("PATCH", f"/api/webhooks/endpoints/{off['id']}", {"enabled": False})
    everyone = (await api.post("/api/webhooks/test")).json["deliveries"]
    assert [row["endpointId"] for row in everyone] == [one["id"], two["id"]]
    (row,) = (await api.post("/api/webhooks/test", {"url": OTHER})).json["deliveries"]
    assert row["endpointId"] == two["id"]
    (row,) = (await api.post("/api/webhooks/test", {"url": "https://third.example/"})).json["deliveries"]
    assert "endpointId" not in row


async def test_an_event_without_a_receiver_rings_for_those_who_are_registered(api: Served) -> None:
    record = await api.created("a")
    before = api.bell.outboxes
    await api.becomes(record, given.ready())
    assert api.bell.outboxes == before + 1
