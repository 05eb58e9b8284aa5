"""Logs: one line for each thing that happened, with the ids of the request it belongs to, and without secrets."""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "***"
# Words of a field's name under which a secret may lie.
_SECRET_WORDS = re.compile(
    r"pass(word|wd)?$|secret|token|authorization|cookie|credential|^(api_?)?key$|^envs?$|^body$", re.IGNORECASE
)
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

# Libraries that log every task and every start; below a warning only `debug` wants to hear them.
_TALKATIVE = ("docket", "uvicorn", "uvicorn.error", "asyncio")

_correlation: ContextVar[str] = ContextVar("correlation", default="")


def id_or_new(given: str | None, new: Callable[[], str]) -> str:
    """The id that was handed in, if it is one; else a new one."""
    return given if given and _ID.fullmatch(given) else new()


def correlation() -> str:
    """Of the work under way, for calls that carry it on; empty outside of any."""
    return _correlation.get()


def correlate(correlation_id: str, **fields: str) -> None:
    """What is logged from here on, in this task, bears these ids."""
    _correlation.set(correlation_id)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(correlation_id=correlation_id, **fields)


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Every value whose name speaks of a secret is hidden, at any depth."""
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: object) -> object:
    if _SECRET_WORDS.search(name):
        return HIDDEN
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return {str(k): _hidden(str(k), v) for k, v in entries.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", v) for v in cast("Iterable[object]", value)]
    return value


def configure(*, json: bool, level: str = "info", stream: TextIO | None = None) -> None:
    """Sends our logs and those of libraries to one stream in one form. Once, at start."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_secrets,
    ]
    render: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if json
        else [structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING) if level != "debug" else logging.DEBUG)


def logger(name: str) -> Any:
    """A logger of structlog's; its methods take any fields."""
    return structlog.get_logger(name)
