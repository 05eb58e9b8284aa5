"""Whose a machine is by its marker, and when one that nobody has may be removed. Pure."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from novita_gpu.domain.instance import GOING_STATUSES, Attempt, AttemptState, CloudId, InstanceId, Offer, Record
from novita_gpu.domain.look import Row
from novita_gpu.domain.value import Value

# Removed by the rule for orphans in `REMOVALS_WITHIN` at most: what goes wrong with it goes wrong slowly.
REMOVALS = 3
REMOVALS_WITHIN = timedelta(hours=1)
# Complete listings that must have shown an orphan.
SIGHTINGS = 2
# How long a wish to remove orphans holds. Too short: a busy cloud makes it void; too long: it is no longer "now".
WISH_FOR = timedelta(minutes=10)


class Mark(Value, frozen=True, kw_only=True):
    """What a marker of ours says."""

    owner: InstanceId
    number: int


def mark_of(marker: str, deployment: str) -> Mark | None:
    """None for machines without a marker and for other deployments'."""
    found = re.fullmatch(rf"{re.escape(deployment)}/([0-9a-z]{{1,40}})/([1-9][0-9]{{0,5}})", marker)
    return Mark(owner=InstanceId(f"ins_{found[1]}"), number=int(found[2])) if found else None


def is_named_by(row: Row, marker: str) -> bool:
    """Its name ends in this marker's suffix."""
    return row.name.endswith("-" + marker.replace("/", "-"))


def bears(row: Row, marker: str) -> bool:
    """It has this marker in its environment and in its name."""
    return row.marker == marker and is_named_by(row, marker)


def is_lookalike(row: Row, deployment: str) -> bool:
    """One half of a marker of ours and not the other: a clone, or renamed by somebody. Nobody knows whose it is."""
    if mark_of(row.marker, deployment):
        return not is_named_by(row, row.marker)
    return re.search(rf"-{re.escape(deployment)}-[0-9a-z]{{1,40}}-[1-9][0-9]{{0,5}}$", row.name) is not None


class Standing(StrEnum):
    """What a machine is to a record one of whose markers it bears."""

    OWN = "own"
    AWAITED = "awaited"  # of the attempt that is open
    TWIN = "twin"  # late: of an attempt that was given up, or beside the machine that the attempt made
    FORMER = "former"  # made room for a replacement and is kept until that answers
    LEFTOVER = "leftover"  # its former machine, whose removal was wished for here
    ORPHAN = "orphan"  # its former machine, which went by itself and is back


# A record that stands so to a machine sees to it. An orphan has nobody.
CLAIMS = frozenset({Standing.OWN, Standing.FORMER, Standing.AWAITED, Standing.TWIN, Standing.LEFTOVER})


def standing(record: Record, row: Row) -> Standing | None:
    """None: the machine is none of this record's business. The row is known to bear its marker in both places."""
    attempt = next((a for a in record.attempts if a.marker and a.marker == row.marker), None)
    if attempt is None:
        return None
    if record.machine and record.machine.id == row.id:
        return Standing.OWN
    former = record.recovering and record.recovering.former
    if former and former.id == row.id and not record.deleted_at:
        return Standing.FORMER
    if attempt.state is AttemptState.OPEN:
        return Standing.AWAITED
    if attempt.state is AttemptState.RELEASED:
        return None
    if attempt.machine == row.id:
        return Standing.ORPHAN if attempt.vanished_at else Standing.LEFTOVER
    return None if attempt.state is AttemptState.TAKEN_IN else Standing.TWIN


def is_past(record: Record, row: Row) -> bool:
    """The row is of a look that began before the cloud said that this machine is gone."""
    attempt = next((a for a in record.attempts if a.machine == row.id), None)
    return attempt is not None and attempt.gone_at is not None and row.seen.at <= attempt.gone_at


