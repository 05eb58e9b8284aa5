"""The log of what happened, in one sequence for all, with an index for each instance and each type."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.tally import event_count
from novita_gpu.store.base import Delivery
from novita_gpu.store.feed import FEED_CAP
from novita_gpu.store.keys import APPENDED_FOR, Keys
from novita_gpu.store.stored import delivery_document, encode, event_of, micros, millis
from novita_gpu.store.wire import Script, Wire, Word

APPEND = Script("journal", "append")
READ = Script("read")
# Events of one round trip.
BATCH = 500


class Events:
    """All events of one store. Every call may raise `Unavailable`."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def append(self, event: Event, deliveries: Sequence[Delivery] = ()) -> Event:
        """The event with its sequence. For what belongs to no change of a record. Idempotent by the event's id."""
        keys = self._keys
        fixed = [
            *(keys.sequence(), keys.events(), keys.appended(event.id), keys.feed(), keys.feed_number()),
            *(keys.receivers(), keys.rests(), keys.deliveries(), keys.delivery_number(), keys.type(event.type)),
            *(keys.timeline(event.instance_id or InstanceId("")), keys.counts()),
        ]
        words: list[Word] = [encode(replace(event, sequence=0)), millis(APPENDED_FOR), FEED_CAP]
        words += [int(event.instance_id is not None), len(deliveries), event_count(event.type)]
        for delivery in deliveries:
            words += [delivery.id, delivery_document(delivery), micros(delivery.due), delivery.host]
        touched = [*fixed, *keys.of_deliveries(deliveries)]
        return replace(event, sequence=await self._wire.number(APPEND, touched, words))

    async def read(
        self,
        after: int = 0,
        limit: int = 100,
        type: EventType | None = None,  # noqa: A002
        instance_id: InstanceId | None = None,
    ) -> list[Event]:
        """Up to `limit` events with sequences above `after`, oldest first."""
        if not type and not instance_id:
            entries = await self._wire.entries(self._keys.events(), after, limit)
            return [event_of(fields[b"document"], sequence) for sequence, fields in entries]
        index = self._keys.timeline(instance_id) if instance_id else self._keys.type(type or "")
        found: list[Event] = []
        while len(found) < limit:
            page, after = await self._listed(index, after)
            found += [event for event in page if not type or event.type is type]
            if not after:
                break
        return found[:limit]

    async def _listed(self, index: str, after: int) -> tuple[list[Event], int]:
        """One page of an index, and what the next is after; 0 after the last."""
        rows = await self._wire.table(READ, (index, self._keys.events()), (f"({after}-0", BATCH))
        sequences = [int((sequence or b"").split(b"-")[0]) for sequence, _ in rows]
        events = [event_of(row[1], sequence) for sequence, row in zip(sequences, rows, strict=True) if row[1]]
        return events, sequences[-1] if len(rows) == BATCH else 0

    async def event(self, sequence: int) -> Event | None:
        entries = await self._wire.entries(self._keys.events(), sequence - 1, 1)
        return event_of(entries[0][1][b"document"], sequence) if entries and entries[0][0] == sequence else None

    async def last_sequence(self) -> int:
        """The sequence of the last event, 0 before the first."""
        return int(await self._wire.get(self._keys.sequence()) or 0)

    async def trim(self, before: datetime, instances: Iterable[InstanceId] = ()) -> int:
        """Removes events older than `before` from the log and its indexes; answers the first sequence that is left.

        Timelines of closed records go with these; those of `instances` are trimmed.
        """
        first = await self._first_since(before)
        indexes = [self._keys.type(type_) for type_ in EventType]
        timelines = [self._keys.timeline(instance) for instance in instances]
        for stream in (self._keys.events(), *indexes, *timelines):
            await self._wire.trim(stream, first)
        return first

    async def _first_since(self, at: datetime) -> int:
        """The first sequence whose event is not older than `at`, found by halving."""
        low, high = 1, await self.last_sequence() + 1
        while low < high:
            middle = (low + high) // 2
            found = await self._wire.entries(self._keys.events(), middle - 1, 1)
            if found and event_of(found[0][1][b"document"], found[0][0]).at < at:
                low = found[0][0] + 1
            else:
                high = middle
        return low
