"""When an image of a spot machine is asked for, what becomes of it, and what is made of it. Pure."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.domain.image import SavedImage
from novita_gpu.domain.instance import RUNNING_STATUS, CloudId, Record, RunKind, Wish
from novita_gpu.domain.learn import Learned, Note
from novita_gpu.domain.recovery import is_announced
from novita_gpu.domain.spec import Spec


def is_to_be_saved(record: Record, now: datetime) -> bool:
    """The cloud will take its machine, which runs still, and nothing was saved of it since the notice."""
    machine, seen = record.machine, record.seen
    if not record.recovery.save_image or machine is None or seen is None or record.recovering:
        return False
    if record.wants is not Wish.RUNNING or record.failure or seen.status != RUNNING_STATUS or not is_announced(seen):
        return False
    can_be_made_anew = any(a.marker for a in record.attempts if a.number == machine.attempt)
    return can_be_made_anew and not (record.image and record.image.is_enough(machine.attempt, now))


def next_at(record: Record, now: datetime) -> datetime | None:
    """When something is to be done about its image that is not due yet."""
    at = record.image.next_at if record.image else None
    return at if at and at > now else None


def asked(record: Record, now: datetime, timeout: timedelta) -> Record:
    """The record with the intent. The tag is the name and the time, so that no image is written over."""
    machine, last = record.machine, record.image
    assert machine
    is_again = last is not None and last.attempt == machine.attempt and last.state == "failed"
    image = SavedImage(
        address=f"{record.recovery.image_repository}:{record.name}-{now:%Y%m%d%H%M%S}",
        auth_id=record.recovery.image_auth_id,
        attempt=machine.attempt,
        asked_at=now,
        deadline=now + timeout,
        tries=last.tries + 1 if is_again and last else 1,
    )
    return replace(record, image=image)


def answered(record: Record, address: str, *, job: str = "", refusal: str = "") -> Learned:
    """The cloud's answer to the wish for `address`: a job, or why there is none."""
    image = record.image
    if image is None or image.address != address or image.state != "asked":
        return Learned(record=record)
    if not job:
        return _failed(record, image, f"the cloud refused to save it: {refusal}")
    note = Note(type=EventType.IMAGE_ASKED, reason=f"its disk is being saved as {image.address}")
    return Learned(record=replace(record, image=replace(image, state="saving", job=job)), notes=(note,))


def looked(record: Record, job: str, state: str, error: str, now: datetime) -> Learned:
    """What its newest job says; `state` is empty where there is none."""
    image = record.image
    if image is None or not image.is_under_way:
        return Learned(record=record)
    if state in {"pulling", "running"}:
        return Learned(record=replace(record, image=replace(image, state="saving", job=job, looked_at=now)))
    if state == "success":
        note = Note(type=EventType.IMAGE_SAVED, reason=f"its disk is saved as {image.address}")
        return Learned(
            record=replace(record, image=replace(image, state="saved", job=job, looked_at=now)), notes=(note,)
        )
    return _failed(record, image, f"saving it failed: {error or state}" if state else "the cloud knows no job for it")


def refused(record: Record, message: str) -> Learned:
    """The cloud did not make the new machine from its image: it is made from what was asked for at first."""
    assert record.image
    return _failed(record, record.image, f"no machine is made from it: {message}")


def _failed(record: Record, image: SavedImage, error: str) -> Learned:
    note = Note(type=EventType.IMAGE_FAILED, reason=f"{image.address}: {error}")
    return Learned(record=replace(record, image=replace(image, state="failed", error=error)), notes=(note,))


def machine_of(record: Record, image: SavedImage) -> CloudId | None:
    """The machine that it is of."""
    return next((a.machine for a in record.attempts if a.number == image.attempt), None)


def is_of_its_image(record: Record) -> bool:
    """The next machine is made from the image of the one before."""
    return record.run.kind is RunKind.RECOVERY and record.image is not None and record.image.state == "saved"


def spec_of(record: Record) -> Spec:
    """What the next machine is made of."""
    image = record.image
    if image is None or not is_of_its_image(record):
        return record.spec
    return replace(record.spec, image_url=image.address, image_auth_id=image.auth_id)
