"""What the last listings say of the cloud's machines, shared by all who decide, so that one look answers for all."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from msgspec.structs import replace

from novita_gpu.domain.instance import CloudId, Record
from novita_gpu.domain.look import Look, Row, SweepMark
from novita_gpu.domain.orphans import bears
from novita_gpu.store.keys import Keys
from novita_gpu.store.stored import encode, instant, mark_of, micros, row_of
from novita_gpu.store.wire import Script, Wire, Word

PUBLISH = Script("publish")
LOOK = Script("look")


class Looks:
    """The last listing. Every call may raise `Unavailable`."""

    def __init__(self, wire: Wire, keys: Keys, new_name: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._wire, self._new_name = wire, new_name
        self._keys = (keys.rows(), keys.markers(), keys.mark())
        self._published: Mapping[CloudId, Row] = {}
        self._generation = ""  # names what was published last here; "" when that is not all that is known

    async def publish(self, rows: Sequence[Row], mark: SweepMark) -> bool:
        """Makes a listing what is known, at once for all readers. False: a later one is known already.

        Each row's `seen.at` is the begin of the listing. A complete listing replaces all; any other only
        updates the rows it has. Writes what changed, or all when somebody else has published in between.
        """
        seen, name = {row.id: row for row in rows}, self._new_name()
        if self._generation and await self._write(seen, mark, self._generation, name):
            self._remember({**({} if mark.complete else self._published), **seen}, name)
            return True
        is_known = await self._write(seen, mark, "", name)
        self._remember(seen, name if is_known and mark.complete else "")
        return is_known

    def _remember(self, rows: Mapping[CloudId, Row], name: str) -> None:
        self._published, self._generation = rows if name else {}, name

    async def _write(self, seen: Mapping[CloudId, Row], mark: SweepMark, known: str, name: str) -> bool:
        before: Mapping[CloudId, Row] = self._published if known else {}
        written = [row for row in seen.values() if not mark.complete or _changed(before.get(row.id), row)]
        gone = [row for row in before.values() if row.id not in seen] if mark.complete else []
        marked = {member for row in written for member in _markers(row)}
        replaced = (before[row.id] for row in written if row.id in before)
        unmarked = {member for row in (*gone, *replaced) for member in _markers(row)} - marked
        words: list[Word] = [known, int(mark.complete), micros(mark.began_at), encode(mark), name]
        words += [len(written), len(gone), len(marked), len(unmarked)]
        for row in written:
            words += [row.id, encode(row)]
        words += [*(row.id for row in gone), *unmarked, *marked]
        return bool(await self._wire.number(PUBLISH, self._keys, words))

    async def mark(self) -> SweepMark | None:
        """The mark of the last listing; None before the first."""
        document = (await self._wire.hmget(self._keys[2], "mark"))[0]
        return mark_of(document) if document else None

    async def look(self, record: Record) -> Look | None:
        """What is known of one instance, in one round trip; None before the first listing."""
        machine = record.machine.id if record.machine else ""
        markers = [attempt.marker for attempt in record.attempts if attempt.marker]
        answer = await self._wire.table(LOOK, self._keys, (machine, *markers))
        (document, complete_at), own, marked = answer
        if not document:
            return None
        mark = mark_of(document)
        row = _row(own[0], complete_at) if own and own[0] else None
        bearing = (_row(found, complete_at) for found in marked if found)
        return Look(
            began_at=row.seen.at if row else mark.began_at,
            complete=mark.complete and mark.trusted,
            row=row,
            marked=tuple(found for found in bearing if found.marker in markers and bears(found, found.marker)),
            previous_at=mark.previous_at,
        )

    async def rows(self) -> list[Row]:
        """All machines that are known, in the order of their ids."""
        complete_at = (await self._wire.hmget(self._keys[2], "complete_at"))[0]
        stored = await self._wire.hgetall(self._keys[0])
        return [_row(stored[machine], complete_at) for machine in sorted(stored)]


def _markers(row: Row) -> tuple[str, ...]:
    return (f"{row.marker} {row.id}",) if row.marker else ()


def _changed(before: Row | None, now: Row) -> bool:
    return before is None or replace(now, seen=replace(now.seen, at=before.seen.at)) != before


def _row(document: bytes, complete_at: bytes | None) -> Row:
    """The row with the time of the last look that saw it: a row that did not change was not written again."""
    row = row_of(document)
    floor: datetime | None = instant(complete_at) if complete_at else None
    return replace(row, seen=replace(row.seen, at=floor)) if floor and floor > row.seen.at else row
