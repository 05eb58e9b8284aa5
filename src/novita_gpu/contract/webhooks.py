"""Webhooks: what was sent to whom and what came of it, sending again, and tests."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Moment, Time, Url, distinct
from novita_gpu.contract.requests import Cursor, PageSize, Ref
from novita_gpu.contract.views import View
from novita_gpu.domain.endpoint import FANNED
from novita_gpu.domain.events import EventType
from novita_gpu.hidden import Secret

State = Literal["pending", "delivered", "exhausted"]
Host = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]{1,300}$",
        description="Host of the receiver, with its port where the address names one.",
        examples=["example.com"],
        extra={"expected": "a host, with its port where the address names one"},
    ),
]


def _delivered(types: Sequence[object]) -> str | None:
    unknown = [each for each in types if isinstance(each, str) and each not in FANNED]
    return f"are not delivered: {', '.join(unknown)}" if unknown else distinct()(types)


Types = Annotated[
    tuple[EventType, ...],
    Meta(
        max_length=len(FANNED),
        description="Of the events that are delivered; none given: all of them.",
        examples=[["instance.ready", "instance.failed"]],
        extra={"rule": _delivered},
    ),
]


class DeliveriesQuery(Request, frozen=True, kw_only=True):
    status: Annotated[tuple[State, ...], Meta(max_length=3)] = ()
    instance_id: Ref | None = None
    type: EventType | None = None
    host: Host | None = None
    limit: PageSize = 100
    cursor: Cursor | None = None


class ReplayRange(Request, frozen=True, kw_only=True):
    """What has ended, delivered or not, of events since then and before `until`; the rest as in the list."""

    since: Moment
    until: Moment
    status: Annotated[tuple[State, ...], Meta(max_length=3)] = ()
    instance_id: Ref | None = None
    type: EventType | None = None
    host: Host | None = None


class WebhookTest(Request, frozen=True, kw_only=True):
    url: Annotated[Url, Meta(description="WEBHOOK_URL and every registered endpoint, when left out.")] | None = None


class AddEndpoint(Request, frozen=True, kw_only=True):
    """A receiver of every event from now on that passes its filter."""

    url: Url
    types: Types = ()


class PatchEndpoint(Request, frozen=True, kw_only=True):
    """What of an endpoint changes; what is left out stays. What happens while it is switched off is not sent later."""

    url: Url | None = None
    types: Types | None = None
    enabled: bool | None = None


class WebhookEndpoint(View, frozen=True, kw_only=True):
    """A registered receiver. It is switched off by hand, or after 5 days of nothing but failures."""

    id: str
    url: str
    types: Types
    enabled: bool
    off_reason: str | None = None
    failing_since: Annotated[Time, Meta(description="Nothing has succeeded since then.")] | None = None
    secret_before_until: Annotated[Time, Meta(description="Until then the secret before signs too.")] | None = None
    created_at: Time
    updated_at: Time


class WebhookEndpointSecret(WebhookEndpoint, frozen=True, kw_only=True):
    """With its secret, which is told this once."""

    secret: Annotated[Secret, Meta(examples=["whsec_…"])]


class WebhookEndpointList(View, frozen=True, kw_only=True):
    """The oldest first."""

    endpoints: tuple[WebhookEndpoint, ...]


class AttemptView(View, frozen=True, kw_only=True):
    """One sending. `answer`: the first 2 KiB of what the receiver said, without what looks like a secret."""

    at: Time
    duration_ms: int
    status_code: int | None = None
    error: str | None = None
    answer: str = ""


class DeliveryView(View, frozen=True, kw_only=True):
    """One event on its way to one receiver. Of its address, which may hold secrets, only the host is told."""

    id: Annotated[str, Meta(description="Also the `webhook-id`.")]
    event_id: str
    type: str
    sequence: Annotated[int, Meta(description="Of its event.")]
    status: Annotated[State, Meta(description="`exhausted`: it is not tried again, unless somebody asks for it.")]
    host: str
    instance_id: str | None = None
    endpoint_id: Annotated[str, Meta(description="The registered endpoint it is for.")] | None = None
    created_at: Time
    next_try_at: Annotated[Time, Meta(description="While one is in hand: when it is taken for lost.")] | None = None
    attempts: tuple[AttemptView, ...]


class DeliveryList(View, frozen=True, kw_only=True):
    """Newest first. A page may be shorter than its limit: there are more as long as there is a cursor."""

    deliveries: tuple[DeliveryView, ...]
    next_cursor: str | None = None


class ReplayedView(View, frozen=True, kw_only=True):
    count: int
    message: str


class WebhookTested(View, frozen=True, kw_only=True):
    event_id: str
    sequence: int
    deliveries: tuple[DeliveryView, ...]
    message: str
