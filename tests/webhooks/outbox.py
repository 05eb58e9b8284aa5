"""An outbox in memory, and a hand-turned clock: the seams that the sender stands on, for real but without a server."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import InstanceId, Status
from novita_gpu.store.base import Delivery, Stale, Unavailable
from novita_gpu.webhooks import Sender
from novita_gpu.webhooks.receivers import Receiver
from novita_gpu.webhooks.schedule import Reply

STARTED_AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
INSTANCE = InstanceId("ins_00000000000000000000000001")


class Clock:
    """Time that stands until it is turned."""

    def __init__(self) -> None:
        self.now = STARTED_AT

    def __call__(self) -> datetime:
        return self.now

    def turn(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


class Outbox:
    """Deliveries by id. `broken` makes every further save fail, as a store that has gone away does."""

    def __init__(self) -> None:
        self.kept: dict[str, Delivery] = {}
        self.events: dict[str, Event] = {}
        self.rests: dict[str, datetime] = {}
        self.broken = False

    def open(self) -> list[Delivery]:
        return sorted((d for d in self.kept.values() if d.state == "pending"), key=lambda d: d.due)

    def ready_at(self, delivery: Delivery) -> datetime:
        return max(delivery.due, self.rests.get(delivery.host, delivery.due))

    async def hosts_due(self, now: datetime) -> Sequence[str]:
        await asyncio.sleep(0)
        return list(dict.fromkeys(d.host for d in self.open() if self.ready_at(d) <= now))

    async def first_of(self, counts: Mapping[str, int], now: datetime) -> Sequence[Delivery]:
        await asyncio.sleep(0)
        due = [d for d in self.open() if d.due <= now]
        return [d for host, count in counts.items() for d in [d for d in due if d.host == host][:count]]

    async def save(self, delivery: Delivery, rest: datetime | None = None) -> Delivery:
        await asyncio.sleep(0)
        if self.broken:
            raise Unavailable("gone away")
        if self.kept[delivery.id].revision != delivery.revision:
            raise Stale(delivery.id)
        self.kept[delivery.id] = replace(delivery, revision=delivery.revision + 1)
        if rest:
            self.rests[delivery.host] = max(rest, self.rests.get(delivery.host, rest))
        return self.kept[delivery.id]

    async def next_due_at(self) -> datetime | None:
        return min(map(self.ready_at, self.open()), default=None)

    async def event_of(self, delivery: Delivery) -> Event | None:
        return self.events.get(delivery.event_id)

    def put(self, number: int, url: str, due: datetime = STARTED_AT) -> str:
        """One event on its way to this receiver; the delivery's id."""
        event = an_event(number)
        self.events[event.id] = event
        delivery = Delivery(id=f"msg_{number}", event_id=event.id, url=url, due=due, created_at=due, type=event.type)
        self.kept[delivery.id] = delivery
        return delivery.id


def an_event(number: int) -> Event:
    return Event(
        id=f"evt_{number}",
        type=EventType.READY,
        at=STARTED_AT,
        actor="control",
        instance_id=INSTANCE,
        reason="answers on all its ports",
        correlation=f"cor-{number}",
        operation="op_1",
        previous_status=Status.RUNNING,
        instance=msgspec.Raw(b'{"id":"ins_00000000000000000000000001","name":"gr\xc3\xbcn","sequence":0}'),
        sequence=number,
    )


def a_delivery(**fields: object) -> Delivery:
    made = Delivery(id="msg_1", event_id="evt_1", url="http://receiver.test/", due=STARTED_AT, created_at=STARTED_AT)
    return replace(made, **fields)


class Plainly:
    """Receivers that are no registered endpoints, all with the same secrets."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = secrets

    async def of(self, delivery: Delivery) -> Receiver:
        return Receiver(secrets=self._secrets)

    async def heard(self, receiver: Receiver, reply: Reply) -> None: ...


async def drained(sender: Sender, now: datetime) -> datetime | None:
    """All that is due has been sent; when something is due next."""
    await sender.drain(now)
    await sender.settle()
    return await sender.drain(now)
