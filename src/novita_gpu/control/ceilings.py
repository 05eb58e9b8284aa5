"""What is agreed of the policies that a caller asks for: within the operator's ceilings, and whole."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.contract import AutoStopRequest, time_text
from novita_gpu.contract.requests import RecoveryRequest
from novita_gpu.domain.errors import Fault, Invalid
from novita_gpu.domain.idle import minutes
from novita_gpu.domain.spec import AutoStop, Recovery, Spec
from novita_gpu.domain.value import Value


class Ceilings(Value, frozen=True, kw_only=True):
    """`max_idle`: nobody may idle for longer, by minutes, by a pin or by switching it off.

    `only_with_volume`: idleness stops only what has a network volume, so that its data is safe.
    """

    max_idle: timedelta | None = None
    only_with_volume: bool = False


def agreed(asked: AutoStopRequest | None, base: AutoStop, ceilings: Ceilings, spec: Spec, now: datetime) -> AutoStop:
    """The policy that comes of what is asked for. Raises `Invalid` with every fault at once."""
    policy = asked.over(base) if asked else base
    if ceilings.only_with_volume and not spec.network_storages:
        if asked and asked.enabled:
            message = "needs a network volume: this service stops only instances whose data is safe"
            raise Invalid(Fault(field="autoStop.enabled", message=message, value="true"))
        return replace(policy, enabled=False)
    faults = _faults(asked, ceilings.max_idle, now) if asked and ceilings.max_idle else []
    if faults:
        raise Invalid(*faults)
    return policy


def agreed_recovery(asked: RecoveryRequest | None, base: Recovery) -> Recovery:
    """Raises `Invalid` where an image is to be saved nowhere."""
    policy = asked.over(base) if asked else base
    if policy.save_image and not policy.image_repository:
        message = "needs recovery.imageRepository, as RECOVERY_IMAGE_REPOSITORY is not set here"
        raise Invalid(Fault(field="recovery.saveImage", message=message, value="true"))
    return policy


def _faults(asked: AutoStopRequest, most: timedelta, now: datetime) -> list[Fault]:
    faults: list[Fault] = []
    if asked.enabled is False:
        message = f"must stay on: nobody may idle for more than {minutes(most)} here"
        faults.append(Fault(field="autoStop.enabled", message=message, value="false"))
    if asked.idle_minutes is not None and timedelta(minutes=asked.idle_minutes) > most:
        message = f"must be at most {most.total_seconds() / 60:g} here"
        faults.append(Fault(field="autoStop.idleMinutes", message=message, value=str(asked.idle_minutes)))
    if isinstance(asked.pinned_until, datetime) and asked.pinned_until > now + most:
        message = f"must be at most {minutes(most)} ahead here"
        faults.append(Fault(field="autoStop.pinnedUntil", message=message, value=time_text(asked.pinned_until)))
    return faults
