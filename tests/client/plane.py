"""A small service on a real port that speaks the public API: enough to try a caller, and told what to get wrong."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "ngk_0123456789abcdef"
AT = "2026-01-31T12:00:00.000Z"
INS = "ins_00000000000000000000000001"


@dataclass(frozen=True)
class Said:
    """One answer told beforehand. `cut`: the request is done, and its answer is lost."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


def problem(code: str, message: str = "It did not go well.", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "timestamp": AT, "requestId": "req-1", **more}}


def instance(name: str = "trainer-1", status: str = "ready", sequence: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": INS,
        "name": name,
        "status": status,
        "desired": "running",
        "productName": "RTX 4090 24GB",
        "gpuNum": 2,
        "rootfsSize": 60,
        "region": "AS-SGP-02",
        "billingMode": "onDemand",
        "pricePerHour": "0.7000",
        "costUsd": "1.2345",
        "envs": [],
        "portMappings": [{"port": 8888, "type": "http", "endpoint": "http://gpu.test:8888", "healthy": True}],
        "connectionDetails": {},
        "readiness": {"state": "ready", "endpoints": []},
        "autoStop": {"enabled": True, "idleMinutes": 20, "activity": "heartbeat"},
        "createdAt": AT,
        "sequence": sequence,
        **more,
    }


class Plane:
    """`said` holds answers told beforehand by "METHOD path"; the last of them stays."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.said: dict[str, list[Said]] = defaultdict(list)
        self.instances: dict[str, dict[str, Any]] = {}
        self.made: dict[str, dict[str, Any]] = {}  # by Idempotency-Key
        self.events: list[dict[str, Any]] = []
        self.cut_stream_after: list[int] = []  # for each stream, after how many events it breaks
        self.changed = asyncio.Condition()
        self.arrived = asyncio.Condition()

    def of(self, method: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method]

    def tell(self, call: str, *answers: Said) -> None:
        self.said[call].extend(answers)

    async def change(self, name: str, status: str, **more: Any) -> None:
        """The instance has a new status, and there is an event of it."""
        async with self.changed:
            sequence = len(self.events) + 1
            before = self.instances.get(name)
            self.instances[name] = instance(name, status, sequence, **more)
            data = {"sequence": sequence, "instanceId": INS, "actor": "control", "instance": self.instances[name]}
            if before:
                data["previousStatus"] = before["status"]
            event = {"id": f"evt_{sequence}", "type": f"instance.{status}", "timestamp": AT, "data": data}
            self.events.append(event)
            self.changed.notify_all()

    async def requests(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(10), self.arrived:
            await self.arrived.wait_for(lambda: len(self.seen) >= count)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        query = {name: request.query.getall(name) for name in request.query}
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = json.loads(text) if text else None
        self.seen.append(Seen(request.method, request.path, query, headers, body))
        async with self.arrived:
            self.arrived.notify_all()
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response(problem("UNAUTHORIZED", "The key is missing or wrong."), status=401)
        if told := self.said.get(f"{request.method} {request.path}"):
            return await self._told(request, told.pop(0) if len(told) > 1 else told[0])
        return await self._route(request, body)

    async def _told(self, request: web.Request, said: Said) -> web.StreamResponse:
        if said.cut:
            await self._route(request, {"name": "cut"})
            assert request.transport
            request.transport.close()
        if isinstance(said.body, str):
            return web.Response(status=said.status, text=said.body, headers=said.headers)
        return web.json_response(said.body, status=said.status, headers=said.headers)

    async def _route(self, request: web.Request, body: Any) -> web.StreamResponse:
        match request.method, request.path.split("/")[2:]:
            case "POST", ["instances"]:
                return await self._create(request, body)
            case "GET", ["instances"]:
                return web.json_response({"instances": [*self.instances.values()], "total": len(self.instances)})
            case "GET", ["events"]:
                return await self._events(request)
            case _, ["instances", name, *rest] if name in {*self.instances, INS}:
                return await self._one(request, next(iter(self.instances)) if name == INS else name, rest)
            case _:
                return web.json_response(problem("INSTANCE_NOT_FOUND", "There is no such instance."), status=404)

    async def _create(self, request: web.Request, body: Any) -> web.Response:
        key = request.headers["Idempotency-Key"]
        if key not in self.made:
            await self.change(body["name"], "creating")
            self.made[key] = accepted("creating", "It is on its way.")
        return web.json_response(self.made[key], status=201)

    async def _one(self, request: web.Request, name: str, rest: list[str]) -> web.StreamResponse:
        match request.method, rest:
            case "GET", []:
                return web.json_response(self.instances[name])
            case "GET", ["wait"]:
                return await self._wait(request, name)
            case "PUT", ["last-used"]:
                return web.json_response({"instanceId": INS, "lastUsedAt": AT, "message": "Noted."})
            case "DELETE", []:
                return web.json_response(accepted("deleting", "It is being deleted."), status=202)
            case "POST", [wish]:
                return web.json_response(accepted(wish, "It is on its way."), status=202)
            case _:
                return web.json_response({})

    async def _wait(self, request: web.Request, name: str) -> web.Response:
        wanted = {*request.query.getall("for", ["ready"]), "failed", "deleted"}
        after = int(request.query.get("after", "0"))

        def is_there() -> bool:
            return self.instances[name]["status"] in wanted and self.instances[name]["sequence"] > after

        try:
            async with asyncio.timeout(int(request.query["timeoutMs"]) / 1000), self.changed:
                await self.changed.wait_for(is_there)
            return web.json_response(self.instances[name])
        except TimeoutError:
            details = {"instance": self.instances[name]}
            return web.json_response(problem("WAIT_TIMEOUT", "Not yet.", details=details), status=408)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        after = int(request.headers.get("Last-Event-ID") or request.query.get("after", "0"))
        if request.headers.get("Accept") == "text/event-stream":
            return await self._stream(request, after)
        page = self.events[after : after + 2]
        more = {"nextAfter": after + 2} if len(self.events) > after + 2 else {}
        return web.json_response({"events": page, **more})

    async def _stream(self, request: web.Request, after: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": here\n\n")
        left = self.cut_stream_after.pop(0) if self.cut_stream_after else 1000
        while True:
            async with self.changed:
                await self.changed.wait_for(lambda read=after: len(self.events) > read)
            event = self.events[after]
            after += 1
            text = f"id: {after}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
            await response.write(text.encode())
            left -= 1
            if left == 0:
                assert request.transport
                request.transport.abort()
                return response


def accepted(status: str, message: str) -> dict[str, Any]:
    return {
        "instanceId": INS,
        "operationId": "op_1",
        "status": status,
        "message": message,
        "region": "AS-SGP-02",
        "pricePerHour": "0.7000",
    }


@asynccontextmanager
async def serving() -> AsyncGenerator[Plane]:
    plane = Plane()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", plane.handle)
    async with TestServer(app) as server:
        plane.url = str(server.make_url("")).rstrip("/")
        yield plane
