"""Events, as they are answered and streamed."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from novita_gpu.contract.fields import Time, time_text
from novita_gpu.contract.views import View
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import Status


class EventData(View, frozen=True, kw_only=True):
    sequence: int
    instance_id: str | None = None
    operation_id: str | None = None
    actor: str
    reason: str | None = None
    previous_status: Status | None = None
    correlation_id: str | None = None
    facts: dict[str, str] | None = None
    instance: (
        Annotated[
            Raw, Meta(description="The instance as it was, without secrets.", extra_json_schema={"type": "object"})
        ]
        | None
    ) = None


class EventView(View, frozen=True, kw_only=True):
    """One thing that happened.

    A webhook's body is the same, with less: no `id`, which is in its `webhook-id`, and of `data` no `instanceId` (see
    `instance.id`), no `actor`, and no `correlationId`, which is its `X-Correlation-ID`.
    """

    id: str
    type: EventType
    timestamp: Time
    data: EventData


class EventList(View, frozen=True, kw_only=True):
    events: tuple[EventView, ...]
    next_after: Annotated[int, Meta(description="`after` of the next page.")] | None = None


def event_view(event: Event) -> EventView:
    return EventView(
        id=event.id,
        type=event.type,
        timestamp=time_text(event.at),
        data=EventData(
            sequence=event.sequence,
            instance_id=event.instance_id,
            operation_id=event.operation,
            actor=event.actor,
            reason=event.reason,
            previous_status=event.previous_status,
            correlation_id=event.correlation or None,
            facts=event.facts or None,
            instance=instance_of(event),
        ),
    )


def instance_of(event: Event) -> Raw | None:
    """The instance as the event left it. Its sequence is the event's own, which only the commit knew."""
    if not event.instance:
        return None
    instance = msgspec.json.decode(event.instance, type=dict[str, Raw])
    return Raw(msgspec.json.encode({**instance, "sequence": event.sequence}))
