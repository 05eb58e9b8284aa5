"""The layer behind the edge: who asks, from where, and how often. What each route needs of them is the guard's."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.routes import HTTPRoute

from novita_gpu import observe
from novita_gpu.api.body import MAX_HEADERS, MAX_URL_CHARS, Deadline
from novita_gpu.api.desk import Desk
from novita_gpu.api.edge import ASGIApp, Receive, Scope, Send
from novita_gpu.api.guard import Connection, Entry, presented
from novita_gpu.api.limiter import Quota
from novita_gpu.api.operation import Operation, Principal
from novita_gpu.domain.errors import Fault, Invalid, Problem

log = observe.logger(__name__)

STREAM = b"text/event-stream"


class Gate:
    """Puts the `principal` and the `quota` of a request into its state. Raises `RATE_LIMIT_EXCEEDED`."""

    def __init__(self, app: ASGIApp, desk: Desk, routes: Iterable[tuple[str, Operation]]) -> None:
        self._app, self._desk = app, desk
        known = list(routes)
        self._free = frozenset(path for path, it in known if it.scope is None and not it.counted)
        self._streams = frozenset(path for path, operation in known if STREAM.decode() in operation.media_types)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _refuse_large(scope)
        state: dict[str, Any] = scope["state"]
        address = self._desk.parts.proxies.caller(scope)
        observe.bind(client=address)
        entry = await self._entry(scope, address)
        state["principal"], state["session"] = entry.principal, entry.session
        state["is_doubtful"] = entry.is_doubtful
        quota = entry.refused_by or await self._counted(scope, entry, address)
        state["quota"] = quota
        if quota and quota.is_over:
            raise self._too_often(quota, entry.principal, address)
        body = state["body"] = Deadline(receive, self._desk.parts.body_within)
        await self._app(scope, body, send)

    async def _entry(self, scope: Scope, address: str) -> Entry:
        """Who asks. What is free sends nobody away: there a key that may be a guess is none."""
        entry = await presented(cast("Connection", ASGIConnection(cast("Any", scope))), self._desk, address)
        return Entry() if entry.refused_by and _path(scope) in self._free else entry

    async def _counted(self, scope: Scope, entry: Entry, address: str) -> Quota | None:
        path = _path(scope)
        if not entry.is_counted or path in self._free or (path in self._streams and _wants_stream(scope)):
            return None
        limiter = self._desk.parts.limiter
        return await limiter.of_key(entry.principal.id) if entry.principal else limiter.of_address(address)

    def _too_often(self, quota: Quota, principal: Principal | None, address: str) -> Problem:
        key = principal.id if principal else None
        caller = key if key and quota.policy == "key" else address
        if self._desk.parts.limiter.is_news(quota, caller):
            log.warning("limit.hit", category=observe.SECURITY, policy=quota.policy, limit=quota.limit, key_id=key)
        what = "wrong keys from one address" if quota.policy == "wrong-keys" else "requests"
        text = f"More than {quota.limit} {what} in a minute; Retry-After says when to go on."
        return Problem("RATE_LIMIT_EXCEEDED", text, retry_after=timedelta(seconds=quota.left_s))


def _refuse_large(scope: Scope) -> None:
    faults: list[Fault] = []
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_CHARS:
        faults.append(Fault(field="path", message=f"must have at most {MAX_URL_CHARS} characters with its query"))
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
        faults.append(Fault(field="headers", message=f"must have at most {MAX_HEADERS} bytes"))
    if faults:
        raise Invalid(*faults)


def routes_of(app: Litestar) -> Iterable[tuple[str, Operation]]:
    """Path and operation of every handler."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if operation := handler.opt.get("operation"):
                    yield route.path_format, operation


def _path(scope: Scope) -> str:
    return cast("str", scope["path"]).rstrip("/")


def _wants_stream(scope: Scope) -> bool:
    return any(name == b"accept" and STREAM in value for name, value in scope["headers"])
