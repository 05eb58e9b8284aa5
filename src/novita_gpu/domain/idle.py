"""When an instance is to be stopped by its own policy, and why."""

from datetime import datetime

from novita_gpu.domain.instance import Record, Wish
from novita_gpu.domain.spec import Activity
from novita_gpu.domain.value import Value


class StopDue(Value, frozen=True, kw_only=True):
    """When the machine is to be stopped, by what, and why."""

    at: datetime
    rule: str
    reason: str


def stop_due(record: Record, last_used: datetime | None) -> StopDue | None:
    """The earliest time at which its own policy stops it, seen from now; None while no rule can.

    Only times of this run count, so a machine that comes up is never judged by the run before.
    """
    if record.wants is not Wish.RUNNING or record.failure:
        return None
    return min((d for d in (_idle(record, last_used), _lifetime(record)) if d), key=lambda d: d.at, default=None)


def idle_since(record: Record, last_used: datetime | None) -> datetime | None:
    """The latest sign of life of this run: ready, last activity. None while it is not ready."""
    if record.run.ready_at is None:
        return None
    return max(t for t in (record.run.ready_at, last_used) if t)


def _idle(record: Record, last_used: datetime | None) -> StopDue | None:
    policy = record.auto_stop
    since = idle_since(record, last_used)
    if not policy.enabled or since is None or policy.activity is not Activity.HEARTBEAT:
        return None  # a source that cannot be read yet is unknown, and unknown never stops
    due = max(since + policy.idle, policy.pinned_until or since)
    minutes = policy.idle.total_seconds() / 60
    return StopDue(at=due, rule="idle", reason=f"no heartbeat for {minutes:g} minutes")


def _lifetime(record: Record) -> StopDue | None:
    limit = record.auto_stop.max_lifetime
    if limit is None or record.run.running_at is None:
        return None
    minutes = limit.total_seconds() / 60
    return StopDue(
        at=record.run.running_at + limit, rule="lifetime", reason=f"ran for its lifetime of {minutes:g} minutes"
    )
