"""A registered receiver of events: what it takes, what it is signed with, and when it is switched off."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.events import DELIVERED, EventType
from novita_gpu.domain.value import Value
from novita_gpu.hidden import Secret

# After a rotation the secret before signs too for so long: receivers change over within a day.
ROTATES_FOR = timedelta(hours=24)
# A receiver that has done nothing but fail for so long is gone. Shorter than the schedule of one delivery, three days,
# and a long weekend would switch it off.
FAILS_FOR = timedelta(days=5)
# A test is sent to whom it is asked for.
FANNED = DELIVERED - {EventType.WEBHOOK_TEST}


class Endpoint(Value, frozen=True, kw_only=True):
    """`types` empty: all that are delivered. `failing_since`: nothing has succeeded since then. The store gives
    `revision`.
    """

    id: str
    url: str
    types: tuple[EventType, ...] = ()
    secret: Secret
    secret_before: Secret | None = None
    before_until: datetime | None = None
    enabled: bool = True
    off_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime
    updated_at: datetime
    revision: int = 0

    def takes(self, type_: EventType) -> bool:
        return self.enabled and type_ in FANNED and (not self.types or type_ in self.types)

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Those that sign now, the newest first."""
        if self.secret_before and self.before_until and now < self.before_until:
            return self.secret, self.secret_before
        return (self.secret,)


def rotated(endpoint: Endpoint, secret: str, now: datetime) -> Endpoint:
    """With a new secret; of those before it only the last goes on for a while."""
    return replace(
        endpoint, secret=secret, secret_before=endpoint.secret, before_until=now + ROTATES_FOR, updated_at=now
    )


def switched(endpoint: Endpoint, now: datetime, *, on: bool) -> Endpoint:
    """On or off by hand; what went wrong before is forgotten."""
    if endpoint.enabled == on:
        return endpoint
    return replace(
        endpoint, enabled=on, off_reason=None if on else "switched off by hand", failing_since=None, updated_at=now
    )


def succeeded(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, failing_since=None)


def failed(endpoint: Endpoint, now: datetime) -> Endpoint:
    """Switched off once it has failed for long without a success in between."""
    since = endpoint.failing_since
    if since is None:
        return replace(endpoint, failing_since=now)
    if not endpoint.enabled or now - since < FAILS_FOR:
        return endpoint
    return _off(endpoint, f"nothing but failures for {FAILS_FOR.days} days", now)


def left(endpoint: Endpoint, now: datetime) -> Endpoint:
    """It has answered that it is gone for good: 410, after which Standard Webhooks 1.0 wants nothing more sent."""
    return _off(endpoint, "it answered 410 Gone", now) if endpoint.enabled else endpoint


def _off(endpoint: Endpoint, reason: str, now: datetime) -> Endpoint:
    return replace(endpoint, enabled=False, off_reason=reason, updated_at=now)
