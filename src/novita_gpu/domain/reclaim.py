"""The rules for a spot machine that was taken."""

from novita_gpu.domain.case import Case
from novita_gpu.domain.instance import (
    COMING_UP_STATUSES,
    Record,
)
from novita_gpu.domain.recovery import eligible_at, of_the_day
from novita_gpu.domain.steps import (
    Fail,
    Postpone,
    Recover,
    Rest,
    Step,
    TakeBack,
)


def recovery(case: Case) -> Step | None:
    """Begun when its time has come, within the limit of a day; what one way failed goes the other."""
    record, now, recovering = case.record, case.now, case.record.recovering
    if recovering is None:
        return None
    if recovering.begun_at:
        turned = recovering.by == "recreate" and record.run.migrate
        return recreate(record, record.reason or recovering.reason) if turned else None
    if record.recovery.on_reclaim == "none":
        return Fail(code="RECOVERY_OFF", reason=f"{recovering.reason}; recovery is off for it")
    if (
        record.seen
        and record.seen.status in COMING_UP_STATUSES
        and now < recovering.lost_at + case.policy.launch_timeout
    ):
        return Rest(until=recovering.lost_at + case.policy.launch_timeout, reason="somebody else brings it back")
    count = len(of_the_day(record, now))
    if count >= record.recovery.max_per_day:
        return Fail(code="RECOVERY_LIMIT", reason=f"{recovering.reason}; it was recovered {count} times within a day")
    at = eligible_at(record, now, case.policy.recovery)
    if now >= at and (recovering.former or record.machine is None or record.recovery.on_reclaim == "recreate"):
        return recreate(record, recovering.reason)
    if now >= at:
        return Recover(by="migrate", reason=recovering.reason)
    if record.run.not_before != at:
        return Postpone(until=at, reason=recovering.reason)
    return Rest(until=at, reason=recovering.reason)


def recreate(record: Record, reason: str) -> Step:
    """A machine that was taken in without a marker of ours could not be told from its replacement."""
    attempt = next((a for a in record.attempts if record.machine and a.number == record.machine.attempt), None)
    if attempt and not attempt.marker:
        return Fail(
            code="CANNOT_RECREATE", reason=f"{reason}; it bears no marker of ours, so no new one is made for it"
        )
    return Recover(by="recreate", reason=reason)


def take_back(record: Record) -> TakeBack | None:
    former = record.recovering and record.recovering.former
    return TakeBack(reason="no replacement came") if former else None
