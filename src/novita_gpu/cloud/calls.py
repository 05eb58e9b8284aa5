"""Calls to the cloud: reads tried again within one budget, mutations sent at most once, errors as meanings."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from random import Random

import msgspec
from structlog.contextvars import get_contextvars

from novita_gpu.cloud.base import Ambiguous, CloudError, Lane, Throttled, Unreachable, Unreadable
from novita_gpu.cloud.circuit import CIRCUIT_OPEN, Circuits
from novita_gpu.cloud.lanes import Lanes, Place
from novita_gpu.cloud.meaning import meaning, read_refusal
from novita_gpu.cloud.transport import NoAnswer, NotSent, Request, Response, TooLate, Transport
from novita_gpu.cloud.wire import Fields, looks_like_page, parse
from novita_gpu.hidden import HIDDEN
from novita_gpu.observe import spent, took

Query = tuple[tuple[str, str], ...]

# Tries of one read in all. Fewer: one hiccup of the cloud fails a look; more: an outage is hammered.
READ_TRIES = 3
# The first pause, doubled with each try, times a random half to whole.
PAUSE_SECONDS = 0.4
# A try with less time than this left would only fail, and count against the cloud.
SHORTEST_TRY_SECONDS = 1.0
TOO_LATE = "TOO_LATE"
# Shorter values are too common in plain text to be taken out of it.
_SHORTEST_SECRET = 6
# Python's own user agent is refused at the cloud's edge (observed).
_USER_AGENT = "novita-gpu-api"


def checked_key(key: str) -> str:
    """The key without space around it. Raises ValueError, without showing it, when no header can hold it."""
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("holds characters that no header can hold")
    return key


class Calls:
    """The only place that knows the key, the retry budget and the deadlines."""

    def __init__(
        self,
        *,
        key: str,
        transport: Transport,
        lanes: Lanes,
        circuits: Circuits,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[object]],
        random: Random,
        read_timeout: timedelta,
        mutation_timeout: timedelta,
    ) -> None:
        self._key = checked_key(key)
        self._transport = transport
        self._lanes = lanes
        self._circuits = circuits
        self._monotonic = monotonic
        self._now = now
        self._sleep = sleep
        self._random = random
        self._read_seconds = read_timeout.total_seconds()
        self._mutation_seconds = mutation_timeout.total_seconds()
        self.skew: timedelta | None = None  # how far our clock is ahead of the cloud's, by its last answer

    async def read(self, url: str, query: Query = (), *, tries: int = READ_TRIES) -> Fields:
        """The JSON object that a GET answers. Any `CloudError` but `Ambiguous`."""
        request = self._request("GET", url, query=query)
        async with self._place(Lane.LOOKING) as place:
            response = await self._tried(request, place, tries)
        if response.oversized:
            raise Unreadable("the cloud's answer is longer than any that is meant")
        return parse(response.body)

    async def mutate(
        self,
        url: str,
        body: object,
        lane: Lane,
        *,
        secrets: Sequence[str] = (),
        wanted: Callable[[], bool] | None = None,
    ) -> bytes:
        """The body, often empty, that a POST answers with 2xx. Sent once, and only while `wanted`."""
        request = self._request("POST", url, body=msgspec.json.encode(body), wanted=wanted)
        async with self._place(lane) as place:
            response = await self._sent(request, self._mutation_seconds, place, lane, secrets=secrets)
        if looks_like_page(response.body):
            raise Ambiguous("the cloud answered a change with a page; whether it was made is not known")
        return response.body

    @asynccontextmanager
    async def _place(self, lane: Lane) -> AsyncGenerator[Place]:
        """Of that lane, and how long it was waited for."""
        began = self._monotonic()
        async with self._lanes.place(lane) as place:
            took("place", self._monotonic() - began)
            yield place

    async def close(self) -> None:
        await self._transport.close()

    async def _tried(self, request: Request, place: Place, most: int) -> Response:
        """One budget of tries and of time for a read. Pauses heed Retry-After, and end with the deadline."""
        until = self._monotonic() + self._read_seconds
        for tries in range(1, most + 1):
            try:
                return await self._sent(request, until - self._monotonic(), place, Lane.LOOKING)
            except (Throttled, Unreachable) as error:
                pause = self._pause(tries, error)
                time_left = until - self._monotonic() - pause
                if tries == most or error.reason == CIRCUIT_OPEN or time_left < SHORTEST_TRY_SECONDS:
                    raise
            await self._sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _pause(self, tries: int, error: CloudError) -> float:
        pause = PAUSE_SECONDS * 2 ** (tries - 1) * self._random.uniform(0.5, 1)
        return pause + (error.retry_after.total_seconds() if error.retry_after else 0)

    async def _sent(
        self, request: Request, seconds: float, place: Place, lane: Lane, *, secrets: Sequence[str] = ()
    ) -> Response:
        """One exchange: a 2xx, or the meaning of anything else. `lane`: of this call, whatever place it has."""
        mutation = lane is not Lane.LOOKING
        if request.wanted is not None and not request.wanted():
            raise Unreachable("not sent: its time was over", reason=TOO_LATE)
        place.pay()
        try:
            with spent("exchange"):
                response = await self._circuits.of(lane).guard(partial(self._transport.send, request, seconds))
        except TooLate as error:
            raise Unreachable(str(error), reason=TOO_LATE) from None
        except NotSent as error:
            raise Unreachable(str(error)) from None
        except NoAnswer as error:
            raise (Ambiguous if mutation else Unreachable)(str(error)) from None
        self._tell_time(response)
        if 200 <= response.status < 300:
            return response
        refusal = read_refusal(response, self._now(), partial(self._hide, secrets))
        raise meaning(refusal, mutation=mutation)

    def _tell_time(self, response: Response) -> None:
        """`Date` tells whole seconds, rounded down: half of one is its usual error."""
        try:
            told = parsedate_to_datetime(response.headers["date"])
            self.skew = self._now() - told - timedelta(seconds=0.5)
        except (KeyError, ValueError, TypeError):  # none, no date, or one without a zone
            return

    def _hide(self, secrets: Sequence[str], text: str) -> str:
        """The text without our key and without the given secrets, should the cloud repeat them."""
        for secret in sorted((self._key, *secrets), key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, HIDDEN)
        return text

    def _request(
        self,
        method: str,
        url: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        wanted: Callable[[], bool] | None = None,
    ) -> Request:
        return Request(
            method=method,
            url=url,
            query=query,
            body=body,
            once=method != "GET",
            wanted=wanted,
            headers=(
                ("Authorization", f"Bearer {self._key}"),
                ("Content-Type", "application/json"),
                ("Accept", "application/json"),
                ("User-Agent", _USER_AGENT),
                *_correlation(),
            ),
        )


def _correlation() -> tuple[tuple[str, str], ...]:
    """The header of the request or pass that this call is made for; none for an id that no header can hold."""
    given = get_contextvars().get("correlation_id")
    if not isinstance(given, str) or not given.isascii() or not given.isprintable() or not 0 < len(given) <= 128:
        return ()
    return (("X-Correlation-ID", given),)
