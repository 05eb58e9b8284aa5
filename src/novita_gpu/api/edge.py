"""The outermost layer: ids of the request, headers on every answer, one line in the log, and the last net."""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import datetime, timedelta
from typing import Any, cast

from opentelemetry.trace import Span, SpanKind

from novita_gpu import observe
from novita_gpu.api.cors import Cors
from novita_gpu.api.limiter import SPAN_S, Quota
from novita_gpu.api.pages import Pages
from novita_gpu.api.problems import answered
from novita_gpu.domain.value import Value
from novita_gpu.figures import Figures
from novita_gpu.observe.tracing import span

log = observe.logger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
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
        self,
        app: ASGIApp,
        *,
        figures: Figures,
        new_id: Callable[[str], str],
        now: Callable[[], datetime],
        slow: timedelta,
        cors: Cors,
        pages: Pages | None,
    ) -> None:
        self._app, self._figures, self._new_id, self._now = app, figures, new_id, now
        self._slow, self._cors, self._pages = slow, cors, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = self._ids(scope["headers"])
        scope["state"]["ids"] = ids
        observe.correlate(ids.correlation, request_id=ids.request)
        sender = _Sender(send, scope, ids, self._added)
        began = time.perf_counter()
        headers = _texts(scope["headers"], _OF_TRACES)
        with (
            observe.measured() as parts,
            span("request", SpanKind.SERVER, within=headers, request_id=ids.request) as it,
        ):
            try:
                await self._answer(scope, receive, sender)
            except Exception as error:
                await self._rescued(error, ids, scope, sender)
            finally:
                self._tell(scope, sender.status, parts, time.perf_counter() - began)
                _name(it, scope, sender.status)

    async def _answer(self, scope: Scope, receive: Receive, sender: "_Sender") -> None:
        if preflight := self._cors.preflight(scope["method"], scope["headers"]):
            await sender.whole(204, preflight)
        else:
            await self._app(scope, receive, sender)

    def _tell(self, scope: Scope, status: int, parts: observe.Parts, took_s: float) -> None:
        """By the route's template: a path may hold whatever a stranger typed. What is held open by wish is not slow."""
        method, route = scope["method"], scope.get("path_template")
        self._figures.answered(method, route, status, took_s, held=observe.HELD in parts.seconds)
        what = {"method": method, "route": route or "unknown", "status": status}
        log.info("request", **what, ms=observe.ms(took_s))
        if took_s - parts.seconds[observe.HELD] > self._slow.total_seconds():
            log.warning("request.slow", category=observe.PERFORMANCE, **what, ms=observe.ms(took_s), **parts.ms(took_s))

    def _ids(self, headers: Iterable[tuple[bytes, bytes]]) -> Ids:
        given = _texts(headers, _ID_HEADERS)
        request = observe.id_or_new(given.get("x-request-id"), lambda: self._new_id("req"))
        return Ids(request=request, correlation=observe.id_or_new(given.get("x-correlation-id"), lambda: request))

    async def _rescued(self, error: Exception, ids: Ids, scope: Scope, sender: "_Sender") -> None:
        if sender.status:
            log.error("answer.broken_off", exc_info=error)
            raise error
        answer = answered(error, request_id=ids.request, now=self._now())
        answer = self._pages.told(scope, answer, ids.request) if self._pages else answer
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await sender.whole(answer.status, [(b"content-type", answer.media_type.encode()), *headers], answer.body)

    def _added(self, scope: Scope) -> Iterator[Header]:
        """What every answer to this request bears."""
        yield from self._cors.headers(scope["headers"])
        quota: Quota | None = scope["state"].get("quota")
        if quota:
            yield from _told(quota, self._now())


_ID_HEADERS = frozenset({b"x-request-id", b"x-correlation-id"})
_OF_TRACES = frozenset({b"traceparent", b"tracestate"})


class _Sender:
    """Adds what every answer bears, and remembers the status."""

    def __init__(self, send: Send, scope: Scope, ids: Ids, added: Callable[[Scope], Iterable[Header]]) -> None:
        self._send, self._scope, self._ids, self._added = send, scope, ids, added
        self.status = 0

    async def whole(self, status: int, headers: list[Header], body: bytes = b"") -> None:
        if status != 204:
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[tuple[bytes, bytes]] = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in _SAFE if name not in present]
            headers += self._added(self._scope)
            if self._is_left_unread():
                headers.append((b"connection", b"close"))
            headers.append((b"x-request-id", self._ids.request.encode()))
            headers.append((b"x-correlation-id", self._ids.correlation.encode()))
            message["headers"] = headers
        await self._send(message)

    def _is_left_unread(self) -> bool:
        """Nobody takes the rest of a body that is too large or too late."""
        body = self._scope["state"].get("body")
        return self.status == 413 or (body is not None and body.is_late)


def _told(quota: Quota, now: datetime) -> Iterator[Header]:
    """As many clients know it, and as the IETF draft has it. The window ends within the second that is told."""
    left = math.ceil(quota.left_s)
    yield b"x-ratelimit-limit", b"%d" % quota.limit
    yield b"x-ratelimit-remaining", b"%d" % quota.remaining
    yield b"x-ratelimit-reset", b"%d" % math.ceil(now.timestamp() + quota.left_s)
    yield b"ratelimit-policy", b'"%s";q=%d;w=%d' % (quota.policy.encode(), quota.limit, SPAN_S)
    yield b"ratelimit", b'"%s";r=%d;t=%d' % (quota.policy.encode(), quota.remaining, left)


def _texts(headers: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in wanted}


def _name(it: Span, scope: Scope, status: int) -> None:
    if it.is_recording():
        route = scope.get("path_template") or "unknown"
        it.update_name(f"{scope.get('method')} {route}")
        it.set_attributes({"http.route": route, "http.response.status_code": status})
