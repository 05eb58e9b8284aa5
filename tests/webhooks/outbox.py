"""An outbox in memory, and a hand-turned clock: the seams that the sender stands on, for real but without a server."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import InstanceId, Status
from novita_gpu.store.base import Delivery, Stale, Unavailable

STARTED_AT = datetime.now(UTC).replace(microsecond=0)
INSTANCE = InstanceId("ins_00000000000000000000000001")


class Clock:
    """Time that stands until it is turned. It begins at the present: the signature library compares with it."""

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
        self.broken = False

    async def due(self, now: datetime, limit: int) -> Sequence[Delivery]:
        await asyncio.sleep(0)
        pending = [d for d in self.kept.values() if d.state == "pending" and d.due <= now]
        return sorted(pending, key=lambda d: d.due)[:limit]

    async def save(self, delivery: Delivery) -> Delivery:
        await asyncio.sleep(0)
        if self.broken:
            raise Unavailable("gone away")
        if self.kept[delivery.id].revision != delivery.revision:
            raise Stale(delivery.id)
        self.kept[delivery.id] = replace(delivery, revision=delivery.revision + 1)
        return self.kept[delivery.id]

    async def next_due_at(self) -> datetime | None:
        return min((d.due for d in self.kept.values() if d.state == "pending"), default=None)

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
        instance=msgspec.Raw(b'{"id":"ins_00000000000000000000000001","name":"gr\xc3\xbcn"}'),
        sequence=number,
    )


def a_delivery(**fields: object) -> Delivery:
    made = Delivery(id="msg_1", event_id="evt_1", url="http://receiver.test/", due=STARTED_AT, created_at=STARTED_AT)
    return replace(made, **fields)
