"""What the cloud bills for a machine in each of its statuses, and from when on, as far as looks can tell.

Documented: compute from `pulling` until it is stopped, to the second; disk beyond its free part also while stopped.
Inferred: nothing between a wish to start and `pulling` or `running`. What no page tells of (`migrating`, `freezing`,
`pending`, words not known) bills as the status before it did.
"""

from datetime import datetime, timedelta

from novita_gpu.domain.bill import FREE, Bill, Rate, turned
from novita_gpu.domain.instance import (
    EXITED_STATUS,
    GOING_STATUSES,
    RUNNING_STATUS,
    MutationKind,
    Record,
    Seen,
)
from novita_gpu.domain.money import compute_rate, disk_rate

BILLED_STATUSES = frozenset(
    {"pulling", "running", "toStop", "stopping", "toRestart", "restarting", "toReset", "resetting"}
)
UNBILLED_STATUSES = frozenset({"toCreate", "creating", "exited", "toStart", "starting"})
# The cloud's times are whole seconds.
SECOND = timedelta(seconds=1)


def metered(record: Record, seen: Seen, previous_at: datetime | None) -> Bill:
    """The bill after a look that shows this. `previous_at`: begin of the look before it, where that is known."""
    rate, bill = rate_of(record, seen.status), record.bill
    not_before = _not_before(record, seen, previous_at)
    if seen.status in GOING_STATUSES and bill.since is None and not _has_billed(record):
        return _unseen(record, seen, not_before)
    if rate == bill.rate:
        return bill
    at, unsure = _changed(record, seen, rate, not_before)
    return turned(bill, rate, at, unsure)


def _has_billed(record: Record) -> bool:
    """Of its present machine something is in the bill, or nothing can be."""
    began = _intent_at(record)
    if record.machine is None or record.machine.ran or began is None:
        return True
    return any(charge.until > began for charge in record.bill.charges)


def _unseen(record: Record, seen: Seen, not_before: datetime) -> Bill:
    """It went before a look showed it billing. All of its life is charged, and all of that is in doubt."""
    began = _intent_at(record)
    at, _ = _removed(record, seen, not_before)
    if began is None or at <= began:
        return record.bill
    opened = turned(record.bill, full_rate(record), began, at - began)
    return turned(opened, FREE, at, timedelta(0))


def _intent_at(record: Record) -> datetime | None:
    machine = record.machine
    return next((a.intent_at for a in record.attempts if machine and a.number == machine.attempt), None)


def rate_of(record: Record, status: str) -> Rate:
    """What its machine bills in that status of the cloud's."""
    before = record.bill.rate
    if status in GOING_STATUSES:
        return FREE
    if status in UNBILLED_STATUSES:
        return Rate(disk=full_rate(record).disk if record.machine and record.machine.ran else before.disk)
    if status not in BILLED_STATUSES:
        return before
    return full_rate(record)


def full_rate(record: Record) -> Rate:
    """What its machine bills while it runs."""
    price = record.machine.offer.units_per_hour if record.machine else 0
    return Rate(compute=compute_rate(price), disk=disk_rate(record.spec.rootfs_size_gb))


def _not_before(record: Record, seen: Seen, previous_at: datetime | None) -> datetime:
    """The last time at which it was known to be as before. A listing from before its first sighting says nothing."""
    if record.seen is None:
        return min(_intent_at(record) or seen.at, seen.at)
    known = record.seen.at
    return max(known, previous_at) if previous_at and previous_at < seen.at else min(known, seen.at)


def _changed(record: Record, seen: Seen, rate: Rate, not_before: datetime) -> tuple[datetime, timedelta]:
    """When, and by how much that may be wrong: the cloud's own time, or when it was seen."""
    before = record.seen
    if seen.status in GOING_STATUSES:
        return _removed(record, seen, not_before)
    if seen.status == EXITED_STATUS:
        at = _told(seen.last_stopped_at, seen, record.bill.since or not_before, before and before.last_stopped_at)
        return (at, SECOND) if at else (seen.at, seen.at - not_before)
    if seen.status == RUNNING_STATUS and rate.compute:
        at = _told(seen.last_started_at, seen, _down_since(record, not_before), before and before.last_started_at)
        if at:
            return at, max(SECOND, abs(at - not_before))  # it may have pulled before that, unseen
    return seen.at, seen.at - not_before


def _down_since(record: Record, default: datetime) -> datetime:
    """The end of the last stretch that billed compute, or the intent of its machine."""
    times = [charge.until for charge in record.bill.charges[-1:] if charge.rate.compute]
    began = _intent_at(record)
    if began:
        times.append(began)
    return max(times, default=default)


def _told(at: datetime | None, seen: Seen, floor: datetime, before: datetime | None) -> datetime | None:
    """The cloud's time, unless it is that of an earlier run: told before, or from before this could begin."""
    return at if at and at != before and floor - SECOND <= at <= seen.at else None


def _removed(record: Record, seen: Seen, not_before: datetime) -> tuple[datetime, timedelta]:
    """Between the sending of our delete and its answer, else between two looks. A repeated one tells no begin."""
    sent = record.mutation
    if sent is None or sent.kind is not MutationKind.DELETE or sent.refused:
        return seen.at, seen.at - not_before
    first = max(not_before, sent.at) if sent.tries == 1 else not_before
    at = max(first, min(seen.at, sent.answered_at or seen.at))
    return at, at - first
