"""Outbox to receiver: each due delivery is signed, sent, and tried again by the schedule of Standard Webhooks.

The store holds all that is known of a delivery, so it outlives restarts. A crash between the send and its save
means that it is sent again, with the same `webhook-id`: receivers see it at least once and can tell.
Retries of webhooks are here and nowhere else.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook

from novita_gpu.contract import time_text
from novita_gpu.domain.events import Event
from novita_gpu.domain.value import Value
from novita_gpu.store.base import Delivery, Stale, StoreError, Try

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# Pause before each try, counted from the one before: the schedule that Standard Webhooks recommends, 3 days in all.
SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER = 0.2  # a pause grows by up to this part: less and a receiver's return meets a herd, more and 5 s is no 5 s
LONGEST_REST = timedelta(hours=24)  # of what a Retry-After may ask; the schedule knows no longer pause either
OVERLOADED = frozenset({429, 502, 503, 504})
GONE = 410
ANSWER_DEADLINE = timedelta(seconds=15)
KEPT_BYTES = 2048  # of an answer: enough for its error, too little to fill the store
PER_HOST = 4  # sendings at once
# A delivery in hand is not due for others this long. Below ANSWER_DEADLINE it would be sent twice,
# far above it a delivery whose process was killed waits for nothing.
LEASE = timedelta(seconds=60)
PAGE = 100  # due deliveries read when a place has become free
DEEP_PAGE = 10_000  # read once per `patience`, so that one receiver's backlog does not hide the others
PATIENCE = timedelta(seconds=1)  # how long a drain waits for a sending before it goes on without it


class Deliveries(Protocol):
    """The store's outbox. `save` answers the delivery with its next revision, or raises `Stale` when it moved on."""

    async def due(self, now: datetime, limit: int) -> Sequence[Delivery]: ...

    async def save(self, delivery: Delivery) -> Delivery: ...

    async def next_due_at(self) -> datetime | None: ...


class Reply(Value, frozen=True, kw_only=True):
    """What came of one sending. `final`: there is no use in another."""

    at: datetime
    duration_ms: int = 0
    status_code: int | None = None
    error: str | None = None
    text: str = ""
    retry_after: timedelta | None = None
    final: bool = False

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_overloaded(self) -> bool:
        return self.status_code in OVERLOADED


def next_try(delivery: Delivery, reply: Reply, now: datetime, jitter: float) -> Delivery:
    """The delivery after this reply: delivered, due again, or exhausted. `jitter` is 0..1; a pause never shrinks."""
    made = Try(
        at=reply.at,
        duration_ms=reply.duration_ms,
        status_code=reply.status_code,
        error=reply.error,
        answer=reply.text,
    )
    tried = replace(delivery, tries=(*delivery.tries, made))
    if reply.is_success:
        return replace(tried, state="delivered")
    if reply.final or reply.status_code == GONE or len(tried.tries) >= len(SCHEDULE):
        return replace(tried, state="exhausted")
    pause = SCHEDULE[len(tried.tries)] * (1 + JITTER * jitter)
    return replace(tried, due=now + max(pause, reply.retry_after or pause))


def rest_of(reply: Reply, now: datetime) -> datetime | None:
    """Until when its receiver is to be spared: one that is overloaded, at least as long as it asks."""
    if not reply.is_overloaded:
        return None
    return now + max(SCHEDULE[1], reply.retry_after or SCHEDULE[1])


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The pause that a `Retry-After` asks for, as seconds or as a date; at most 24 h, None when unreadable."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else _seconds_until(header, now)
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_REST.total_seconds()))


def _seconds_until(http_date: str, now: datetime) -> float:
    date = parsedate_to_datetime(http_date)
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()


class _Data(Value, frozen=True, kw_only=True, rename="camel"):
    sequence: int
    operation_id: str | None = None
    reason: str | None = None
    facts: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    instance: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    previous_status: str | None = None


class _Body(Value, frozen=True, kw_only=True):
    type: str
    timestamp: str
    data: _Data


