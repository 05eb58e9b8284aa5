"""All commands, and how each of them ends."""

import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from novita_gpu.cli import (
    catalogue,
    costs,
    create,
    gauges,
    idle,
    instances,
    keys,
    log,
    recovery,
    service,
    stop_all,
    sync,
    webhooks,
)
from novita_gpu.cli.ending import Ending, complain, ending_of, wrong

EPILOG = """\b
Exit codes:
  0  ok
  1  the service said no: code, message and what to do are printed
  2  wrong usage or settings
  3  the service cannot be reached
  4  the time to wait was up
  5  the instance has failed

\b
Errors go to stderr; with --json they are JSON too. Wherever an instance is
meant, its name, its id and the cloud's id do.
"""


def build() -> typer.Typer:
    # Plain help: with rich it would take three times as long to come.
    app = typer.Typer(
        help="Rent GPUs, and have those stopped that nobody uses.",
        epilog=EPILOG,
        rich_markup_mode=None,
        add_completion=False,
    )
    for room in (
        service,
        create,
        instances,
        stop_all,
        idle,
        recovery,
        catalogue,
        costs,
        sync,
        log,
        webhooks,
        keys,
        gauges,
    ):
        room.register(app)
    return app


def run(args: Sequence[str]) -> int:
    """The exit code. Foreseeable errors are told; what is left is a bug and shows its traceback."""
    as_json = "--json" in args
    try:
        code: object = build()(list(args) or ["--help"], prog_name="novita-gpu", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return complain(_of_usage(error), as_json=as_json)
    except BrokenPipeError:
        # The reader of our output has gone; without this the interpreter complains once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        ending = ending_of(error)
        if ending is None:
            raise
        return complain(ending, as_json=as_json)
    return code if isinstance(code, int) else 0


def _of_usage(error: TyperException) -> Ending:
    command: str = getattr(getattr(error, "ctx", None), "command_path", "novita-gpu")
    return wrong(error.format_message(), f"`{command} --help` shows how it is used.").ending
