"""Machines that were taken: what an exit that nobody here asked for means, and when and how one is brought back. Pure.

The cloud's spot fields are unreliable, so the wish decides: a spot machine that was meant to run is brought back even
without signs, unless its own work ended.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from novita_gpu.domain.instance import Machine, Record, Recovering, Run, RunKind, Seen, Wish
from novita_gpu.domain.look import MigrationJob
from novita_gpu.domain.spec import BillingMode
from novita_gpu.domain.value import Value

# How long after the loss a saving that is under way is waited for.
IMAGE_WITHIN = timedelta(minutes=10)
# The cloud promises a spot machine so long before it may be taken (documented).
GUARANTEED = timedelta(hours=1)
# Recoveries are counted within this.
DAY = timedelta(days=1)
# How long the taking of one machine makes its siblings suspect.
ALARMED_FOR = timedelta(minutes=5)
# The most that the pause between two is doubled.
DOUBLINGS = 6
# What the cloud says of a spot machine that it takes or has taken.
TAKEN_WORDS = frozenset({"notified", "reclaiming", "terminated"})


class RecoveryPolicy(Value, frozen=True, kw_only=True):
    """The operator's. `pause`: between the first and the second recovery of a day; each further one is doubled."""

    pause: timedelta = timedelta(minutes=30)


class Exit(Value, frozen=True, kw_only=True):
    """What an exit that nobody here asked for was. `waits`: a migration is under way, which will tell."""

    kind: Literal["lost", "ended", "waits"]
    reason: str


def is_announced(seen: Seen) -> bool:
    """The cloud says that it takes it, or has taken it."""
    return seen.spot_status in TAKEN_WORDS or seen.spot_reclaim_at is not None


def exit_of(record: Record, at: datetime, job: MigrationJob | None) -> Exit:
    """Of a machine that ran and was meant to run on."""
    seen, running_at = record.seen, record.run.running_at
    assert seen
    if job and job.is_under_way:
        return Exit(kind="waits", reason="it is being migrated")
    if job and job.has_failed:
        return Exit(kind="lost", reason=f"its migration failed: {job.error or job.state}")
    unasked = "it exited in the cloud without being asked to"
    if seen.error_state:
        return Exit(kind="ended", reason=f"{unasked}: {seen.error_state} {seen.error_message}".rstrip())
    if record.machine is None or record.machine.offer.billing_mode is not BillingMode.SPOT:
        return Exit(kind="ended", reason=unasked)
    if is_announced(seen):
        return Exit(kind="lost", reason="the cloud took its spot machine")
    if running_at and at < running_at + GUARANTEED:
        return Exit(kind="ended", reason=f"{unasked}, within the hour in which no spot machine is taken")
    if record.recovery.when_unsure == "leave":
        return Exit(kind="ended", reason=f"{unasked}, and nothing tells that it was taken")
    return Exit(kind="lost", reason="its spot machine exited unasked; it is taken for reclaimed")


def lost(record: Record, at: datetime, reason: str) -> Record:
    """The record once its machine was taken: a run that waits to be begun, so nothing judges it by the last one."""
    assert record.recovery.on_reclaim != "none"
    before = record.recovering
    if before and before.former:  # its replacement was lost before it answered
        return replace(lost_again(record, at), reason=reason)
    recovering = Recovering(lost_at=at, reason=reason, by=record.recovery.on_reclaim)
    return replace(_waits(record, recovering, at), reason=reason)


def lost_again(record: Record, at: datetime) -> Record:
    """The record once a replacement was lost: a further recovery is needed, and the first machine is kept."""
    assert record.recovering
    return _waits(record, replace(record.recovering, by="recreate", begun_at=None), at)


def _waits(record: Record, recovering: Recovering, at: datetime) -> Record:
    run = Run(kind=RunKind.RECOVERY, asked_at=at)
    return replace(record, recovering=recovering, run=run, ready_at=None, stopped_at=at)


def migrated_outside(record: Record, at: datetime, reason: str) -> Record:
    """Somebody else, or the cloud itself, moves a machine that is meant to run: what comes of it is ours to see to.

    Its jobs count from the run before.
    """
    recovering = Recovering(lost_at=at, reason=reason, by="migrate", begun_at=at)
    if record.recovering:  # a replacement is moved before it answered: the first machine is kept
        former, seen = record.recovering.former, record.recovering.former_seen
        recovering = replace(recovering, former=former, former_seen=seen)
    run = Run(kind=RunKind.RECOVERY, asked_at=record.run.asked_at, limit_from=at, sent_at=at, migrate=True)
    recoveries = (*of_the_day(record, at), at)
    return replace(record, recovering=recovering, recoveries=recoveries, run=run, reason=reason, ready_at=None)


