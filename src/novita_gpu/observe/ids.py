"""Ids of the work under way: every line that is logged for it bears them."""

import re
from collections.abc import Callable

from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
CORRELATION = "correlation_id"


def id_or_new(given: str | None, new: Callable[[], str]) -> str:
    """The id that was handed in, if it is one; else a new one."""
    return given if given and _ID.fullmatch(given) else new()


def correlation() -> str:
    """Of the work under way, for calls that carry it on; empty outside of any."""
    return str(get_contextvars().get(CORRELATION, ""))


def correlate(correlation_id: str, **fields: str | None) -> None:
    """What is logged from here on, in this task, bears these ids and none of those before."""
    clear_contextvars()
    bind(correlation_id=correlation_id, **fields)


def bind(**fields: str | None) -> None:
    """What is logged from here on, in this task, bears these too."""
    bind_contextvars(**{name: value for name, value in fields.items() if value})
