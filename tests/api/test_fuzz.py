"""Whatever is sent is answered as documented, and never with a bug of ours."""

from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.fuzzing import (
    CALLERS,
    SPEC,
    built_on_each_other,
    check,
    in_a_thread,
    one_after_another,
    schema,
    send,
)
from tests.api.served import KEYS, Scope


@pytest.fixture(scope="module")
def root(valkey: str) -> Generator[str]:
    with in_a_thread(valkey) as at:
        yield at


@schema.parametrize()
# The same cases at every run: a gate that finds something new is a gate that fails by chance.
@settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_document_keeps_its_word(case: Any, root: str) -> None:
    check(case, send(case, root, Scope.ADMIN), Scope.ADMIN)


@pytest.mark.parametrize("caller", CALLERS)
def test_s1_no_key_opens_more_than_the_table_says(root: str, caller: str) -> None:
    """`make fuzz` goes on for two minutes each."""
    one_after_another(root, caller, 30, 0)


def test_what_is_asked_of_what_was_answered_keeps_to_the_document(root: str) -> None:
    built_on_each_other(root, Scope.ADMIN, 3)


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
