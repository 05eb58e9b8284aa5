"""Webhooks, as the service answers them: what was sent to whom, and what came of it."""

from datetime import datetime

from novita_gpu.client.answers import Answer, Part
from novita_gpu.hidden import Secret


class Attempt(Part, frozen=True, kw_only=True):
    """One sending, with the beginning of what the receiver said."""

    at: datetime | None = None
    duration_ms: int = 0
    status_code: int | None = None
    error: str | None = None
    answer: str = ""


class Delivery(Answer, frozen=True, kw_only=True):
    """One event on its way to one receiver. `id` is also the `webhook-id`."""

    id: str = ""
    event_id: str = ""
    type: str = ""
    sequence: int = 0
    status: str = ""
    host: str = ""
    instance_id: str | None = None
    endpoint_id: str | None = None
    created_at: datetime | None = None
    next_try_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()


class DeliveryList(Answer, frozen=True, kw_only=True):
    """Newest first. A page may be short: there are more as long as there is a cursor."""

    deliveries: tuple[Delivery, ...] = ()
    next_cursor: str | None = None


class Replayed(Answer, frozen=True, kw_only=True):
    count: int = 0
    message: str = ""


class Tested(Answer, frozen=True, kw_only=True):
    event_id: str = ""
    sequence: int = 0
    deliveries: tuple[Delivery, ...] = ()
    message: str = ""


class WebhookEndpoint(Answer, frozen=True, kw_only=True):
    """A registered receiver. `types` empty: it takes every event that is delivered."""

    id: str = ""
    url: str = ""
    types: tuple[str, ...] = ()
    enabled: bool = False
    off_reason: str | None = None
    failing_since: datetime | None = None
    secret_before_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WebhookEndpointSecret(WebhookEndpoint, frozen=True, kw_only=True):
    """With its secret, which is told this once."""

    secret: Secret = ""


class WebhookEndpointList(Answer, frozen=True, kw_only=True):
    endpoints: tuple[WebhookEndpoint, ...] = ()
