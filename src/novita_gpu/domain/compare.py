"""What one listing says of each record: looks, news, and what became of it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace

from novita_gpu.domain.case import Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.instance import GOING_STATUSES, CloudId, Record, Wish, is_moving
from novita_gpu.domain.learn import YOUNG, counts, learn
from novita_gpu.domain.look import Look, Row
from novita_gpu.domain.orphans import Orphans, Standing, bears, held_back, standing
from novita_gpu.domain.steps import Adopt, Change
from novita_gpu.domain.value import Value


class Listed(Value, frozen=True, kw_only=True):
    """A listing to be asked about records. `whole`: it is complete and believed, so absence in it tells something."""

    began_at: datetime
    whole: bool
    by_id: Mapping[CloudId, Row]
    by_marker: Mapping[str, tuple[Row, ...]]

    def look(self, record: Record) -> Look:
        return Look(
            began_at=self.began_at,
            complete=self.whole,
            row=self.by_id.get(record.machine.id) if record.machine else None,
            marked=tuple(row for a in record.attempts for row in self.by_marker.get(a.marker, ())),
        )


def listed(rows: Iterable[Row], began_at: datetime, *, whole: bool) -> Listed:
    known = list(rows)
    marked: dict[str, tuple[Row, ...]] = {}
    for row in known:
        if row.marker and bears(row, row.marker):
            marked[row.marker] = (*marked.get(row.marker, ()), row)
    return Listed(began_at=began_at, whole=whole, by_id={row.id: row for row in known}, by_marker=marked)


class Finding(StrEnum):
    """What a comparison finds about one record. `REMOVES`: by the rule for orphans."""

    ADOPTED = "adopted"
    UPDATED = "updated"
    CLOSED = "closed"
    MISSING = "missing"
    REMOVES = "removes"


def finding(record: Record, look: Look, now: datetime, policy: Policy, orphans: Orphans) -> Finding | None:
    """None: nothing new. What the passes will do about it, told by the functions that they use themselves."""
    learned = learn(record, look, policy.settle).record
    step = decide(learned, look, now, policy, orphans=orphans)
    if isinstance(step, Change) and step.orphan:
        return Finding.REMOVES
    if record.machine and learned.machine is None:
        return Finding.CLOSED
    if isinstance(step, Adopt):
        return Finding.ADOPTED
    if is_missing(learned, look):
        return Finding.MISSING
    seen = replace(learned.seen, at=record.seen.at) if learned.seen and record.seen else learned.seen
    return None if replace(learned, seen=seen) == record else Finding.UPDATED


def is_missing(record: Record, look: Look) -> bool:
    """Its machine is not listed, though it should be by now; a get and a later listing tell whether it is gone."""
    if record.machine is None or look.row or not look.complete or not counts(record, look):
        return False
    return look.began_at - record.machine.adopted_at >= YOUNG


def is_news(record: Record, look: Look, now: datetime, policy: Policy, orphans: Orphans) -> bool:
    """The listing tells something new about it, so that a pass is due."""
    if any(_concerns(record, row, now, policy, orphans) for row in look.marked):
        return True
    if look.complete and (record.open_attempt or _waits_to_be_closed(record)):
        return True
    if record.machine is None:
        return False
    if look.row is None:
        return look.complete
    if record.seen is None or replace(look.row.seen, at=record.seen.at) != record.seen:
        return True
    since = record.looks_count_from
    # The first look that counts since a mutation tells something even in the same words: a restart is over.
    return is_moving(record) and since is not None and record.seen.at < since <= look.began_at


def _waits_to_be_closed(record: Record) -> bool:
    """Nothing is left of it but perhaps a late machine, and a listing without that is what it waits for."""
    return record.wants is Wish.DELETED and record.machine is None and record.deleted_at is None


def _concerns(record: Record, row: Row, now: datetime, policy: Policy, orphans: Orphans) -> bool:
    """One to adopt, a twin, or an orphan that is to be removed now."""
    match standing(record, row):
        case None | Standing.OWN | Standing.FORMER:
            return False
        case Standing.ORPHAN:
            return held_back(row, orphans, policy.orphans, now) is None
        case Standing.AWAITED:
            return True
        case _:
            return row.seen.status not in GOING_STATUSES
