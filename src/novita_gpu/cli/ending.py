"""Errors as what a person reads and a script tests: exit code, code, message, what to do."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import typer
from msgspec import UNSET, Raw, Struct, UnsetType, json
from msgspec.structs import replace

if TYPE_CHECKING:
    from novita_gpu.client import ApiError

REFUSED = 1
USAGE = 2
UNREACHABLE = 3
TIMED_OUT = 4
FAILED = 5

TODO = {
    "UNAUTHORIZED": "Give a key with --key or NOVITA_GPU_KEY; the service's own is in its DATA_DIR/admin-key.",
    "FORBIDDEN": "Use a key with the scope that this needs: read, operate or admin.",
    "INSTANCE_NOT_FOUND": "`novita-gpu list` shows the names.",
    "INSTANCE_ALREADY_EXISTS": "Choose another name, or delete the one that has it.",
    "INSTANCE_NOT_RUNNING": "`novita-gpu get NAME` shows its state.",
    "INSTANCE_NOT_STARTABLE": "`novita-gpu get NAME` shows its state.",
    "INSTANCE_NOT_STOPPABLE": "`novita-gpu get NAME` shows its state.",
    "PRODUCT_NOT_FOUND": "`novita-gpu products` shows what is sold.",
    "TEMPLATE_NOT_FOUND": "`novita-gpu templates` shows their ids.",
    "NO_OFFER": "Try another product or region, or again later.",
    "PRICE_TOO_HIGH": "Raise --max-price, or try another product or region.",
    "LIMIT_REACHED": "Stop or delete something, or have the limit raised.",
    "RATE_LIMIT_EXCEEDED": "Try again later.",
    "IDEMPOTENCY_KEY_REUSED": "Use another --idempotency-key: this one belongs to a different request.",
    "WEBHOOK_URL_REFUSED": "Use a public address, or have it listed in WEBHOOK_ALLOW_PRIVATE or WEBHOOK_PORTS.",
    "WAIT_TIMEOUT": "It goes on without you: `novita-gpu wait NAME` waits again.",
    "NOVITA_AUTH_FAILED": "Check NOVITA_API_KEY of the service: `novita-gpu doctor`.",
    "INTERNAL_ERROR": "This is a bug of the service; its log has the request id.",
    "NOT_REACHABLE": "Is it running? `novita-gpu serve` starts it; --url or NOVITA_GPU_URL says where it is.",
    "NOT_AN_ANSWER": "Something else listens at this address: check --url.",
    "INSTANCE_FAILED": "`novita-gpu start NAME` tries again, `novita-gpu delete NAME` gives it up.",
    "WRONG_SETTINGS": "Correct these variables; `novita-gpu doctor` checks them.",
}


class Ending(Struct, frozen=True, kw_only=True, rename="camel"):
    """How a command ends badly. With --json it is printed as `{"error": {…}}`."""

    exit_code: int
    code: str
    message: str
    todo: str | UnsetType = UNSET
    status: int | UnsetType = UNSET
    details: Any = UNSET
    request_id: str | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET


class Stopped(Exception):
    """Ends a command that has found out by itself why it cannot go on."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


def ending(exit_code: int, code: str, message: str, **more: Any) -> Ending:
    """With the advice that belongs to the code."""
    return replace(Ending(exit_code=exit_code, code=code, message=message, todo=TODO.get(code, UNSET)), **more)


def wrong(message: str, todo: str | UnsetType = UNSET) -> Stopped:
    """The command was used wrongly."""
    return Stopped(ending(USAGE, "WRONG_USAGE", message, todo=todo))


def ending_of(error: Exception) -> Ending | None:
    """None for an error that nobody foresaw."""
    if isinstance(error, Stopped):
        return error.ending
    from novita_gpu.client import ApiError, ClientError, InstanceFailed, NotReachable, Unreadable, WaitTimeout

    match error:
        case WaitTimeout():
            return _of_answer(error, TIMED_OUT)
        case ApiError():
            return _of_answer(error, REFUSED)
        case InstanceFailed():
            return ending(FAILED, "INSTANCE_FAILED", str(error), details=Raw(error.instance.raw))
        case NotReachable():
            return ending(UNREACHABLE, "NOT_REACHABLE", str(error))
        case Unreadable():
            return ending(REFUSED, "NOT_AN_ANSWER", str(error))
        case ClientError():
            return ending(USAGE, "WRONG_USAGE", str(error))
        case _:
            return None


def _of_answer(error: "ApiError", exit_code: int) -> Ending:
    pause = error.retry_after
    return ending(
        exit_code,
        error.code,
        error.message,
        status=error.status,
        details=UNSET if error.details is None else error.details,
        request_id=error.request_id or UNSET,
        retry_after_ms=UNSET if pause is None else round(pause.total_seconds() * 1000),
    )


def complain(end: Ending, *, as_json: bool) -> int:
    """Tells it on stderr; the exit code."""
    if as_json:
        sys.stderr.write(json.encode({"error": end}).decode() + "\n")
        return end.exit_code
    typer.echo(f"{typer.style('Error', fg='red', bold=True)} {end.code}: {end.message}", err=True)
    for line in _lines(end.details):
        typer.echo(f"  {line}", err=True)
    if end.request_id is not UNSET:
        typer.echo(f"  request id: {end.request_id}", err=True)
    if end.todo is not UNSET:
        typer.echo(f"{typer.style('What to do:', bold=True)} {end.todo}", err=True)
    return end.exit_code


def _lines(details: object) -> Iterator[str]:
    match details:
        case list() | tuple():
            for row in cast("list[object]", details):
                yield _line(row)
        case dict():
            for name, value in cast("dict[str, object]", details).items():
                yield f"{name}: {_line(value)}"
        case _:  # none, or the instance, which the message has told
            return


def _line(row: object) -> str:
    if isinstance(row, str):
        return row
    known = cast("dict[str, object]", row) if isinstance(row, dict) else {}
    if {"field", "message"} <= known.keys():
        return f"{known['field']}: {known['message']}"
    return json.encode(row).decode()
