"""The records: loaded, and changed by commits that write state, events and deliveries together or not at all."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from msgspec.structs import replace

from novita_gpu.domain.instance import CloudId, InstanceId, Record, Wish
from novita_gpu.domain.limits import Reserved, limits_of, reserved
from novita_gpu.store.base import (
    Change,
    ClaimLost,
    Delivery,
    HadAlready,
    InUse,
    NameTaken,
    NotRunning,
    OverLimit,
    Stale,
    StoreError,
)
from novita_gpu.store.feed import FEED_CAP
from novita_gpu.store.keys import ANSWERED_FOR, CLOSED_FOR, Keys
from novita_gpu.store.stored import delivery_document, encode, instant, micros, millis, record_document, record_of
from novita_gpu.store.wire import Script, Wire, Word

COMMIT = Script("journal", "commit")
TOUCH = Script("journal", "touch")
LOAD = Script("load")
# Records of one round trip. More would hold up the server for others, fewer would make a start slow.
BATCH = 500
# Losing that often means that something commits in a loop.
TRIES = 20
_FIELDS = ("document", "revision", "sequence")


class Records:
    """All records of one store. Every call may raise `Unavailable`; nothing here raises for a missing record."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        closed_for: timedelta = CLOSED_FOR,
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._new_id = new_id
        self._closed_for = closed_for
        self._told: list[Callable[[Record], None]] = []
        self._touched: list[Callable[[InstanceId, datetime], None]] = []

    @property
    def turns(self) -> int:
        """How often this store was turned to another server."""
        return self._wire.turns

    def on_commit(self, told: Callable[[Record], None]) -> None:
        """Calls `told` with every record that is committed here, before `commit` returns it."""
        self._told.append(told)

    def on_touch(self, touched: Callable[[InstanceId, datetime], None]) -> None:
        """Calls `touched` with the latest heartbeat that each `touch` here finds."""
        self._touched.append(touched)

    async def load(self, instance: InstanceId) -> Record | None:
        return next(iter(await self.load_many((instance,))), None)

    async def load_many(self, instances: Iterable[InstanceId]) -> list[Record]:
        """Those of them that exist, in the order asked for."""
        wanted = list(instances)
        found: list[Record] = []
        for start in range(0, len(wanted), BATCH):
            keys = [self._keys.record(instance) for instance in wanted[start : start + BATCH]]
            for document, revision, sequence in await self._wire.table(LOAD, keys, _FIELDS):
                if document and revision and sequence:
                    found.append(record_of(document, revision, sequence))
        return found

    async def living(self) -> list[InstanceId]:
        """All that are not closed: whatever may have a machine."""
        return sorted(InstanceId(member.decode()) for member in await self._wire.members(self._keys.living()))

    async def all_ids(self) -> list[InstanceId]:
        """Living ones and those closed; of the latter some may have expired."""
        closed = await self._wire.zrange(self._keys.closed(), 0, -1)
        return sorted({*await self.living(), *(InstanceId(member.decode()) for member in closed)})

    async def id_of_name(self, name: str) -> InstanceId | None:
        """The living record of this name, else the one closed last."""
        living, closed = await self._wire.mget((self._keys.name(name), self._keys.closed_name(name)))
        found = living or closed
        return InstanceId(found.decode()) if found else None

    async def id_of_machine(self, machine: CloudId) -> InstanceId | None:
        found = await self._wire.get(self._keys.machine(machine))
        return InstanceId(found.decode()) if found else None

    async def find(self, text: str) -> Record | None:
        """What a caller means by `text`: our id, else the cloud's id, else a name."""
        keys = self._keys
        named = (keys.machine(CloudId(text)), keys.name(text), keys.closed_name(text))
        record = await self.load(InstanceId(text))
        found = None if record else next((found for found in await self._wire.mget(named) if found), None)
        return await self.load(InstanceId(found.decode())) if found else record

    async def last_sequence(self) -> int:
        """The sequence of the last event of all, 0 before the first."""
        return int(await self._wire.get(self._keys.sequence()) or 0)

    async def commit(self, change: Change) -> Record:
        """As stored. Raises a `Lost` (`Stale`, `NameTaken`, `HadAlready`, `InUse`, `OverLimit`, `ClaimLost`), nothing
        written.
        """
        keys, words = self._commit_words(change, change.id or self._new_id())
        verdict, *facts = await self._wire.verdict(COMMIT, keys, words)
        if verdict != b"done":
            raise _refusal(verdict, facts, change)
        record = replace(change.after, revision=int(facts[0]), sequence=int(facts[1]))
        for told in self._told:
            told(record)
        return record

    async def update(self, instance: InstanceId, change_of: Callable[[Record], Change | None]) -> Record | None:
        """Commits what `change_of` makes of the present record, again on the newer one when it was `Stale`.

        For facts that must not be thrown away. None: there is no such record. When `change_of` has nothing to
        change, the record as it is. Raises `Stale` after 20 lost races, else what `commit` raises.
        """
        for _ in range(TRIES):
            record = await self.load(instance)
            change = record and change_of(record)
            if not change:
                return record
            try:
                return await self.commit(change)
            except Stale:
                continue
        raise Stale(f"{instance} moved on {TRIES} times while it was being changed")

    async def touch(self, instance: InstanceId, at: datetime) -> datetime:
        """Stores a heartbeat and answers the latest known, which may be later. Raises `NotRunning`.

        Atomic with commits: what is accepted here is weighed by every stop committed later.
        """
        keys = self._keys
        names = (keys.record(instance), keys.activity(instance), keys.feed(), keys.feed_number())
        latest = await self._wire.value(TOUCH, names, (instance, micros(at), FEED_CAP))
        if latest is None:
            raise NotRunning(f"{instance} takes no heartbeats")
        for touched in self._touched:
            touched(instance, instant(latest))
        return instant(latest)

    async def activity(self, instance: InstanceId) -> datetime | None:
        """The last heartbeat."""
        return (await self.activities((instance,))).get(instance)

    async def activities(self, instances: Sequence[InstanceId]) -> dict[InstanceId, datetime]:
        """The last heartbeat of each that had one."""
        known: dict[InstanceId, datetime] = {}
        for start in range(0, len(instances), BATCH):
            batch = instances[start : start + BATCH]
            stored = await self._wire.mget([self._keys.activity(instance) for instance in batch])
            known.update((instance, instant(at)) for instance, at in zip(batch, stored, strict=True) if at)
        return known

    def _commit_words(self, change: Change, commit: str) -> tuple[list[str], list[Word]]:
        before, after, keys = change.before, change.after, self._keys
        if before and before.id != after.id:
            raise ValueError("a change is of one record")
        machine = after.machine and after.machine.id
        had_machine = before and before.machine and before.machine.id
        fixed = [
            *(keys.record(after.id), keys.activity(after.id), keys.timeline(after.id), keys.closed_name(after.name)),
            *(keys.claim(change.claim.key if change.claim else ""), keys.sequence(), keys.events(), keys.living()),
            *(
                keys.closed(),
                keys.feed(),
                keys.feed_number(),
                keys.receivers(),
                keys.deliveries(),
                keys.delivery_number(),
            ),
            *(keys.name(after.name), keys.name(before.name if before else after.name)),
            *(keys.machine(machine or CloudId("")), keys.machine(had_machine or CloudId(""))),
            *(keys.reserved(), keys.counts(), keys.rests(), keys.owned(after.owner.key if after.owner else "")),
        ]
        words: list[Word] = [
            *(commit, before.revision if before else 0, after.id, record_document(after)),
            int(takes_heartbeats(after)),
            micros(after.deleted_at) if after.deleted_at else "",
            millis(self._closed_for),
            _weighed(change),
            change.claim.token if change.claim else "",
            encode(change.answer) if change.answer else b"",
            *(millis(ANSWERED_FOR), FEED_CAP, int(bool(machine)), int(bool(had_machine))),
            *(len(change.events), len(change.deliveries)),
            *(reserved(after), *_limits(change)),
            " ".join(f"{what}={by}" for what, by in change.counts.items()),
            *(change.after.revision, change.after.sequence),
            *(int(after.owner is not None), *_limits_of_owner(change)),
            *(encode(replace(event, sequence=0)) for event in change.events),
        ]
        for delivery in change.deliveries:
            words += _delivery_words(delivery, change)
        types = (keys.type(event.type) for event in change.events)
        return [*fixed, *types, *keys.of_deliveries(change.deliveries)], words


