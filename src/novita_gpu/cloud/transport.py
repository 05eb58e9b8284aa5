"""One HTTP exchange with the cloud: a request goes in, a response comes out, or one of two meanings of failure.

NotSent            no byte of the request left: it certainly had no effect
└── TooLate        …because its time was over before a connection stood
NoAnswer           the request left, wholly or in part, and no whole answer came back
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import aiohttp
from msgspec import field

from novita_gpu.hidden import SECRET, Discreet

if TYPE_CHECKING:
    from aiohttp.connector import Connection

# A full page of 100 machines with 100 environment entries of 4 KiB each is 40 MiB in theory and 1 MiB in practice.
# Too small: a busy account's listing cannot be read; too large: one bad answer fills the memory.
ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
# Part of the deadline that connecting may take. Too small: a far region never connects; too large: a dead
# address takes the whole deadline.
CONNECT_SECONDS = 10.0


class NotSent(Exception): ...


class TooLate(NotSent): ...


class NoAnswer(Exception): ...


class Request(Discreet, frozen=True, kw_only=True):
    """What is sent. `once` forbids any resending below; `wanted` is asked at the last moment before the first byte."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Annotated[tuple[tuple[str, str], ...], SECRET] = ()  # our key is among them
    body: Annotated[bytes, SECRET] | None = None  # so are environments of machines
    once: bool = False
    wanted: Callable[[], bool] | None = None


class Response(Discreet, frozen=True, kw_only=True):
    """What came back. Header names in lower case. `oversized`: the body was over the limit and is left out."""

    status: int
    headers: Annotated[Mapping[str, str], SECRET] = field(default_factory=dict[str, str])
    body: Annotated[bytes, SECRET] = b""
    oversized: bool = False


class Transport(Protocol):
    """Sends once. Raises `NotSent` or `NoAnswer`, nothing else; every HTTP status is an answer."""

    async def send(self, request: Request, deadline_seconds: float) -> Response: ...
    async def close(self) -> None: ...


class _Door:
    """Tells whether the request has begun to leave."""

    def __init__(self, wanted: Callable[[], bool] | None) -> None:
        self.wanted = wanted
        self.passed = False


_door: ContextVar[_Door] = ContextVar("cloud_request_door")


class _WatchedRequest(aiohttp.ClientRequest):
    """A request that asks, once its connection stands, whether it is still wanted. It leaves once."""

    async def send(self, conn: "Connection") -> aiohttp.ClientResponse:
        door = _door.get()
        if door.passed:
            # aiohttp sends a GET again by itself when its connection is cut. Tries are counted in one place only.
            raise NoAnswer("no answer: the connection was cut")
        if door.wanted is not None and not door.wanted():
            raise TooLate("not sent: its time was over before the connection stood")
        door.passed = True
        return await super().send(conn)


class HttpTransport:
    """aiohttp, with connections kept for reads and a new one for each mutation.

    A kept connection may have been closed by the other side; a mutation sent into it has no answer and leaves its
    effect unknown. A new connection costs a handshake and avoids that.
    """

    def __init__(self, *, answer_limit_bytes: int = ANSWER_LIMIT_BYTES) -> None:
        self._limit = answer_limit_bytes
        self._kept: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        if self._closed:
            raise NotSent("not sent: closed")
        door = _Door(request.wanted)
        token = _door.set(door)
        failure: NotSent | NoAnswer
        try:
            return await self._exchange(request, deadline_seconds)
        except (NotSent, NoAnswer) as error:
            failure = error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of aiohttp's errors can hold the request's headers, so only the kind is told.
            kind = "time-out" if isinstance(error, TimeoutError) else type(error).__name__
            failure = NoAnswer(f"no answer: {kind}") if door.passed else NotSent(f"not sent: {kind}")
        finally:
            _door.reset(token)
        raise failure from None

    async def close(self) -> None:
        self._closed = True
        for session in (self._kept, self._fresh):
            if session is not None:
                await session.close()
        self._kept = self._fresh = None

    async def _exchange(self, request: Request, deadline_seconds: float) -> Response:
        timeout = aiohttp.ClientTimeout(
            total=max(0.001, deadline_seconds),
            sock_connect=min(CONNECT_SECONDS, max(0.001, deadline_seconds)),
            ceil_threshold=deadline_seconds + 1,  # else aiohttp rounds up to whole seconds
        )
        async with self._session(once=request.once).request(
            request.method,
            request.url,
            params=request.query or None,
            headers=request.headers,
            data=request.body,
            timeout=timeout,
            allow_redirects=False,
        ) as answer:
            body = await _read(answer, self._limit)
            return Response(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=body or b"",
                oversized=body is None,
            )

    def _session(self, *, once: bool) -> aiohttp.ClientSession:
        if once:
            self._fresh = self._fresh or _new_session(force_close=True)
            return self._fresh
        self._kept = self._kept or _new_session(force_close=False)
        return self._kept


def _new_session(*, force_close: bool) -> aiohttp.ClientSession:
    # No limit of connections here: lanes bound the calls, and a queue behind them would let stops wait for creates.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=force_close),
        request_class=_WatchedRequest,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _read(answer: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or None when it is longer than the limit (counted after decompression)."""
    whole = bytearray()
    chunk: Any
    async for chunk in answer.content.iter_any():
        whole += chunk
        if len(whole) > limit:
            answer.close()
            return None
    return bytes(whole)
