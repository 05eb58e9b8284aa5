"""The line of an event of the log: what was decided and has changed something."""

import structlog

from novita_gpu.domain.events import Event, EventType

log = structlog.get_logger()

BUSINESS, SECURITY, PERFORMANCE = "business", "security", "performance"
# What somebody should look at.
_GRAVE = frozenset(
    {
        EventType.FAILED,
        EventType.STILL_BILLING,
        EventType.DEARER,
        EventType.IMAGE_FAILED,
        EventType.READINESS_FAILED,
        EventType.TWIN_FOUND,
        EventType.ORPHAN_FOUND,
        EventType.ORPHAN_REMOVED,
        EventType.LOOKALIKE_FOUND,
        EventType.MASS_ABSENCE,
        EventType.ACCOUNT_CHANGED,
        EventType.STORE_PARTED,
        EventType.STORE_MET,
        EventType.STORE_RESTORED,
        EventType.LIMIT_REACHED,
        EventType.CREATES_HELD,
        EventType.ENDPOINT_OFF,
        EventType.CIRCUIT_OPENED,
        EventType.CIRCUIT_CLOSED,
    }
)
_SAFETY = frozenset({EventType.KEY_CREATED, EventType.KEY_REVOKED})


def tell(*events: Event) -> None:
    """One line for each, by its type and with its own ids. Once it is stored: a change that was lost is not told."""
    for event in events:
        level = log.warning if event.type in _GRAVE else log.info
        told = {
            "event_id": event.id,
            "instance_id": event.instance_id,
            "operation_id": event.operation,
            "correlation_id": event.correlation,
            "actor": event.actor,
            "reason": event.reason,
            "previous_status": event.previous_status,
            "facts": event.facts,
        }
        category = SECURITY if event.type in _SAFETY else BUSINESS
        level(event.type.value, category=category, **{name: value for name, value in told.items() if value})
