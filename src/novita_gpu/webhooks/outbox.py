"""What a person may see of deliveries and ask for: a list, sending again, a test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from novita_gpu.domain.errors import Fault, Invalid, Missing
from novita_gpu.domain.events import Cause, Event, EventType
from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.value import Value
from novita_gpu.observe import tell
from novita_gpu.store import Store
from novita_gpu.store.base import Delivery, Stale, addressed
from novita_gpu.store.deliveries import BATCH
from novita_gpu.store.index import BadCursor
from novita_gpu.webhooks.schedule import again

# Deliveries looked at for one page: fewer, and a rare filter needs many pages; more, and a page takes long.
LOOKED_AT = 5_000
# Losing that often means that it is being sent all the time.
TRIES = 5


class Wanted(Value, frozen=True, kw_only=True):
    """Which deliveries; what is left out admits all."""

    states: frozenset[str] = frozenset()
    instance: InstanceId | None = None
    type: EventType | None = None
    host: str | None = None

    def admits(self, delivery: Delivery) -> bool:
        return (
            (not self.states or delivery.state in self.states)
            and self.instance in (None, delivery.instance_id)
            and self.type in (None, delivery.type)
            and self.host in (None, delivery.host)
        )


class Outbox:
    """`check` judges an address and raises `Refused`; `ring` says that something waits to be delivered."""

    def __init__(
        self,
        *,
        store: Store,
        default_receiver: str | None,
        check: Callable[[str], Awaitable[None]],
        ring: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._store, self._default_receiver = store, default_receiver
        self._check, self._ring, self._now, self._new_id = check, ring, now, new_id

    async def page(self, wanted: Wanted, limit: int, cursor: str | None) -> tuple[list[Delivery], str | None]:
        """Newest first, and where the next page goes on: also if `LOOKED_AT` were looked at and few were found."""
        found: list[Delivery] = []
        looked_at, last = 0, 0
        async for delivery in self._newest(_number(cursor)):
            if len(found) == limit or looked_at == LOOKED_AT:
                return found, str(last)
            looked_at, last = looked_at + 1, delivery.number
            if wanted.admits(delivery):
                found.append(delivery)
        return found, None

    async def replay(self, delivery_id: str) -> Delivery:
        """Due now, with the same id. Raises `Missing`."""
        delivery = await self._known(delivery_id)
        for _ in range(TRIES):
            if saved := await self._again(delivery):
                await self._ring()
                return saved
            delivery = await self._known(delivery_id)
        return delivery  # it is being sent over and over, which is what was asked for

    async def replay_range(self, wanted: Wanted, since: datetime, until: datetime) -> int:
        """Whatever has ended of that time, sent again; how many."""
        if since >= until:
            raise Invalid(Fault(field="until", message="must be later than since"))
        count = 0
        async for delivery in self._newest(None):
            is_of_then = since <= delivery.created_at < until
            if is_of_then and delivery.state != "pending" and wanted.admits(delivery):
                count += await self._again(delivery) is not None
        await self._ring()
        return count

    async def test(self, url: str | None, cause: Cause) -> tuple[Event, list[Delivery]]:
        """A test event in the log and on its way: to this address, signed as what is registered there is, else to the
        configured receiver and every endpoint.
        """
        event = Event(
            id=self._new_id("evt"),
            type=EventType.WEBHOOK_TEST,
            at=self._now(),
            actor=cause.actor,
            reason=f"A test that {cause.actor} asked for",
            correlation=cause.correlation,
        )
        endpoints = [each for each in await self._store.endpoints.all() if each.enabled and url in (None, each.url)]
        plain = [receiver for receiver in (url or self._default_receiver,) if receiver and not (url and endpoints)]
        for receiver in plain:
            await self._check(receiver)
        deliveries = [addressed(event, receiver) for receiver in plain]
        deliveries += [addressed(event, each.url, each.id) for each in endpoints]
        if not deliveries:
            raise Invalid(Fault(field="url", message="is required: no WEBHOOK_URL is set and no endpoint registered"))
        return await self._told(event, deliveries)

    async def _told(self, event: Event, deliveries: Sequence[Delivery]) -> tuple[Event, list[Delivery]]:
        told = await self._store.events.append(event, deliveries)
        tell(told)
        await self._ring()
        return told, [replace(delivery, sequence=told.sequence) for delivery in deliveries]

    async def _known(self, delivery_id: str) -> Delivery:
        delivery = await self._store.deliveries.load(delivery_id)
        if delivery is None:
            raise Missing("NOT_FOUND", f"There is no delivery {delivery_id}, or no longer.")
        return delivery

    async def _again(self, delivery: Delivery) -> Delivery | None:
        try:
            return await self._store.deliveries.save(again(delivery, self._now()))
        except Stale:
            return None

    async def _newest(self, before: int | None) -> AsyncIterator[Delivery]:
        while True:
            page, before = await self._store.deliveries.newest(BATCH, before)
            for delivery in page:
                yield delivery
            if before is None:
                return


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 16):
        raise BadCursor(cursor)
    return int(cursor)
