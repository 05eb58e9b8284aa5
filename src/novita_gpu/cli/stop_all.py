"""The command that stops everything that bills."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from novita_gpu.cli.ask import Ask, asks
from novita_gpu.cli.ending import REFUSED, wrong

if TYPE_CHECKING:
    from rich.console import RenderableType

    from novita_gpu.client.answers import Bulk


def register(app: typer.Typer) -> None:
    @asks(app, "stop-all")
    async def _stop_all(
        ask: Ask,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be stopped.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    ) -> None:
        """Stop everything that bills; disks stay.

        Shows what that is, and asks first."""
        if dry_run or not yes:
            found = await ask.client.stop_all(dry_run=True)
            if dry_run or not found.results:
                ask.give(found, lambda: _shown(found, "Nothing was stopped: this was a dry run."))
                return
            _agreed(ask, found)
        stopped = await ask.client.stop_all()
        ask.give(stopped, lambda: _shown(stopped))
        if any(row.error for row in stopped.results):
            raise typer.Exit(REFUSED)


def _agreed(ask: Ask, found: "Bulk") -> None:
    """Asks whoever sits there. What is printed stays what was answered."""
    if not sys.stdin.isatty():
        raise wrong("Nobody is here to be asked.", "Give --yes, or --dry-run to see what would be stopped.")
    if not ask.as_json:
        ask.show(_shown(found))
    if not typer.confirm(f"Stop {found.count}?", err=True):
        raise typer.Exit(REFUSED)


def _shown(bulk: "Bulk", last: str = "") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from novita_gpu.cli import show

    if not bulk.results:
        return Text("Nothing bills, and nothing is about to.")
    return Group(show.bulk(bulk), *([Text(last, style="dim")] if last else []))
