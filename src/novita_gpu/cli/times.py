"""Times as they are typed."""

import re
from datetime import UTC, datetime, timedelta

from novita_gpu.cli.ending import wrong

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def time_of(text: str) -> datetime:
    """A time or a day's midnight; local where it has no offset."""
    return _read(text, "Write it as 2026-01-31T12:00:00Z.")


def moment_of(text: str, now: datetime) -> datetime:
    """As `time_of`, or a span such as `24h`: so long ago."""
    span = _span(text)
    if span is not None:
        return now - span
    return _read(text, "Write it as 2026-01-31T12:00:00Z, 2026-01-31, or 24h or 7d for so long ago.")


def ahead_of(text: str, now: datetime) -> datetime:
    """As `time_of`, or a span such as `90d`: so long from now."""
    span = _span(text)
    if span is not None:
        return now + span
    return _read(text, "Write it as 2026-01-31T12:00:00Z, 2026-01-31, or 24h or 90d from now.")


def span_of(text: str) -> timedelta:
    span = _span(text)
    if span is None:
        raise wrong(f"{text!r} is not a span of time", "Write it as 90m, 2h or 3d.")
    return span


def _span(text: str) -> timedelta | None:
    found = re.fullmatch("([0-9]{1,5})([mhd])", text)
    return timedelta(**{UNITS[found[2]]: int(found[1])}) if found else None


def _read(text: str, todo: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong(f"{text!r} is not a time", todo) from None
