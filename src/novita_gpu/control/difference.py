"""What a change of policy says of itself: each field that changed as the API names it, with its new value."""

from datetime import datetime, timedelta

from novita_gpu.contract import time_text
from novita_gpu.contract.fields import host_alone
from novita_gpu.domain.instance import Record

NOTHING = "none"
# Path and query may be what lets somebody in there.
_ADDRESSES = frozenset({"webhookUrl"})


def difference(before: Record, after: Record) -> dict[str, str]:
    old = _fields(before)
    return {name: _shown(name, value) for name, value in _fields(after).items() if value != old[name]}


def _fields(record: Record) -> dict[str, object]:
    """All that can be changed of an instance."""
    stop, recovery = record.auto_stop, record.recovery
    return {
        "autoStop.enabled": stop.enabled,
        "autoStop.idleMinutes": stop.idle,
        "autoStop.activity": stop.activity,
        "autoStop.maxLifetimeMinutes": stop.max_lifetime,
        "autoStop.pinnedUntil": stop.pinned_until,
        "recovery.onReclaim": recovery.on_reclaim,
        "recovery.maxPerDay": recovery.max_per_day,
        "recovery.allowOnDemand": recovery.allow_on_demand,
        "recovery.saveImage": recovery.save_image,
        "recovery.imageRepository": recovery.image_repository,
        "recovery.imageAuthId": recovery.image_auth_id,
        "onStartCapacity": record.on_start_capacity,
        "webhookUrl": record.webhook_url,
    }


def _shown(name: str, value: object) -> str:
    match value:
        case None | "":
            return NOTHING
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds() / 60:g}"
        case datetime():
            return time_text(value)
        case str() if name in _ADDRESSES:
            return host_alone(value)
        case _:
            return str(value)
