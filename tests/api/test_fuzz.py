"""Whatever is sent is answered as documented, and never with a bug of ours."""

import asyncio
import threading
from collections.abc import Generator
from typing import Any, cast
from urllib.parse import quote

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from schemathesis.checks import CHECKS  # pyright: ignore[reportUnknownVariableType]

from novita_gpu.api.app import ROUTES
from novita_gpu.api.openapi import document
from tests.api.served import KEYS, Scope, served

SPEC = document(Litestar(list(ROUTES), openapi_config=None, logging_config=None), version="test")


def without_security(spec: dict[str, Any]) -> dict[str, Any]:
    """Our own key goes with every request, over whatever would be tried in its place."""
    open_paths = {
        path: {method: {k: v for k, v in told.items() if k != "security"} for method, told in methods.items()}
        for path, methods in spec["paths"].items()
    }
    components = {name: parts for name, parts in spec["components"].items() if name != "securitySchemes"}
    return {name: part for name, part in spec.items() if name != "security"} | {
        "paths": open_paths,
        "components": components,
    }


schema: Any = schemathesis.openapi.from_dict(without_security(SPEC))  # pyright: ignore[reportUnknownMemberType]


@pytest.fixture(scope="module")
def root(valkey: str) -> Generator[str]:
    """The API in a thread of its own."""
    found: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with served(valkey) as api:
            await api.created("fuzzed")
            found.append(api.root)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


# A valid request may well be refused: the name is taken, the cursor of another list, the wait over.
NOT_ASKED = cast("list[Any]", CHECKS.get_by_names(["positive_data_acceptance"]))


@schema.exclude(operation_id="waitForInstance").parametrize()
# The same cases at every run: a gate that finds something new is a gate that fails by chance.
@settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_document_keeps_its_word(case: Any, root: str) -> None:
    response = case.call(base_url=root, headers={"Authorization": f"Bearer {KEYS[Scope.ADMIN]}"}, timeout=10)
    assert response.status_code != 500
    case.validate_response(response, excluded_checks=NOT_ASKED)


METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
PATHS = st.sampled_from([*SPEC["paths"], "/", "/api", "/api/instances/{id}/nothing", "/docs/{id}"])
PRINTED = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=30), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "name",
        "limit",
        "after",
        "cursor",
        "for",
        "timeoutMs",
        "instanceName",
        "lastUsedAt",
        "autoStop",
        "webhookUrl",
        "x",
    ]
)
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=50),
    st.dictionaries(NAMES, JSON, max_size=4).map(msgspec.json.encode),
)
TOLD = st.dictionaries(
    st.sampled_from(
        ["Idempotency-Key", "If-None-Match", "Last-Event-ID", "X-Request-ID", "Content-Type", "Accept", "Authorization"]
    ),
    PRINTED.map(str.strip),
    max_size=3,
)


@given(METHODS, PATHS, st.text(max_size=20), st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=3), BODIES, TOLD)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_noise_is_answered_in_form(
    root: str,
    method: str,
    path: str,
    ref: str,
    query: list[tuple[str, str]],
    body: bytes | None,
    told: dict[str, str],
) -> None:
    if path.endswith("/wait"):
        query = [*(pair for pair in query if pair[0] != "timeoutMs"), ("timeoutMs", "1")]
    headers = {"Authorization": f"Bearer {KEYS[Scope.ADMIN]}", "Content-Type": "application/json", **told}
    headers["Accept"] = headers.get("Accept", "*/*").replace("event-stream", "")
    url = root + path.replace("{id}", quote(ref, safe=""))
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    response = requests.request(method, url, params=query, data=body, headers=raw, timeout=10, allow_redirects=False)
    assert response.status_code != 500, response.text
    assert response.headers["x-request-id"]
    if response.status_code >= 400 and method != "HEAD":
        assert response.json()["error"]["requestId"] == response.headers["x-request-id"]
