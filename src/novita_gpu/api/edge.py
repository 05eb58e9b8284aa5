"""The outermost layer: ids of the request, headers on every answer, one line in the log, and the last net."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import datetime
from typing import Any, cast

from novita_gpu import observe
from novita_gpu.api.operation import Operation
from novita_gpu.api.problems import answered
from novita_gpu.domain.value import Value
from novita_gpu.figures import Figures

log = observe.logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"private, no-store"),
)


class Ids(Value, frozen=True, kw_only=True):
    request: str
    correlation: str


def ids_of(scope: Mapping[str, Any]) -> Ids:
    return cast("Ids", scope["state"]["ids"])


class Edge:
    """Wraps the whole application, what is not found included."""

    def __init__(
        self, app: ASGIApp, *, figures: Figures, new_id: Callable[[str], str], now: Callable[[], datetime]
    ) -> None:
        self._app, self._figures, self._new_id, self._now = app, figures, new_id, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = self._ids(scope["headers"])
        scope["state"]["ids"] = ids
        observe.correlate(ids.correlation, request_id=ids.request)
        sender = _Sender(send, ids)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, sender)
        except Exception as error:
            await self._rescued(error, ids, sender)
        finally:
            self._count(scope, sender, time.perf_counter() - began)
            _log(scope, sender.status, began)

    def _count(self, scope: Scope, sender: "_Sender", seconds: float) -> None:
        handler = scope.get("route_handler")
        operation = cast("Operation | None", handler.opt.get("operation")) if handler else None
        held = sender.is_stream or (operation is not None and operation.held)
        self._figures.answered(scope["method"], scope.get("path_template"), sender.status, seconds, held=held)

    def _ids(self, headers: Iterable[tuple[bytes, bytes]]) -> Ids:
        given = {name: value.decode("latin-1") for name, value in headers if name in _ID_HEADERS}
        request = observe.id_or_new(given.get(b"x-request-id"), lambda: self._new_id("req"))
        return Ids(request=request, correlation=observe.id_or_new(given.get(b"x-correlation-id"), lambda: request))

    async def _rescued(self, error: Exception, ids: Ids, sender: "_Sender") -> None:
        if sender.status:
            log.error("answer.broken_off", exc_info=error)
            raise error
        answer = answered(error, request_id=ids.request, now=self._now())
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer.body)).encode())]
        await sender({"type": "http.response.start", "status": answer.status, "headers": headers})
        await sender({"type": "http.response.body", "body": answer.body, "more_body": False})


_ID_HEADERS = frozenset({b"x-request-id", b"x-correlation-id"})


class _Sender:
    """Adds what every answer bears, and remembers the status."""

    def __init__(self, send: Send, ids: Ids) -> None:
        self._send, self._ids = send, ids
        self.status = 0
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[tuple[bytes, bytes]] = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            self.is_stream = any(value.startswith(b"text/event-stream") for _, value in headers)
            headers += [(name, value) for name, value in _SAFE if name not in present]
            headers.append((b"x-request-id", self._ids.request.encode()))
            headers.append((b"x-correlation-id", self._ids.correlation.encode()))
            message["headers"] = headers
        await self._send(message)


def _log(scope: Scope, status: int, began: float) -> None:
    """By the route's template: a path may hold whatever a stranger typed."""
    log.info(
        "request",
        method=scope.get("method"),
        route=scope.get("path_template") or "unknown",
        status=status,
        ms=round((time.perf_counter() - began) * 1000, 2),
    )
