"""One Idempotency-Key, one effect, one answer."""

import asyncio
from hashlib import sha256

import msgspec
import pytest

from novita_gpu.store.base import Claim
from tests.api.served import LEAST, Scope, Served


async def test_n4_the_same_key_and_body_give_the_first_answer_again(api: Served) -> None:
    first = await api.post("/api/instances", LEAST, Idempotency_Key="k1")
    again = await api.post("/api/instances", dict(reversed(LEAST.items())), Idempotency_Key="k1")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (await api.get("/api/instances")).json["total"] == 1


async def test_n4_many_at_once_make_one(api: Served) -> None:
    answers = await asyncio.gather(*(api.post("/api/instances", LEAST, Idempotency_Key="k1") for _ in range(12)))
    assert {a.status for a in answers} <= {201, 409}
    assert len({a.json["instanceId"] for a in answers if a.status == 201}) == 1
    busy = [a for a in answers if a.status == 409]
    assert all(a.code == "IDEMPOTENCY_IN_PROGRESS" and a.headers["retry-after"] == "1" for a in busy)
    assert (await api.get("/api/instances")).json["total"] == 1


async def test_another_body_with_the_same_key_is_refused(api: Served) -> None:
    await api.post("/api/instances", LEAST, Idempotency_Key="k1")
    other = await api.post("/api/instances", {**LEAST, "gpuNum": 2}, Idempotency_Key="k1")
    assert (other.status, other.code) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_key_belongs_to_its_caller_and_its_path(api: Served) -> None:
    record = await api.created()
    paths = [f"/api/instances/{record.id}/{verb}" for verb in ("start", "stop")]
    for path in paths:
        for key in (Scope.ADMIN, Scope.OPERATE):
            answer = await api.post(path, key=key, Idempotency_Key="k1")
            assert answer.status in (200, 202)
            assert "idempotency-replayed" not in answer.headers


async def test_a_refusal_is_an_answer_too(api: Served) -> None:
    for body, code in (({"name": "x"}, "VALIDATION_ERROR"), (LEAST, "")):
        first = await api.post("/api/instances", body, Idempotency_Key=f"k-{code}")
        again = await api.post("/api/instances", body, Idempotency_Key=f"k-{code}")
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["idempotency-replayed"] == "true"


async def test_a_wish_that_changed_nothing_is_kept_as_well(api: Served) -> None:
    record = await api.created()
    first = await api.post(f"/api/instances/{record.id}/start", Idempotency_Key="k1")
    await api.post(f"/api/instances/{record.id}/stop")
    again = await api.post(f"/api/instances/{record.id}/start", Idempotency_Key="k1")
    assert (again.status, again.body) == (first.status, first.body)
    assert (await api.get(f"/api/instances/{record.id}")).json["desired"] == "stopped"


async def test_stop_all_is_kept(api: Served) -> None:
    await api.created()
    first = await api.post("/api/instances/stop-all", Idempotency_Key="k1")
    again = await api.post("/api/instances/stop-all", Idempotency_Key="k1")
    assert first.json["count"] == 1
    assert again.body == first.body


async def test_what_says_nothing_of_the_request_is_not_kept(api: Served) -> None:
    assert (await api.post("/api/instances", LEAST, key=Scope.READ, Idempotency_Key="k1")).status == 403
    assert (await api.post("/api/instances", LEAST, key=None, Idempotency_Key="k1")).status == 401
    assert (await api.post("/api/instances", LEAST, Idempotency_Key="k1")).status == 201


async def test_the_first_still_running_is_told_as_that(api: Served) -> None:
    fingerprint = sha256(msgspec.json.encode(LEAST, order="sorted")).hexdigest()
    claim = Claim(key="key_admin\nPOST\n/api/instances\nk1", fingerprint=fingerprint, token="somebody")
    assert (await api.store.claims.claim(claim)).outcome == "ours"
    answer = await api.post("/api/instances", LEAST, Idempotency_Key="k1")
    assert (answer.status, answer.code) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert answer.json["error"]["retryAfterMs"] == 1000
    await api.store.claims.release(claim)
    assert (await api.post("/api/instances", LEAST, Idempotency_Key="k1")).status == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_a_key_is_visible_ascii(api: Served, key: str) -> None:
    answer = await api.post("/api/instances", LEAST, Idempotency_Key=key)
    assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, "Idempotency-Key")


async def test_only_a_post_takes_a_key(api: Served) -> None:
    await api.created()
    for _ in range(2):
        answer = await api.ask("DELETE", "/api/instances/trainer-1", Idempotency_Key="k1")
        assert "idempotency-replayed" not in answer.headers
