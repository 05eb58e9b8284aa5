"""When a delivery is tried again, and when there is no use in it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from msgspec.structs import replace

from novita_gpu.domain.value import Value
from novita_gpu.store.base import Delivery, Try
from novita_gpu.store.keys import RESTS_AT_MOST

# Pause before each try, counted from the one before: the schedule that Standard Webhooks recommends, 3 days in all.
SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
JITTER = 0.2  # a pause grows by up to this part: less and a receiver's return meets a herd, more and 5 s is no 5 s
LONGEST_REST = RESTS_AT_MOST  # of what a Retry-After may ask; the schedule knows no longer pause either
OVERLOADED = frozenset({429, 502, 503, 504})
GONE = 410


class Reply(Value, frozen=True, kw_only=True):
    """What came of one sending. `final`: there is no use in another."""

    at: datetime
    duration_ms: int = 0
    status_code: int | None = None
    error: str | None = None
    text: str = ""
    retry_after: timedelta | None = None
    final: bool = False

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_overloaded(self) -> bool:
        return self.status_code in OVERLOADED


def next_try(delivery: Delivery, reply: Reply, now: datetime, jitter: float) -> Delivery:
    """The delivery after this reply: delivered, due again, or exhausted. `jitter` is 0..1; a pause never shrinks."""
    made = Try(
        at=reply.at,
        duration_ms=reply.duration_ms,
        status_code=reply.status_code,
        error=reply.error,
        answer=reply.text,
    )
    tried = replace(delivery, tries=(*delivery.tries, made))
    if reply.is_success:
        return replace(tried, state="delivered")
    count = len(tried.tries) - tried.tries_before
    if reply.final or reply.status_code == GONE or count >= len(SCHEDULE):
        return replace(tried, state="exhausted")
    pause = SCHEDULE[count] * (1 + JITTER * jitter)
    return replace(tried, due=now + max(pause, reply.retry_after or pause))


def again(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery once somebody wants it sent again: due at once, and if it had ended the schedule begins anew.

    Of the tries that it had so many are kept as one round of the schedule has.
    """
    if delivery.state == "pending":
        return replace(delivery, due=min(now, delivery.due))
    known = delivery.tries[-len(SCHEDULE) :]
    return replace(delivery, state="pending", due=now, tries=known, tries_before=len(known))


def rest_of(reply: Reply, now: datetime) -> datetime | None:
    """Until when its receiver is to be spared: one that is overloaded, at least as long as it asks."""
    if not reply.is_overloaded:
        return None
    return now + max(SCHEDULE[1], reply.retry_after or SCHEDULE[1])


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The pause that a `Retry-After` asks for, as seconds or as a date; at most 24 h, None when unreadable."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else _seconds_until(header, now)
    except (ValueError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST_REST.total_seconds()))


def _seconds_until(http_date: str, now: datetime) -> float:
    date = parsedate_to_datetime(http_date)
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
