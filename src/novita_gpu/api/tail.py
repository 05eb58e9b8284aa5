"""The end of the event log in memory, so that a change is read once however many streams tell of it."""

import asyncio
from collections import deque

from novita_gpu.contract import encode, event_view
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.value import Value
from novita_gpu.store import Store

# Events kept. Too small: streams that fall behind for a moment read the store, each for itself.
KEPT = 1_000
BATCH = 500


class Told(Value, frozen=True, kw_only=True):
    """An event with its frame of a server-sent stream."""

    event: Event
    frame: bytes

    def is_of(self, type_: EventType | None, instance: InstanceId | None) -> bool:
        return type_ in (None, self.event.type) and instance in (None, self.event.instance_id)


class Tail:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: deque[Told] = deque(maxlen=KEPT)
        self._from: int | None = None  # all events above this, up to `_until`, are kept
        self._until = 0
        self._reading = asyncio.Lock()

    async def after(self, sequence: int) -> tuple[list[Told], int]:
        """Events above `sequence`, oldest first, and the sequence up to which these are all. Raises `Unavailable`."""
        known = self._store.view.sequence
        async with self._reading:
            await self._renew(sequence, known)
        if self._from is not None and sequence < self._from:
            old = [_told(event) for event in await self._store.events.read(sequence, BATCH)]
            if old:
                return old, old[-1].event.sequence
        found = [told for told in self._kept if told.event.sequence > sequence][:BATCH]
        return found, found[-1].event.sequence if found else max(sequence, known)

    async def _renew(self, sequence: int, known: int) -> None:
        """Reads what has come since the last reading; the first begins where the first stream does."""
        if self._from is None:
            self._from = self._until = sequence
        while self._until < known:
            events = await self._store.events.read(self._until, BATCH)
            for event in events:
                if len(self._kept) == KEPT:
                    self._from = self._kept[0].event.sequence
                self._kept.append(_told(event))
            self._until = events[-1].sequence if events else known


def _told(event: Event) -> Told:
    head = f"id: {event.sequence}\nevent: {event.type}\ndata: "
    return Told(event=event, frame=head.encode() + encode(event_view(event)) + b"\n\n")
