"""One line for each request, with its ids and without secrets."""

import json
import logging
from io import StringIO
from typing import Any

import structlog

from novita_gpu import observe
from tests.api.served import KEYS, LEAST, Scope, Served
from tests.told import Told


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_value_is_hidden_by_its_name_at_any_depth(told: Told) -> None:
    log = told()
    fields: dict[str, Any] = {
        "password": "hunter2",
        "request": {"headers": {"Authorization": "Bearer hunter2"}, "envs": [{"value": "hunter2"}]},
        "seen": [{"webhook_secret": "hunter2", "name": "a"}],
        "api_key": "hunter2",
        "name": "trainer",
    }
    structlog.get_logger("a").info("thing.happened", **fields)
    logging.getLogger("library").warning("said %s", "this")
    first, second = lines(log)
    assert "hunter2" not in json.dumps(first)
    assert (first["name"], first["event"], first["level"]) == ("trainer", "thing.happened", "info")
    assert (second["event"], second["level"]) == ("said this", "warning")


async def test_s1_a_request_is_logged_by_its_route_without_its_key(told: Told, api: Served) -> None:
    log = told()
    await api.get("/api/instances/Some-Name?x=secret", X_Request_ID="req-7", X_Correlation_ID="job-7")
    await api.post("/api/instances", {**LEAST, "envs": [{"key": "A", "value": "hunter2"}]})
    text = log.getvalue()
    assert not any(word in text for word in (KEYS[Scope.ADMIN], "hunter2", "Some-Name", "x=secret"))
    line = next(line for line in lines(log) if line.get("request_id") == "req-7")
    assert (line["route"], line["status"], line["correlation_id"]) == ("/api/instances/{id}", 400, "job-7")


def test_ids_are_taken_only_if_they_are_ids() -> None:
    assert observe.id_or_new("job.7_a-b", lambda: "new") == "job.7_a-b"
    for wrong in (None, "", "a b", "a\n", "x" * 129, "ä"):
        assert observe.id_or_new(wrong, lambda: "new") == "new"
