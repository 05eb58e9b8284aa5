"""What is sent: the event as it was stored, signed as Standard Webhooks 1.0 says."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from standardwebhooks.webhooks import Webhook

from novita_gpu.contract import instance_of, time_text
from novita_gpu.domain.events import Event
from novita_gpu.domain.value import Value

AGENT = "novita-gpu-api"


class _Data(Value, frozen=True, kw_only=True, rename="camel"):
    sequence: int
    operation_id: str | None = None
    reason: str | None = None
    facts: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    instance: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    previous_status: str | None = None


class _Body(Value, frozen=True, kw_only=True):
    type: str
    timestamp: str
    data: _Data


def body_of(event: Event) -> bytes:
    """The bytes that are sent and signed. From the event as it was stored, so that every try sends the same."""
    body = _Body(
        type=event.type.value,
        timestamp=time_text(event.at),
        data=_Data(
            sequence=event.sequence,
            operation_id=event.operation,
            reason=event.reason,
            facts=event.facts or msgspec.UNSET,
            instance=instance_of(event) or msgspec.UNSET,
            previous_status=event.previous_status and event.previous_status.value,
        ),
    )
    return msgspec.json.encode(body)


def headers_of(event: Event) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": AGENT, "Accept-Encoding": "identity"}
    return headers | {"X-Correlation-ID": event.correlation} if event.correlation else headers


def signed(delivery_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: one signature for each secret, so that secrets can be rotated."""
    sent_at = now.astimezone(UTC)
    signatures = [Webhook(secret).sign(delivery_id, sent_at, body.decode()) for secret in secrets]
    headers = {"webhook-id": delivery_id, "webhook-timestamp": str(int(sent_at.timestamp()))}
    return {**headers, "webhook-signature": " ".join(signatures)} if signatures else headers