def takes_heartbeats(record: Record) -> bool:
    """It is meant to run. Once a stop, a failure or a delete is stored, a heartbeat is refused."""
    return record.wants is Wish.RUNNING and not record.failure and not record.deleted_at


def _weighed(change: Change) -> Word:
    if not change.guards_activity:
        return ""
    return micros(change.weighed_activity) if change.weighed_activity else -1


def _limits(change: Change) -> tuple[Word, Word]:
    limits = change.limits
    if limits is None:
        return "", ""
    return _or_none(limits.max_instances), _or_none(limits.max_burn)


def _limits_of_owner(change: Change) -> tuple[Word, Word]:
    """They hold wherever the operator's do."""
    owner = change.after.owner
    if change.limits is None or owner is None:
        return "", ""
    return _or_none(owner.limits.max_instances), _or_none(owner.limits.max_burn)


def _or_none(limit: int | None) -> Word:
    return "" if limit is None else limit


def _delivery_words(delivery: Delivery, change: Change) -> list[Word]:
    ids = [event.id for event in change.events]
    place = ids.index(delivery.event_id) + 1 if delivery.event_id in ids else 0
    return [delivery.id, delivery_document(delivery), place, delivery.sequence, micros(delivery.due), delivery.host]


def _refusal(verdict: bytes, facts: Sequence[bytes], change: Change) -> StoreError:
    record = change.after
    if verdict == b"name":
        return NameTaken(record.name, InstanceId(facts[0].decode()))
    if verdict == b"machine" and record.machine:
        return HadAlready(record.machine.id, InstanceId(facts[0].decode()))
    if verdict == b"used":
        return InUse(f"{record.id} was used after the stop was decided")
    if verdict == b"limit" and change.limits:
        there = Reserved(instances=int(facts[0]), rate=int(facts[1]))
        return OverLimit(change.limits, there, reserved(record))
    if verdict == b"owner-limit" and record.owner:
        there = Reserved(instances=int(facts[0]), rate=int(facts[1]))
        return OverLimit(limits_of(record.owner), there, reserved(record), record.owner.name)
    if verdict == b"claim":
        return ClaimLost(f"the claim for {record.id} is no longer ours")
    known = change.before.revision if change.before else 0
    return Stale(f"{record.id} is at revision {facts[0].decode()}, not {known}")
