"""The rules for spot machines: an image before one is taken, what becomes of it then, and what runs dearer since."""

from datetime import datetime

from novita_gpu.domain.case import Case
from novita_gpu.domain.dearer import tell_at
from novita_gpu.domain.imaging import is_to_be_saved
from novita_gpu.domain.instance import (
    COMING_UP_STATUSES,
    Record,
)
from novita_gpu.domain.recovery import IMAGE_WITHIN, eligible_at, of_the_day
from novita_gpu.domain.steps import (
    Fail,
    LookAtImage,
    Postpone,
    Recover,
    Rest,
    SaveImage,
    Step,
    TakeBack,
    WarnDearer,
)


def save_image(case: Case) -> Step | None:
    """Between the notice and the loss, where that was asked for."""
    record, now, image = case.record, case.now, case.record.image
    if image and image.is_under_way:
        return LookAtImage(reason="is its image saved?") if now >= image.look_at else None
    return SaveImage(reason="the cloud takes its spot machine") if is_to_be_saved(record, now) else None


def dearer(case: Case) -> Step | None:
    """Told of at once and then daily, while it lasts."""
    at = tell_at(case.record.dearer)
    if at is None or case.now < at or case.record.run.running_at is None:
        return None
    return WarnDearer(reason="it was asked for as spot, and runs on demand since no region sold it so")


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
    if record.image and _is_being_saved(record, now):
        return Rest(until=record.image.look_at, reason=f"{recovering.reason}; its image is being saved")
    if now >= at and (recovering.former or record.machine is None or _goes_by_new_machine(record)):
        return recreate(record, recovering.reason)
    if now >= at:
        return Recover(by="migrate", reason=recovering.reason)
    if record.run.not_before != at:
        return Postpone(until=at, reason=recovering.reason)
    return Rest(until=at, reason=recovering.reason)


def _is_being_saved(record: Record, now: datetime) -> bool:
    image, recovering = record.image, record.recovering
    is_under_way = image is not None and image.is_under_way
    return is_under_way and recovering is not None and now < recovering.lost_at + IMAGE_WITHIN


def _goes_by_new_machine(record: Record) -> bool:
    """A migration would lose what its image holds."""
    image, machine = record.image, record.machine
    is_saved = image is not None and image.state == "saved" and machine is not None and image.attempt == machine.attempt
    return is_saved or record.recovery.on_reclaim == "recreate"


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
