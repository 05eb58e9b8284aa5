"""Deliveries: open ones in a queue for each receiver, all of them by age, each moved on by one sender at a time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from msgspec.structs import replace

from novita_gpu.store.base import Delivery, Stale
from novita_gpu.store.keys import FINISHED_FOR, RESTS_AT_MOST, Keys
from novita_gpu.store.stored import delivery_document, delivery_of, instant, micros, millis
from novita_gpu.store.wire import Script, Wire, Word

ADD = Script("journal", "add")
SAVE = Script("journal", "save")
DUE = Script("due")
LOAD = Script("load")
# Deliveries of one round trip.
BATCH = 200
_FIELDS = ("document", "sequence", "number", "revision")


class Deliveries:
    """All deliveries of one store. Every call may raise `Unavailable`, and may be repeated."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        finished_for: timedelta = FINISHED_FOR,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._new_id = new_id
        self._finished_for = finished_for

    async def add(self, delivery: Delivery) -> bool:
        """Stores an open delivery of an event that is in the log. False: it is known, and nothing was changed."""
        keys = self._keys
        outbox = (keys.receivers(), keys.rests(), keys.deliveries(), keys.delivery_number())
        words: list[Word] = [delivery.id, delivery_document(delivery), delivery.sequence, micros(delivery.due)]
        return bool(await self._wire.number(ADD, [*keys.of_deliveries((delivery,)), *outbox], [*words, delivery.host]))

    async def save(self, delivery: Delivery, rest: datetime | None = None) -> Delivery:
        """The delivery as stored, with its next revision. Raises `Stale` when it has moved on or does not exist.

        So of two senders only one records a try, takes a due delivery (by moving `due` ahead), or ends it. A
        finished one expires after a while; saved as pending it is open again. With `rest` nothing is due for its
        receiver before then.
        """
        keys = (*self._keys.of_deliveries((delivery,)), self._keys.receivers(), self._keys.rests())
        document = delivery_document(delivery)
        words: list[Word] = [delivery.id, document, delivery.revision, delivery.state, micros(delivery.due)]
        words += [millis(self._finished_for), self._new_id(), delivery.host]
        words += ["" if rest is None else micros(rest), millis(RESTS_AT_MOST)]
        revision = await self._wire.number(SAVE, keys, words)
        if not revision:
            raise Stale(f"delivery {delivery.id} has moved on from revision {delivery.revision}")
        return replace(delivery, revision=revision)

    async def load(self, delivery_id: str) -> Delivery | None:
        return next(iter((await self._load((delivery_id,))).values()), None)

    async def hosts_due(self, now: datetime) -> list[str]:
        """Receivers for which something is due and that are not resting, the longest waiting first."""
        found = await self._wire.zrange(self._keys.receivers(), "-inf", micros(now), "BYSCORE")
        return [host.decode() for host in found]

    async def first_of(self, counts: Mapping[str, int], now: datetime) -> list[Delivery]:
        """Open deliveries that are due: of each receiver at most its count, the longest waiting first."""
        queues = [self._keys.queue(host) for host in counts]
        ids = await self._wire.verdict(DUE, queues, (micros(now), *counts.values()))
        return list((await self._load([member.decode() for member in ids])).values())

    async def next_due_at(self) -> datetime | None:
        """When something is due next for a receiver that does not rest then."""
        first = await self._wire.zrange_scores(self._keys.receivers(), 0, 0)
        return instant(int(first[0][1])) if first else None

    async def newest(self, limit: int = 100, before: int | None = None) -> tuple[list[Delivery], int | None]:
        """A page, newest first, and what the next page is `before`; None after the last."""
        top: Word = "+inf" if before is None else f"({before}"
        words: tuple[Word, ...] = (top, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit)
        ids = await self._wire.zrange_scores(self._keys.deliveries(), *words)
        found = await self._load([member.decode() for member, _ in ids])
        return list(found.values()), int(ids[-1][1]) if len(ids) == limit else None

    async def trim(self) -> int:
        """Takes expired deliveries out of the list by age, up to where none has; answers how many it took."""
        taken, after = 0, "-inf"
        while True:
            words: tuple[Word, ...] = (after, "+inf", "BYSCORE", "LIMIT", 0, BATCH)
            page = await self._wire.zrange_scores(self._keys.deliveries(), *words)
            ids = [member.decode() for member, _ in page]
            left = await self._load(ids)
            gone = [delivery_id for delivery_id in ids if delivery_id not in left]
            await self._wire.zrem(self._keys.deliveries(), gone)
            taken += len(gone)
            if not gone:
                return taken
            after = f"({int(page[-1][1])}"

    async def _load(self, ids: Sequence[str]) -> dict[str, Delivery]:
        found: dict[str, Delivery] = {}
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            rows = await self._wire.table(LOAD, [self._keys.delivery(delivery_id) for delivery_id in batch], _FIELDS)
            for delivery_id, (document, sequence, number, revision) in zip(batch, rows, strict=True):
                if document and sequence and number and revision:
                    found[delivery_id] = delivery_of(document, sequence, number, revision)
        return found
