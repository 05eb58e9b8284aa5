"""Deliveries: open ones by when they are due, all of them by age, each moved on by one sender at a time."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid4

from msgspec.structs import replace

from novita_gpu.store.base import Delivery, Stale
from novita_gpu.store.keys import FINISHED_FOR, Keys
from novita_gpu.store.stored import delivery_document, delivery_of, instant, micros, millis
from novita_gpu.store.wire import Script, Wire, Word

ADD = Script("journal", "add")
SAVE = Script("save")
LOAD = Script("load")
# Deliveries of one round trip.
BATCH = 200
_FIELDS = ("document", "sequence", "revision")


class Deliveries:
    """All deliveries of one store. Every call may raise `Unavailable`, and may be repeated."""

    def __init__(self, wire: Wire, keys: Keys, new_id: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._wire = wire
        self._keys = keys
        self._new_id = new_id

    async def add(self, delivery: Delivery) -> bool:
        """Stores an open delivery of an event that is in the log. False: it is known, and nothing was changed."""
        keys = self._keys
        touched = (keys.delivery(delivery.id), keys.due(), keys.deliveries(), keys.delivery_number())
        words: list[Word] = [delivery.id, delivery_document(delivery), delivery.sequence, micros(delivery.due)]
        return bool(await self._wire.number(ADD, touched, words))

    async def save(self, delivery: Delivery) -> Delivery:
        """The delivery as stored, with its next revision. Raises `Stale` when it has moved on or does not exist.

        So of two senders only one records a try, takes a due delivery (by moving `due` ahead), or ends it. A
        finished one expires after 7 days; saved as pending it is open again.
        """
        keys = (self._keys.delivery(delivery.id), self._keys.due())
        document = delivery_document(delivery)
        words: list[Word] = [delivery.id, document, delivery.revision, delivery.state, micros(delivery.due)]
        revision = await self._wire.number(SAVE, keys, [*words, millis(FINISHED_FOR), self._new_id()])
        if not revision:
            raise Stale(f"delivery {delivery.id} has moved on from revision {delivery.revision}")
        return replace(delivery, revision=revision)

    async def load(self, delivery_id: str) -> Delivery | None:
        return next(iter((await self._load((delivery_id,))).values()), None)

    async def due(self, now: datetime, limit: int = BATCH) -> list[Delivery]:
        """Open deliveries that are due, the longest waiting first."""
        ids = await self._wire.zrange(self._keys.due(), "-inf", micros(now), "BYSCORE", "LIMIT", 0, limit)
        return list((await self._load([member.decode() for member in ids])).values())

    async def next_due_at(self) -> datetime | None:
        """When the first open delivery is due."""
        first = await self._wire.zrange_scores(self._keys.due(), 0, 0)
        return instant(int(first[0][1])) if first else None

    async def open_count(self) -> int:
        return await self._wire.zcard(self._keys.due())

    async def newest(self, limit: int = 100, before: int | None = None) -> tuple[list[Delivery], int | None]:
        """A page, newest first, and what the next page is `before`; None after the last."""
        top: Word = "+inf" if before is None else f"({before}"
        words: tuple[Word, ...] = (top, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit)
        ids = await self._wire.zrange_scores(self._keys.deliveries(), *words)
        found = await self._load([member.decode() for member, _ in ids])
        return list(found.values()), int(ids[-1][1]) if len(ids) == limit else None

    async def trim(self) -> int:
        """Takes expired deliveries out of the list by age, the oldest first; answers how many it took."""
        taken = 0
        while oldest := [member.decode() for member in await self._wire.zrange(self._keys.deliveries(), 0, BATCH - 1)]:
            left = await self._load(oldest)
            gone = [delivery_id for delivery_id in oldest if delivery_id not in left]
            await self._wire.zrem(self._keys.deliveries(), gone)
            taken += len(gone)
            if left:
                break
        return taken

    async def _load(self, ids: Sequence[str]) -> dict[str, Delivery]:
        found: dict[str, Delivery] = {}
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            rows = await self._wire.table(LOAD, [self._keys.delivery(delivery_id) for delivery_id in batch], _FIELDS)
            for delivery_id, (document, sequence, revision) in zip(batch, rows, strict=True):
                if document and sequence and revision:
                    found[delivery_id] = delivery_of(document, sequence, revision)
        return found
