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
    rate = rate_of(record, seen.status)
    if rate == record.bill.rate:
        return record.bill
    at, unsure = _changed(record, seen, rate, _not_before(record, seen, previous_at))
    return turned(record.bill, rate, at, unsure)


def rate_of(record: Record, status: str) -> Rate:
    """What its machine bills in that status of the cloud's."""
    before = record.bill.rate
    if status in GOING_STATUSES:
        return FREE
    if status in UNBILLED_STATUSES:
        return Rate(disk=before.disk)
    if status not in BILLED_STATUSES:
        return before
    return full_rate(record)


def full_rate(record: Record) -> Rate:
    """What its machine bills while it runs."""
    price = record.machine.offer.units_per_hour if record.machine else 0
    return Rate(compute=compute_rate(price), disk=disk_rate(record.spec.rootfs_size_gb))


def _not_before(record: Record, seen: Seen, previous_at: datetime | None) -> datetime:
    """The last time at which it was known to be as before."""
    known = record.seen.at if record.seen else max((a.intent_at for a in record.attempts), default=seen.at)
    return max(known, previous_at) if previous_at and previous_at < seen.at else min(known, seen.at)


def _changed(record: Record, seen: Seen, rate: Rate, not_before: datetime) -> tuple[datetime, timedelta]:
    """When, and by how much that may be wrong: the cloud's own time, or when it was seen."""
    if seen.status in GOING_STATUSES:
        return _removed(record, seen, not_before)
    if seen.status == EXITED_STATUS and (at := _told(seen.last_stopped_at, seen, not_before)):
        return at, SECOND
    if seen.status == RUNNING_STATUS and rate.compute and (at := _told(seen.last_started_at, seen, not_before)):
        return at, max(SECOND, at - not_before)  # it may have pulled before that, unseen
    return seen.at, seen.at - not_before


def _told(at: datetime | None, seen: Seen, not_before: datetime) -> datetime | None:
    """The cloud's time, unless it is that of an earlier run."""
    return at if at and not_before - SECOND <= at <= seen.at else None


def _removed(record: Record, seen: Seen, not_before: datetime) -> tuple[datetime, timedelta]:
    """Between the sending of our delete and its answer, else between two looks."""
    sent = record.mutation
    if sent is None or sent.kind is not MutationKind.DELETE or sent.refused:
        return seen.at, seen.at - not_before
    first = max(not_before, sent.at)
    at = max(first, min(seen.at, sent.answered_at or seen.at))
    return at, at - first