class Unclaimed(Value, frozen=True, kw_only=True):
    """A machine that nobody has, on its way through listings."""

    id: CloudId
    name: str
    since: datetime  # begin of the first listing that showed it
    listings: int = 0  # complete and trusted ones that showed it, counted up to `SIGHTINGS`
    incarnation: str = ""  # of the store that has seen it since then
    lookalike: bool = False
    wanted_until: datetime | None = None  # an operator wishes it removed, until then


class Orphans(Value, frozen=True, kw_only=True):
    """All that are known, and which store it is that knows them."""

    known: tuple[Unclaimed, ...] = ()
    incarnation: str = ""

    def of(self, machine: CloudId) -> Unclaimed | None:
        return next((one for one in self.known if one.id == machine), None)


class OrphanPolicy(Value, frozen=True, kw_only=True):
    """`delete`: they are removed without being asked for."""

    delete: bool = False
    grace: timedelta = timedelta(minutes=30)


def held_back(row: Row, orphans: Orphans, policy: OrphanPolicy, now: datetime) -> str | None:
    """Why an orphan whose closed record exists is not removed now; None if it may be."""
    known = orphans.of(row.id)
    if known is None or known.listings < SIGHTINGS:
        return f"it was not seen in {SIGHTINGS} complete listings yet"
    if not known.incarnation or known.incarnation != orphans.incarnation:
        return "the store is not the one that saw it first"
    if now < max(known.since, row.created_at or known.since) + policy.grace:
        return f"it is younger than {policy.grace.total_seconds() / 60:g} minutes"
    wanted = policy.delete or (known.wanted_until is not None and now < known.wanted_until)
    return None if wanted else "orphans are reported only"


def unclaimed(rows: Iterable[Row], records: Iterable[Record], deployment: str) -> Iterator[tuple[Row, bool]]:
    """Machines with a marker of ours that no living record has and no record sees to; True: lookalikes."""
    known = list(records)
    had = {r.machine.id for r in known if r.machine and not r.deleted_at}
    bearers: defaultdict[str, list[Record]] = defaultdict(list)
    for record in known:
        for attempt in record.attempts:
            bearers[attempt.marker].append(record)
    for row in rows:
        if row.id in had or row.seen.status in GOING_STATUSES:
            continue
        if is_lookalike(row, deployment):
            yield row, True
        elif mark_of(row.marker, deployment) and not any(standing(r, row) in CLAIMS for r in bearers[row.marker]):
            yield row, False


def sighted(
    before: Orphans, found: Iterable[tuple[Row, bool]], listed: Collection[CloudId], began_at: datetime, *, whole: bool
) -> Orphans:
    """What is known after a listing. `whole`: it is complete and believed; only such a one forgets what it lacks.

    What another incarnation of the store saw is seen for the first time.
    """
    after = [_seen(before, row, began_at, lookalike=lookalike, whole=whole) for row, lookalike in found]
    kept = () if whole else tuple(one for one in before.known if one.id not in listed)
    return replace(before, known=(*kept, *after))


def _seen(before: Orphans, row: Row, began_at: datetime, *, lookalike: bool, whole: bool) -> Unclaimed:
    known = before.of(row.id)
    if known is None or known.incarnation != before.incarnation or known.lookalike != lookalike:
        known = Unclaimed(id=row.id, name=row.name, since=began_at, incarnation=before.incarnation, lookalike=lookalike)
    return replace(known, listings=min(known.listings + whole, SIGHTINGS))


def released(record: Record, row: Row, number: int, offer: Offer, at: datetime) -> Record:
    """The record once this machine, which bears its marker with that number, is another record's."""
    attempt = next((a for a in record.attempts if a.number == number), None)
    if attempt is None:
        attempt = Attempt(number=number, marker=row.marker, offer=offer, intent_at=at, deadline=at, machine=row.id)
    elif standing(record, row) is None:
        return record
    return record.with_attempt(replace(attempt, state=AttemptState.RELEASED))
