"""Logs: one line for each thing that happened, with the ids of the work it belongs to, and without secrets."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from novita_gpu.hidden import HIDDEN

Form = Literal["json", "text"]

# Words of a field's name under which a secret may lie.
_SECRET_WORDS = re.compile(
    r"pass(word|wd)?$|secret|token|authorization|cookie|credential|^(api_?)?key$|^envs?$|^body$", re.IGNORECASE
)
# Libraries that log every task and every start; below a warning only `debug` wants to hear them.
_TALKATIVE = ("docket", "uvicorn", "uvicorn.error", "asyncio")
# They log what they send: a line for each request that takes lines away.
_NEVER_BELOW_WARNING = ("urllib3", "opentelemetry")


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Every value whose name speaks of a secret is hidden, at any depth."""
    return {name: value if name == "exc_info" else _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: object) -> object:
    if _SECRET_WORDS.search(name):
        return HIDDEN
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        return {str(k): _hidden(str(k), v) for k, v in entries.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", v) for v in cast("Iterable[object]", value)]
    return value


# What every line gets, ours and those of libraries.
SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    without_secrets,
)


def formatter(*render: Processor) -> logging.Formatter:
    """Lines of structlog's and of libraries alike, shown by the last of `render`."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        foreign_pre_chain=(structlog.stdlib.add_logger_name, *SHARED),
    )


def form_of(wanted: Form | None, stream: TextIO) -> Form:
    """As wanted, else for whoever reads it: a person at a terminal, or a program."""
    return wanted or ("text" if stream.isatty() else "json")


def configure(
    *, form: Form, level: str = "info", stream: TextIO | None = None, beside: Sequence[logging.Handler] = ()
) -> None:
    """Sends our logs and those of libraries to one stream in one form, and to what is `beside`. Once, at start."""
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    console = logging.StreamHandler(stream or sys.stderr)
    console.setFormatter(_console(form, console.stream))
    root = logging.getLogger()
    root.handlers[:] = [console, *beside]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING) if level != "debug" else logging.DEBUG)
    for name in _NEVER_BELOW_WARNING:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _console(form: Form, stream: TextIO) -> logging.Formatter:
    """Text has colours where a person looks at it. A trace tells places and no values: these may be secrets."""
    if form == "json":
        return formatter(structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    plain = structlog.dev.plain_traceback
    return formatter(structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain))


def logger(name: str) -> Any:
    """A logger of structlog's; its methods take any fields."""
    return structlog.get_logger(name)
