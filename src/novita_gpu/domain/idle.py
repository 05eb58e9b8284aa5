"""When an instance's own policy stops it, when that is told of, and when its GPU use is read for it.

Only times of this run count, so a machine that comes up is never judged by the run before.
"""

from datetime import datetime, timedelta
from typing import Literal

from novita_gpu.domain.activity import Heard, State, verdict
from novita_gpu.domain.gpu import quiet_since
from novita_gpu.domain.instance import Record, Wish
from novita_gpu.domain.spec import Activity
from novita_gpu.domain.value import Value

# GPU use is read at most this often, and at least this often, so that what was read has no hole in it.
READ_EVERY = timedelta(minutes=2)
READ_AT_LEAST = timedelta(minutes=90)
# A machine that is to be deleted because it is stopped is told of so long before.
DISCARD_NOTICE = timedelta(days=1)

Rule = Literal["idle", "lifetime"]
Action = Literal["measure", "warn", "stop"]

_WORDS = {
    Activity.HEARTBEAT: "no heartbeat",
    Activity.GPU: "no use of its GPU",
    Activity.ANY: "neither a heartbeat nor use of its GPU",
}


class IdlePolicy(Value, frozen=True, kw_only=True):
    """The operator's. `on`: idleness stops anything at all. `warn`: how long before it is told of."""

    on: bool = True
    warn: timedelta = timedelta(minutes=2)
    discard: timedelta | None = None  # what is stopped for so long is deleted


class StopDue(Value, frozen=True, kw_only=True):
    """When the machine is to be stopped, by what rule, after what span of it, and why."""

    at: datetime
    rule: Rule
    span: timedelta
    reason: str


DEFAULT = IdlePolicy()


def stop_due(record: Record, heard: Heard, policy: IdlePolicy = DEFAULT) -> StopDue | None:
    """The earliest time at which its own policy stops it, seen from now; None while no rule can.

    Under a policy that looks at the GPU it is when what is known so far would have to be enough.
    """
    return next(iter(_dues(record, heard, policy)), None)


def acting_due(record: Record, heard: Heard, now: datetime, policy: IdlePolicy = DEFAULT) -> StopDue | None:
    """The one that is told of or stops it now. Idleness that is not known keeps no lifetime from ending it."""
    return next((due for due in _dues(record, heard, policy) if _acts(record, due, heard, now, policy)), None)


def _dues(record: Record, heard: Heard, policy: IdlePolicy) -> list[StopDue]:
    return sorted((due for due in (idle_due(record, heard, policy), _lifetime(record)) if due), key=lambda due: due.at)


def _acts(record: Record, due: StopDue, heard: Heard, now: datetime, policy: IdlePolicy) -> bool:
    """It is near, and a lifetime, or idleness on evidence."""
    if now < told_at(due, policy.warn):
        return False
    return due.rule == "lifetime" or verdict(record, heard, max(now, due.at)) is State.IDLE


def idle_due(record: Record, heard: Heard, policy: IdlePolicy = DEFAULT) -> StopDue | None:
    """When idleness does, though its lifetime may be over before."""
    own = record.auto_stop
    since = idle_since(record, heard)
    if not policy.on or not own.enabled or not _may_be_stopped(record) or since is None:
        return None
    at = max(since + own.idle, own.pinned_until or since)
    return StopDue(at=at, rule="idle", span=own.idle, reason=f"{_WORDS[own.activity]} for {minutes(own.idle)}")


def idle_since(record: Record, heard: Heard) -> datetime | None:
    """The latest sign of life of this run that its policy looks at. None while it is not ready."""
    ready = record.run.ready_at
    if ready is None:
        return None
    by_heartbeat, by_gpu = heard.used_at(ready), quiet_since(record.run.gpu, ready)
    match record.auto_stop.activity:
        case Activity.HEARTBEAT:
            return by_heartbeat
        case Activity.GPU:
            return by_gpu
        case Activity.ANY:
            return max(by_heartbeat, by_gpu)


def _lifetime(record: Record) -> StopDue | None:
    limit = record.auto_stop.max_lifetime
    if limit is None or record.run.running_at is None or not _may_be_stopped(record):
        return None
    reason = f"ran for its lifetime of {minutes(limit)}"
    return StopDue(at=record.run.running_at + limit, rule="lifetime", span=limit, reason=reason)


def _may_be_stopped(record: Record) -> bool:
    return record.wants is Wish.RUNNING and not record.failure


def due_now(record: Record, heard: Heard, now: datetime, policy: IdlePolicy = DEFAULT) -> Action | None:
    """What its own policy has to do now: GPU use is read first where it counts; a stop that is near is told of; then
    it is stopped. What could not be read stops nothing, but a lifetime needs no evidence.
    """
    due, reading_at = acting_due(record, heard, now, policy), reading_due(record, heard, policy)
    if reading_at and now >= reading_at:
        return "measure"
    if due is None:
        return None
    warned = record.run.warned
    if warned is None or warned.due != due.at:
        return "warn"
    if now < warned.stops_at or (due.rule == "idle" and not _is_read_since(record, warned.stops_at)):
        return None  # the next reading tells
    return "stop"


def _is_read_since(record: Record, at: datetime) -> bool:
    """A stop follows a reading of that moment: what an older one does not show may be work that has begun since."""
    if record.auto_stop.activity is Activity.HEARTBEAT:
        return True
    return record.run.gpu is not None and record.run.gpu.read_at >= at


def notice(due: StopDue, warn: timedelta) -> timedelta:
    """How long before it is told of: not all of a short span."""
    return min(warn, due.span / 2)


def told_at(due: StopDue, warn: timedelta) -> datetime:
    return due.at - notice(due, warn)


def stops_at(record: Record, due: StopDue) -> datetime:
    """When it is stopped: later than due if it was told of late."""
    warned = record.run.warned
    return warned.stops_at if warned and warned.due == due.at else due.at


def reading_due(record: Record, heard: Heard, policy: IdlePolicy) -> datetime | None:
    """When its GPU use is to be read next: near the limit, and often enough to have no hole. None: never."""
    due, ready = idle_due(record, heard, policy), record.run.ready_at
    if due is None or ready is None or record.auto_stop.activity is Activity.HEARTBEAT:
        return None
    last = record.run.gpu.read_at if record.run.gpu else None
    wanted = min(told_at(due, policy.warn), (last or ready) + READ_AT_LEAST)
    return max(wanted, last + READ_EVERY) if last else wanted


def next_at(record: Record, heard: Heard, now: datetime, policy: IdlePolicy) -> datetime | None:
    """When its own policy has something to do next; None while nothing is to come."""
    dues = _dues(record, heard, policy)
    times = [at for due in dues for at in (told_at(due, policy.warn), stops_at(record, due))]
    return min((at for at in (*times, reading_due(record, heard, policy)) if at and at > now), default=None)


def discard_due(record: Record, policy: IdlePolicy) -> datetime | None:
    """When a stopped machine is deleted because its disk bills; not before it was told of for `DISCARD_NOTICE`."""
    own, after = record.auto_stop, policy.discard
    if after is None or not own.enabled or record.stopped_at is None or record.machine is None:
        return None
    told = record.run.discard_warned_at
    times = (record.stopped_at + after, own.pinned_until, told + DISCARD_NOTICE if told else None)
    return max(at for at in times if at)


def minutes(span: timedelta) -> str:
    """As a person says it."""
    count = span.total_seconds() / 60
    return f"{count:g} minute" if count == 1 else f"{count:g} minutes"
