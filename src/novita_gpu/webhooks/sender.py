"""Takes what is due, a few at a time for each receiver's host, and writes down what came of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import aiohttp
import structlog
from msgspec.structs import replace

from novita_gpu.domain.events import Event
from novita_gpu.figures import Sending
from novita_gpu.observe import correlate
from novita_gpu.store.base import Delivery, Stale, StoreError
from novita_gpu.webhooks.message import body_of, headers_of, signed
from novita_gpu.webhooks.post import ANSWER_DEADLINE, post
from novita_gpu.webhooks.receivers import Receiver
from novita_gpu.webhooks.schedule import Reply, next_try, rest_of

log = structlog.get_logger()

PER_HOST = 4  # sendings at once, in each process
# A delivery in hand is not due for others this long. Below ANSWER_DEADLINE it would be sent twice,
# far above it a delivery whose process was killed waits for nothing.
LEASE = timedelta(seconds=60)
PATIENCE = timedelta(seconds=1)  # while something is being sent the outbox is looked at so often


class Deliveries(Protocol):
    """The store's outbox. `save` answers the delivery with its next revision, or raises `Stale` when it moved on."""

    async def hosts_due(self, now: datetime) -> Sequence[str]: ...

    async def first_of(self, counts: Mapping[str, int], now: datetime) -> Sequence[Delivery]: ...

    async def save(self, delivery: Delivery, rest: datetime | None = None) -> Delivery: ...

    async def next_due_at(self) -> datetime | None: ...


class Receivers(Protocol):
    """Who is at the other end. `heard` is told of every sending that was saved."""

    async def of(self, delivery: Delivery) -> Receiver: ...

    async def heard(self, receiver: Receiver, reply: Reply) -> None: ...


class Sender:
    """Sends what is due. One object per process; several may drain one outbox: who moves a due time on, sends.

    `session` is called once, at the first sending, and must judge addresses itself as `egress.guarded_session` does.
    `event_of` reads a delivery's event; `jitter` answers 0..1. Sendings go on by themselves, each taking what is due
    next when it has ended, until `settle` or `aclose`.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        event_of: Callable[[Delivery], Awaitable[Event | None]],
        receivers: Receivers,
        session: Callable[[], aiohttp.ClientSession],
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        *,
        deadline: timedelta = ANSWER_DEADLINE,
        sent: Callable[[Sending, float], None] = lambda _outcome, _seconds: None,
    ) -> None:
        """`sent` is told of each sending: delivered, retried or exhausted, and how long it took."""
        self._deliveries = deliveries
        self._event_of = event_of
        self._receivers = receivers
        self._make_session = session
        self._session: aiohttp.ClientSession | None = None
        self._clock = clock
        self._jitter = jitter
        self._deadline, self._sent = deadline, sent
        self._in_hand: dict[str, str] = {}  # delivery id → its receiver's host
        self._tasks: set[asyncio.Task[None]] = set()
        self._taking = asyncio.Lock()

    async def drain(self, now: datetime) -> datetime | None:
        """Begin what is due, as far as there are places; when to be called next (None: nothing waits).

        Waits for no receiver. Raises `StoreError` when the outbox cannot be read.
        """
        await self._take(now)
        next_at = await self._deliveries.next_due_at()
        if self._in_hand or (next_at and next_at <= now):
            return now + PATIENCE  # what is in hand may fail and be due sooner than the outbox says now
        return next_at

    async def settle(self) -> None:
        """Wait until nothing is being sent."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Let go of what is being sent; it falls due again when its lease ends."""
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def _take(self, now: datetime) -> None:
        """Begin the sendings for which there is a place. Leased before they begin, so that nobody else does."""
        async with self._taking:
            busy = Counter(self._in_hand.values())
            places = {host: PER_HOST - busy[host] for host in await self._deliveries.hosts_due(now)}
            free = {host: count for host, count in places.items() if count > 0}
            page = await self._deliveries.first_of(free, now) if free else ()
            # Listed and loaded in two steps: in between another process may have taken one.
            due = [d for d in page if d.due <= now and d.state == "pending" and d.id not in self._in_hand]
            leased = await asyncio.gather(*(self._leased(delivery, now) for delivery in due))
            for delivery in filter(None, leased):
                self._begin(delivery)

    async def _leased(self, delivery: Delivery, now: datetime) -> Delivery | None:
        """The delivery with its due time moved on; None: another process has taken it."""
        # Never the same moment twice: the store takes two equal saves for one that was repeated.
        until = now + LEASE + timedelta(seconds=self._jitter())
        try:
            return await self._deliveries.save(replace(delivery, due=until))
        except Stale:
            return None

    def _begin(self, delivery: Delivery) -> None:
        self._in_hand[delivery.id] = delivery.host
        task = asyncio.create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        """One sending, and then whatever its place is needed for next."""
        try:
            await self._send_and_save(delivery)
        except StoreError as error:
            log.warning("delivery.not_saved", delivery=delivery.id, error=str(error))
        except Exception:
            # A bug must not end the other sendings; the delivery stays open and falls due when its lease ends.
            log.exception("delivery.broke", delivery=delivery.id)
        finally:
            del self._in_hand[delivery.id]
        try:
            await self._take(self._clock())
        except StoreError as error:
            log.warning("outbox.not_read", error=str(error))

    async def _send_and_save(self, delivery: Delivery) -> None:
        event, receiver = await asyncio.gather(self._event_of(delivery), self._receivers.of(delivery))
        if event:
            correlate(event.correlation, instance_id=event.instance_id, operation_id=event.operation)
        reply = await self._send(delivery, event, receiver)
        now = self._clock()
        after = next_try(delivery, reply, now, self._jitter())
        await self._deliveries.save(after, rest_of(reply, now))
        if after.state == "exhausted":
            log.warning("delivery.given_up", delivery=delivery.id, host=delivery.host, error=reply.error)
        self._sent("retried" if after.state == "pending" else after.state, reply.duration_ms / 1000)
        await self._receivers.heard(receiver, reply)

    async def _send(self, delivery: Delivery, event: Event | None, receiver: Receiver) -> Reply:
        began, started = self._clock(), asyncio.get_running_loop().time()
        if event is None or receiver.gone:
            return Reply(at=began, error=receiver.gone or "its event is no longer kept", final=True)
        body = body_of(event)
        headers = headers_of(event) | signed(delivery.id, body, receiver.secrets, began)
        self._session = self._session or self._make_session()
        reply = await post(self._session, delivery.url, body, headers, began=began, within=self._deadline)
        return replace(reply, duration_ms=round((asyncio.get_running_loop().time() - started) * 1000))
