"""What the log says of a wish: each event once, under the ids of the wish, and what was refused or took long."""

import ast
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from novita_gpu import observe
from novita_gpu.domain.events import EventType
from tests.architecture.pages import ROOT, section, text_of
from tests.plane import KEY, eventually, serving
from tests.story.test_together import FOREIGN
from tests.told import Told

NAME = re.compile(r"[a-z_]+(\.[a-z_]+)?")
LEVELS = {"debug", "info", "warning", "error", "exception"}


def lines(console: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in console.getvalue().splitlines()]


def of(console: StringIO, event: str) -> list[dict[str, Any]]:
    return [line for line in lines(console) if line["event"] == event]


async def test_a_wish_is_one_thread_through_the_log(told: Told, tmp_path: Path) -> None:
    console = told()
    async with serving(tmp_path) as service:
        await service.ask("POST", "/instances", _least("trainer"), X_Correlation_ID="job-7", X_Request_ID="req-7")
        await service.until("ready")
        known, instance = await service.events(), (await service.instance())["id"]
    request = next(line for line in of(console, "request") if line.get("request_id") == "req-7")
    operation = request["operation_id"]
    assert (request["instance_id"], request["status"], request["client"]) == (instance, 201, "127.0.0.1")
    of_events = [line for line in lines(console) if line.get("category") == observe.BUSINESS]
    assert [(line["event"], line["event_id"]) for line in of_events] == [(e["type"], e["id"]) for e in known]
    mine = [*of_events, *of(console, "create.answered"), request]
    assert {(line["correlation_id"], line["instance_id"], line["operation_id"]) for line in mine} == {
        ("job-7", instance, operation)
    }


async def test_a_stop_for_idleness_is_told_with_its_reason(told: Told, tmp_path: Path) -> None:
    console = told()
    async with serving(tmp_path, idle_minutes=0.02, auto_stop_warn_minutes=0) as service:
        await service.create()
        await service.until("stopped")
    (stopping,) = of(console, "instance.stopping")
    assert (stopping["category"], stopping["actor"]) == ("business", "auto-stop")
    assert "no heartbeat" in stopping["reason"]


async def test_an_orphan_is_told_once(told: Told, tmp_path: Path) -> None:
    console = told()
    async with serving(tmp_path) as service:
        deployment = await service.plane.store.facts.fact("deployment")
        body = {**FOREIGN, "name": "lost", "envs": [{"key": "NOVITA_GPU_MARKER", "value": f"{deployment}/abc/1"}]}
        service.cloud.control.post("console", action="create", body=body)
        await eventually(lambda: of(console, "sync.lookalike_found"))
        await service.looked()
    (found,) = of(console, "sync.lookalike_found")
    assert (found["category"], found["level"], found["actor"]) == ("business", "warning", "sync")


async def test_who_is_refused_is_told_as_a_matter_of_security(told: Told, tmp_path: Path) -> None:
    console = told()
    async with serving(tmp_path, webhook_allow_private="") as service:
        await service.get("/instances", key="ngpu_wrong_0123456789", X_Request_ID="req-8")
        await service.post("/instances", _least("a", webhookUrl="http://127.0.0.1/hook"))
    (refused,) = of(console, "access.refused")
    assert (refused["category"], refused["level"], refused["request_id"]) == ("security", "warning", "req-8")
    assert refused["client"] == "127.0.0.1"
    assert of(console, "address.refused")[0]["category"] == "security"
    assert "ngpu_wrong" not in console.getvalue()


async def test_what_takes_long_is_told_with_its_parts(told: Told, tmp_path: Path) -> None:
    console = told()
    async with serving(tmp_path, slow_request_ms=1, slow_cloud_call_ms=1) as service:
        await service.ready()
        await service.get("/instances/comprehensive")
    created = next(line for line in of(console, "request.slow") if line["method"] == "POST")
    assert (created["category"], created["level"], created["route"]) == ("performance", "warning", "/api/instances")
    assert created["ms"] >= created["rest_ms"] > 0
    assert created["store_ms"] > 0
    listed = next(line for line in of(console, "request.slow") if line["route"].endswith("/comprehensive"))
    assert listed["cloud_ms"] > 0
    call = next(line for line in of(console, "call.slow") if line["operation"] == "create")
    assert call["ms"] >= call["exchange_ms"] > 0
    assert call["meaning"] == "ok"


async def test_what_is_held_open_by_wish_is_not_slow(told: Told, tmp_path: Path) -> None:
    console = told()
    async with serving(tmp_path, slow_request_ms=400) as service:
        await service.create()
        async with service.http.get(
            f"{service.root}/api/events", headers={"Authorization": f"Bearer {KEY}", "Accept": "text/event-stream"}
        ) as stream:
            await stream.content.readany()
            await service.get("/instances/trainer/wait?for=deleted&timeoutMs=1000")
    held = {line["route"]: line["ms"] for line in of(console, "request")}
    assert held["/api/instances/{id}/wait"] > 900
    assert held["/api/events"] > 900
    assert not {"/api/instances/{id}/wait", "/api/events"} & {line["route"] for line in of(console, "request.slow")}


def test_text_has_colours_at_a_terminal_only(told: Told) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    assert (observe.form_of(None, Terminal()), observe.form_of(None, StringIO())) == ("text", "json")
    assert observe.form_of("json", Terminal()) == "json"
    console = told(form="text")
    observe.logger("a").info("thing.happened", name="x")
    assert "thing.happened" in console.getvalue()
    assert "\x1b[" not in console.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_trace_shows_no_values(told: Told, form: observe.Form) -> None:
    console = told(form=form)
    key = "hunter2"
    try:
        raise ValueError(len(key))
    except ValueError:
        observe.logger("a").exception("thing.broke")
    assert "ValueError" in console.getvalue()
    assert "hunter2" not in console.getvalue().replace('key = "hunter2"', "")


def test_every_line_of_ours_has_a_constant_name_that_is_explained() -> None:
    rows = re.findall(r"^\| (`.*?) \|", section(text_of("docs/operations.md"), "### Lines"), re.MULTILINE)
    assert set(names()) == {name for row in rows for name in re.findall(r"`([a-z._]+)`", row)}
    assert not [name for name in names() if name in set(EventType)]


def names() -> Iterator[str]:
    """The first argument of each call that logs. Lines of events have the event's type for a name."""
    for module in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "told"), attr=level), args=[first, *_]):
                    if level not in LEVELS:
                        continue
                    assert isinstance(first, ast.Constant), f"{module}:{node.lineno}"
                    assert NAME.fullmatch(str(first.value)), f"{module}:{node.lineno}"
                    yield str(first.value)
                case _:
                    pass


def _least(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "productName": "RTX 4090 24GB", "imageUrl": "docker.io/library/ubuntu:22.04", **more}
