"""Every error is the envelope, and every answer bears its ids and safe headers."""

import re
from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import novita_gpu
from novita_gpu.api.problems import HTTP_OF
from novita_gpu.cloud.base import (
    Ambiguous,
    CloudError,
    NotFound,
    OutOfCapacity,
    OutOfMoney,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    Unreadable,
)
from novita_gpu.store.base import ClaimLost, Stale, StoreError, Unavailable
from tests.api.served import LEAST, Answer, Served, served

MIB = 1024 * 1024


def is_envelope(answer: Answer) -> bool:
    error = answer.json["error"]
    return (
        {"code", "message", "timestamp", "requestId"} <= set(error)
        and error["requestId"] == answer.headers["x-request-id"]
        and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", error["timestamp"]) is not None
        and answer.headers["content-type"] == "application/json"
        and HTTP_OF[error["code"]] == answer.status
    )


@pytest.mark.parametrize(
    ("method", "path", "how", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "NOT_FOUND"),
        ("GET", "/api/instances/x/y/z", {}, 404, "NOT_FOUND"),
        ("GET", "//", {}, 404, "NOT_FOUND"),
        ("PUT", "/api/instances", {}, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/instances/start", {}, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/instances", {"raw": b"{"}, 400, "INVALID_JSON"),
        ("POST", "/api/instances", {"raw": b"[" * 5000}, 400, "INVALID_JSON"),
        ("POST", "/api/instances", {"raw": b"\xff"}, 400, "INVALID_JSON"),
        ("POST", "/api/instances", {"raw": b"a=1", "Content_Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/api/instances", {"body": LEAST, "Content_Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("POST", "/api/instances", {"body": {}}, 400, "VALIDATION_ERROR"),
        ("GET", "/api/instances", {"key": None}, 401, "UNAUTHORIZED"),
        ("GET", "/api/instances/a?x=1", {}, 400, "VALIDATION_ERROR"),
        ("GET", "/health?x=1", {}, 400, "VALIDATION_ERROR"),
        ("GET", "/api/instances?" + "&".join(f"a{i}" for i in range(200)), {}, 400, "VALIDATION_ERROR"),
    ],
)
async def test_errors(api: Served, method: str, path: str, how: dict[str, Any], status: int, code: str) -> None:
    answer = await api.ask(method, path, **how)
    assert (answer.status, answer.code) == (status, code)
    assert is_envelope(answer)


async def test_s9_a_body_is_limited_whether_its_length_is_announced_or_not(api: Served) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b" " * (MIB // 10)

    for body in (BytesIO(b" " * (MIB + 1)), chunks()):
        answer = await api.ask("POST", "/api/instances", raw=body)
        assert (answer.status, answer.code) == (413, "BODY_TOO_LARGE")
        assert is_envelope(answer)


async def test_405_names_what_the_path_takes(api: Served) -> None:
    assert (await api.ask("PUT", "/api/instances")).headers["allow"] == "GET, POST"


async def test_ids_are_taken_made_and_answered(api: Served) -> None:
    given = await api.get("/health", X_Request_ID="req-1", X_Correlation_ID="job.7")
    assert (given.headers["x-request-id"], given.headers["x-correlation-id"]) == ("req-1", "job.7")
    for wrong in ("a b", "x" * 129, "a,b", "ü"):
        made = await api.get("/nowhere", X_Request_ID=wrong)
        assert made.headers["x-request-id"].startswith("req_")
        assert made.headers["x-correlation-id"] == made.headers["x-request-id"]


async def test_the_correlation_id_goes_with_the_event(api: Served) -> None:
    await api.post("/api/instances", LEAST, X_Correlation_ID="job.7")
    events = (await api.get("/api/events")).json["events"]
    assert events[0]["data"]["correlationId"] == "job.7"
    assert events[0]["data"]["actor"] == "admin-key"


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/instances", "/openapi.json", "/docs"])
async def test_every_answer_is_safe_to_show(api: Served, path: str) -> None:
    headers = (await api.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


class Broken:
    """Commands and a keyring that raise."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def create(self, *_: object) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("secret detail"), 500, "INTERNAL_ERROR"),
        (KeyError("x"), 500, "INTERNAL_ERROR"),
        (Unavailable("gone"), 503, "STORE_UNAVAILABLE"),
        (StoreError("odd"), 503, "STORE_UNAVAILABLE"),
        (Stale("moved"), 503, "STORE_UNAVAILABLE"),
        (ClaimLost("late"), 409, "IDEMPOTENCY_IN_PROGRESS"),
        (Unauthorized("no"), 502, "NOVITA_AUTH_FAILED"),
        (OutOfMoney("no"), 502, "NOVITA_API_ERROR"),
        (Rejected("no"), 502, "NOVITA_API_ERROR"),
        (NotFound("no"), 502, "NOVITA_API_ERROR"),
        (Unreadable("no"), 502, "NOVITA_API_ERROR"),
        (Throttled("slow"), 503, "NOVITA_API_ERROR"),
        (Unreachable("cut"), 504, "NOVITA_TIMEOUT"),
        (Unreachable("cut", reason="CIRCUIT_OPEN"), 503, "CIRCUIT_BREAKER_OPEN"),
        (Ambiguous("cut"), 504, "NOVITA_TIMEOUT"),
        (OutOfCapacity("none"), 422, "NO_OFFER"),
        (CloudError("odd"), 502, "NOVITA_API_ERROR"),
    ],
)
async def test_what_goes_wrong_behind_is_told_by_meaning(valkey: str, error: Exception, status: int, code: str) -> None:
    async with served(valkey, commands=Broken(error)) as api:
        answer = await api.post("/api/instances", LEAST)
    assert (answer.status, answer.code) == (status, code)
    assert b"secret detail" not in answer.body
    assert ("retry-after" in answer.headers) == (status in (409, 502, 503, 504))
    assert "details" not in answer.json["error"]


def test_every_code_in_the_source_has_its_status() -> None:
    root = Path(novita_gpu.__file__).parent
    raised = re.compile(r'(?:Problem|Missing|Conflicting|Unavailable|Refused|super\(\).__init__)\(\s*"([A-Z][A-Z_]+)"')
    sources = (path for path in root.rglob("*.py") if "cloud" not in path.parts)  # that speaks the cloud's own codes
    codes = {code for path in sources for code in raised.findall(path.read_text("utf-8"))}
    assert codes
    assert codes <= set(HTTP_OF)
