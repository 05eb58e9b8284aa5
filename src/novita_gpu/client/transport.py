"""One request and its retries, and one open stream, over aiohttp."""

import asyncio
import os
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import field
from yarl import URL

from novita_gpu.client.answers import Answer, Instance, Part
from novita_gpu.client.errors import ApiError, NotReachable, Unreadable, WaitTimeout, WrongUsage
from novita_gpu.hidden import SECRET

T = TypeVar("T")
A = TypeVar("A", bound=Answer)
TURNED_AWAY = frozenset({429, 503})  # the request was not done; `Retry-After` says when to come back
IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"  # a try of ours whose answer was lost is still running
STREAM_SILENCE = timedelta(seconds=60)  # the service shows life more often; a shorter one would cut healthy streams


class Call(Part, frozen=True, kw_only=True):
    """`is_repeatable`: done twice it has the effect of once."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Annotated[Any, SECRET] = None
    headers: Annotated[Mapping[str, str], SECRET] = field(default_factory=dict[str, str])
    is_repeatable: bool = True
    accepts: tuple[int, ...] = ()  # statuses beside 2xx that bring an answer and no error
    timeout: timedelta | None = None


class Retry(Part, frozen=True, kw_only=True):
    """How often a call is tried, and how long it waits in between: at most `longest` each time."""

    tries: int = 4
    first: timedelta = timedelta(seconds=0.5)
    longest: timedelta = timedelta(seconds=30)

    def pause(self, error: ApiError | NotReachable, call: Call, tried: int, jitter: float) -> timedelta | None:
        """How long until the next try; None: give up. What the service asks for is never cut short."""
        if tried >= self.tries or not _may_repeat(error, call):
            return None
        asked = error.retry_after if isinstance(error, ApiError) else None
        if asked is not None:
            return asked if asked <= self.longest else None
        return min(self.first * 2 ** min(tried - 1, 20) * (1 + jitter), self.longest)


NO_RETRY = Retry(tries=1)


def _may_repeat(error: ApiError | NotReachable, call: Call) -> bool:
    if isinstance(error, NotReachable):
        return call.is_repeatable or not error.was_sent
    return error.status in TURNED_AWAY or error.code == IN_PROGRESS


class Transport:
    """Owns the session. The key goes to `url` only: redirects are not followed."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout: timedelta,
        retry: Retry,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._host = _checked(url)
        self.url = url.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._retry = retry
        self.sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def answer(self, call: Call, kind: type[A]) -> A:
        body = await self.send(call)
        return read(body, kind)

    async def document(self, call: Call) -> dict[str, Any]:
        """An answer whose shape is not fixed here."""
        body = await self.send(call)
        return decode(body, dict[str, Any]) if body else {}

    async def send(self, call: Call) -> bytes:
        tried = 0
        while True:
            tried += 1
            try:
                return await self._once(call)
            except (ApiError, NotReachable) as error:
                pause = self._retry.pause(error, call, tried, random.random())  # noqa: S311 — spreads retries, hides nothing
                if pause is None:
                    raise
            await self.sleep(pause.total_seconds())

    async def _once(self, call: Call) -> bytes:
        timeout = aiohttp.ClientTimeout(total=(call.timeout or self._timeout).total_seconds())
        async with self._opened(call, timeout) as response:
            return await response.read()

    @asynccontextmanager
    async def lines(self, call: Call) -> AsyncGenerator[AsyncIterator[str]]:
        """A stream, line by line, until the service ends it. Breaks off with `NotReachable`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=STREAM_SILENCE.total_seconds(), sock_connect=10)
        async with self._opened(call, timeout) as response:
            yield (line.decode(errors="replace").rstrip("\r\n") async for line in response.content)

    @asynccontextmanager
    async def _opened(self, call: Call, timeout: aiohttp.ClientTimeout) -> AsyncGenerator[aiohttp.ClientResponse]:
        self._session = self._session or aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        headers = {"Accept": "application/json", **call.headers}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(call.body)
        url = URL(self.url + call.path, encoded=True).with_query(call.query or None)
        try:
            async with self._session.request(
                call.method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if not (200 <= response.status < 300 or response.status in call.accepts):
                    raise error_of(response.status, response.headers.get("Retry-After"), await response.read())
                yield response
        except aiohttp.ClientConnectorError as error:
            raise NotReachable(f"{self._host} does not answer: {_reason(error)}", was_sent=False) from error
        except TimeoutError as error:
            raise NotReachable(f"{self._host} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NotReachable(f"{self._host} broke off: {error or type(error).__name__}") from error


def _reason(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    return os.strerror(number).lower() if number and number > 0 else str(error.os_error.strerror or error.os_error)


def _checked(url: str) -> str:
    """Host and port of a usable address; `WrongUsage` says what is wrong with any other."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable, parts = False, None
    if not is_usable or parts is None or parts.query or parts.fragment:
        raise WrongUsage(f"{url!r} is not an address; it should look like http://127.0.0.1:3000")
    return parts.netloc.rpartition("@")[2]


def part(text: str) -> str:
    """A part of a path: an id, or an instance's name. `WrongUsage` for what can be neither."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise WrongUsage(f"{text!r} is neither an id nor a name: 1 to 100 of A-Z, a-z, 0-9, _ and -")
    return text


def decode(body: bytes | str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"this is not an answer of the service: {error}") from error


def read(body: bytes, kind: type[A]) -> A:
    """The answer as a value that also keeps its bytes."""
    answer = decode(body, kind)
    msgspec.structs.force_setattr(answer, "raw", body)
    return answer


def error_of(status: int, retry_after: str | None, body: bytes) -> ApiError:
    """The service's error, or what can be said of an answer that is none of its envelope."""
    try:
        tree = msgspec.json.decode(body, type=dict[str, dict[str, Any]])["error"]
        code, message = str(tree["code"]), str(tree["message"])
    except (msgspec.MsgspecError, KeyError):
        text = body[:200].decode(errors="replace").strip()
        return ApiError(f"HTTP_{status}", text or "the answer has no text", status, retry_after=_seconds(retry_after))
    request_id = str(tree["requestId"]) if "requestId" in tree else None
    details = tree.get("details")
    if status == 408:
        return WaitTimeout(message, _instance_in(details), request_id=request_id)
    pause = _seconds(retry_after)
    if pause is None and isinstance(ms := tree.get("retryAfterMs"), int):
        pause = timedelta(milliseconds=ms)
    return ApiError(code, message, status, details=details, request_id=request_id, retry_after=pause)


def _instance_in(details: object) -> Instance | None:
    if not isinstance(details, dict):
        return None
    try:
        tree = cast("dict[str, Any]", details)["instance"]
        return read(msgspec.json.encode(tree), Instance)
    except (KeyError, Unreadable):
        return None


def _seconds(header: str | None) -> timedelta | None:
    return timedelta(seconds=min(int(header), 86_400)) if header and re.fullmatch("[0-9]{1,9}", header) else None