def body_of(event: Event) -> bytes:
    """The bytes that are sent and signed. From the event as it was stored, so that every try sends the same."""
    body = _Body(
        type=event.type.value,
        timestamp=time_text(event.at),
        data=_Data(
            sequence=event.sequence,
            operation_id=event.operation,
            reason=event.reason,
            facts=event.facts or msgspec.UNSET,
            instance=event.instance or msgspec.UNSET,
            previous_status=event.previous_status and event.previous_status.value,
        ),
    )
    return msgspec.json.encode(body)


def signed(delivery_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: one signature for each secret, so that secrets can be rotated."""
    sent_at = now.astimezone(UTC)
    signatures = [Webhook(secret).sign(delivery_id, sent_at, body.decode()) for secret in secrets]
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(int(sent_at.timestamp()))}
    return {**headers, "webhook-signature": " ".join(signatures)} if signatures else headers


class Sender:
    """Sends what is due. One object per process; several may drain one outbox: who moves a due time on, sends.

    `session` is called once, at the first sending, and must judge addresses itself as `egress.guarded_session` does.
    `event_of` reads a delivery's event; `jitter` answers 0..1.
    A sending that outlasts `patience` goes on by itself until `settle` or `aclose`.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        event_of: Callable[[Delivery], Awaitable[Event | None]],
        secrets: Callable[[Delivery], Sequence[str]],
        session: Callable[[], aiohttp.ClientSession],
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        *,
        deadline: timedelta = ANSWER_DEADLINE,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._deliveries = deliveries
        self._event_of = event_of
        self._secrets = secrets
        self._make_session = session
        self._session: aiohttp.ClientSession | None = None
        self._clock = clock
        self._jitter = jitter
        self._deadline = deadline
        self._patience = patience
        self._sending: dict[str, tuple[str, asyncio.Task[None]]] = {}  # delivery id → host, task
        self._resting: dict[str, datetime] = {}  # receiver's URL → until when
        self._taking = asyncio.Lock()
        self._deep_at = 0.0  # when, by the loop's time, the whole outbox is read again

    async def drain(self, now: datetime) -> datetime | None:
        """Send all that is due, and what falls due meanwhile; when to be called next (None: nothing waits).

        A slow receiver is not waited for. May be called while another drain runs.
        Raises `StoreError` when the outbox cannot be read.
        """
        self._deep_at = 0.0
        begun = await self._take(now)
        while begun:
            done, begun = await asyncio.wait(
                begun, timeout=self._patience.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            begun |= await self._take(max(now, self._clock()))
        return await self._next_at(max(now, self._clock()))

    async def settle(self) -> None:
        """Wait until nothing is being sent."""
        while self._sending:
            await asyncio.wait([task for _, task in self._sending.values()])

    async def aclose(self) -> None:
        """Let go of what is being sent; it falls due again when its lease ends."""
        tasks = [task for _, task in self._sending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def _next_at(self, now: datetime) -> datetime | None:
        if self._sending:
            # A place may become free, or a try fail, before the outbox says so.
            return now + self._patience
        next_at = await self._deliveries.next_due_at()
        return next_at and max(next_at, now)

    async def _take(self, now: datetime) -> set[asyncio.Task[None]]:
        """Begin the sendings for which there is a place. Leased before they begin, so that nobody else does."""
        async with self._taking:
            self._resting = {url: until for url, until in self._resting.items() if until > now}
            page = await self._read(now)
            tired = [d for d in page if d.url in self._resting and d.id not in self._sending]
            chosen = self._with_a_place(page)
            spared = [replace(d, due=self._resting[d.url]) for d in tired]
            # Never the same moment twice: the store takes two equal saves for one that was repeated.
            leased = [replace(d, due=now + LEASE + timedelta(seconds=self._jitter())) for d in chosen]
            ours = await asyncio.gather(*(self._moved(d) for d in (*leased, *spared)))
            return {self._begin(delivery) for delivery in ours[: len(leased)] if delivery is not None}

    def _begin(self, delivery: Delivery) -> asyncio.Task[None]:
        task = asyncio.create_task(self._deliver(delivery))
        self._sending[delivery.id] = (host_of(delivery.url), task)
        return task

    async def _moved(self, delivery: Delivery) -> Delivery | None:
        """The delivery with its due time moved on; None: another process has taken it."""
        try:
            return await self._deliveries.save(delivery)
        except Stale:
            return None

    async def _read(self, now: datetime) -> Sequence[Delivery]:
        """A page of what is due; a deep one from time to time, and when the first page is all for busy receivers."""
        time = asyncio.get_running_loop().time()
        if time < self._deep_at:
            page = await self._due(now, PAGE)
            if len(page) < PAGE or self._with_a_place(page):
                return page
        self._deep_at = time + self._patience.total_seconds()
        return await self._due(now, DEEP_PAGE)

    async def _due(self, now: datetime, limit: int) -> Sequence[Delivery]:
        # Listed and loaded in two steps: in between another process may have taken one and moved its due time on.
        return [d for d in await self._deliveries.due(now, limit) if d.due <= now and d.state == "pending"]

    def _with_a_place(self, page: Sequence[Delivery]) -> list[Delivery]:
        busy = Counter(host for host, _ in self._sending.values())
        chosen: list[Delivery] = []
        for delivery in page:
            host = host_of(delivery.url)
            is_free = delivery.id not in self._sending and delivery.url not in self._resting
            if is_free and busy[host] < PER_HOST:
                busy[host] += 1
                chosen.append(delivery)
        return chosen

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            reply = await self._send(delivery)
            now = self._clock()
            if rest := rest_of(reply, now):
                self._resting[delivery.url] = rest
            await self._deliveries.save(next_try(delivery, reply, now, self._jitter()))
        except StoreError as error:
            _log.warning("webhook_not_saved", delivery=delivery.id, error=str(error))
        except Exception:
            # A bug must not end the other sendings; the delivery stays open and falls due when its lease ends.
            _log.exception("webhook_failed", delivery=delivery.id)
        finally:
            del self._sending[delivery.id]

    async def _send(self, delivery: Delivery) -> Reply:
        began, started = self._clock(), asyncio.get_running_loop().time()
        event = await self._event_of(delivery)
        if event is None:
            return Reply(at=began, error="its event is no longer kept", final=True)
        answered = await self._post(delivery, event, began)
        return replace(answered, duration_ms=round((asyncio.get_running_loop().time() - started) * 1000))

    async def _post(self, delivery: Delivery, event: Event, began: datetime) -> Reply:
        body = body_of(event)
        headers = _headers(event) | signed(delivery.id, body, self._secrets(delivery), began)
        timeout = aiohttp.ClientTimeout(total=self._deadline.total_seconds())
        self._session = self._session or self._make_session()
        try:
            async with self._session.post(
                delivery.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                pause = retry_after(response.headers.get("Retry-After"), began)
                text = await _beginning(response)
                return Reply(at=began, status_code=response.status, text=text, retry_after=pause)
        except TimeoutError:
            return Reply(at=began, error=f"no answer within {self._deadline.total_seconds():g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(at=began, error=_why(error))


def _why(error: Exception) -> str:
    """What to tell of it: the system's or the guard's own words, without address and path."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, aiohttp.InvalidURL):
        return "it is no address"
    return f"{type(error).__name__}: {error}"[:300]


def host_of(url: str) -> str:
    """Host and port, as far as the URL can be read."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return url


def _headers(event: Event) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "novita-gpu-api", "Accept-Encoding": "identity"}
    return headers | {"X-Correlation-ID": event.correlation} if event.correlation else headers


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first bytes of the answer. Its status has been said: a body that breaks off does not change it."""
    kept = b""
    try:
        while len(kept) < KEPT_BYTES and (chunk := await response.content.read(KEPT_BYTES - len(kept))):
            kept += chunk
    except (aiohttp.ClientError, OSError):
        pass
    return kept.decode(errors="replace")
