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
    if span := re.fullmatch("([0-9]{1,5})([mhd])", text):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    return _read(text, "Write it as 2026-01-31T12:00:00Z, 2026-01-31, or 24h or 7d for so long ago.")


def _read(text: str, todo: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong(f"{text!r} is not a time", todo) from None