def of_the_day(record: Record, now: datetime) -> tuple[datetime, ...]:
    """The begins of its recoveries within a day."""
    return tuple(at for at in record.recoveries if at <= now < at + DAY)


def eligible_at(record: Record, now: datetime, policy: RecoveryPolicy) -> datetime:
    """The first of a day at once; each further one after a pause that grows."""
    before = of_the_day(record, now)
    if not before:
        return now
    return before[-1] + policy.pause * 2 ** min(len(before) - 1, DOUBLINGS)


def begun(record: Record, by: Literal["migrate", "recreate"], now: datetime, operation: str) -> Record:
    """The record with its recovery begun, or going on another way: then it is the same one still."""
    recovering = record.recovering
    assert recovering
    is_first = recovering.begun_at is None
    record = replace(
        record,
        generation=record.generation + 1,
        operation=operation,
        run=Run(kind=RunKind.RECOVERY, asked_at=now, migrate=by == "migrate"),
        recoveries=(*of_the_day(record, now), now) if is_first else record.recoveries,
        recovering=replace(recovering, by=by, begun_at=recovering.begun_at or now),
        reason=recovering.reason,
    )
    return _set_aside(record) if by == "recreate" else record


def _set_aside(record: Record) -> Record:
    """Its machine makes room for a new one and is kept until that answers."""
    assert record.recovering
    if record.machine is None:
        return record
    aside = record.recovering
    if aside.former is None:
        aside = replace(aside, former=record.machine, former_seen=record.seen)
    return replace(record, recovering=aside, machine=None, seen=None, mutation=None, missing_at=None)


def taken_back(record: Record) -> Record:
    """Its former machine is its machine again, and its recovery is over: no new one came, and none is wanted."""
    recovering = record.recovering
    assert recovering
    return replace(
        record, machine=recovering.former, seen=recovering.former_seen, mutation=None, missing_at=None, recovering=None
    )


def without_recovery(record: Record, wish: Wish) -> Record:
    """The record once something else is wished: what was begun ends.

    A former machine whose replacement has not run stays; one that is to be deleted is deleted by its record.
    """
    recovering = record.recovering
    if recovering and recovering.former and (wish is Wish.DELETED or not (record.machine and record.machine.ran)):
        return record
    return replace(record, recovering=None)


def is_alarmed(record: Record, others: Iterable[Record], now: datetime) -> bool:
    """Another machine of the same product and cluster was taken a while ago: this one may be next."""
    own = record.machine
    if own is None or own.offer.billing_mode is not BillingMode.SPOT or record.wants is not Wish.RUNNING:
        return False
    return any(_is_sibling(own, other) and _was_taken(other, now) for other in others if other.id != record.id)


def _is_sibling(own: Machine, other: Record) -> bool:
    theirs = (other.recovering and other.recovering.former) or other.machine
    if theirs is None:
        return False
    return (theirs.offer.product_id, theirs.offer.cluster_id) == (own.offer.product_id, own.offer.cluster_id)


def _was_taken(other: Record, now: datetime) -> bool:
    return other.recovering is not None and now < other.recovering.lost_at + ALARMED_FOR


def look_every(records: Collection[Record], now: datetime, *, spot: timedelta, moving: timedelta) -> timedelta | None:
    """How often the cloud is looked at for the sake of spot machines; None: no spot machine is meant to run."""
    running = [record for record in records if is_meant_as_spot(record)]
    if not running:
        return None
    doomed = any(r.seen and is_announced(r.seen) and not r.recovering for r in running)
    return min(spot, moving) if doomed or any(is_alarmed(r, records, now) for r in running) else spot


def is_dearer(record: Record) -> bool:
    """It bills on demand though it was asked for as spot."""
    machine = record.machine
    is_on_demand = machine is not None and machine.offer.billing_mode is BillingMode.ON_DEMAND
    return is_on_demand and record.spec.billing_mode is BillingMode.SPOT and record.bill.rate.compute > 0


def spot_price(record: Record) -> int | None:
    """1/100000 USD per hour of the last spot offer that was tried."""
    prices = [a.offer.units_per_hour for a in record.attempts if a.offer.billing_mode is BillingMode.SPOT]
    return prices[-1] if prices else None


def is_meant_as_spot(record: Record) -> bool:
    """Its spot machine is meant to run."""
    is_spot = record.machine is not None and record.machine.offer.billing_mode is BillingMode.SPOT
    return is_spot and record.wants is Wish.RUNNING and not record.failure and not record.deleted_at
