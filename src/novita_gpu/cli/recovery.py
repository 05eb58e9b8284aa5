"""The command about machines that were taken: what is being brought back, what came back, migrations that failed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from novita_gpu.cli.ask import Ask, asks
from novita_gpu.cli.ending import wrong

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from novita_gpu.client.recovery import FailedMigrations, Recovering, RecoveryReport, RecoveryStatus


def register(app: typer.Typer) -> None:
    @asks(app, "recovery")
    async def _recovery(
        ask: Ask,
        check: Annotated[bool, typer.Option("--check", help="Say what is to be brought back now.")] = False,
        failed: Annotated[bool, typer.Option("--failed", help="Find migrations that failed within a day.")] = False,
        for_real: Annotated[bool, typer.Option("--for-real", help="With either: see to what was found.")] = False,
    ) -> None:
        """Show spot machines that were taken, and how they come back.

        What waits and until when, and what came back last."""
        if check and failed:
            raise wrong("--check and --failed go one at a time", "`novita-gpu recovery --failed` finds failed ones.")
        if for_real and not (check or failed):
            raise wrong("--for-real goes with --check or --failed", "Write `novita-gpu recovery --check --for-real`.")
        if check:
            report = await ask.client.migration_trigger(dry_run=not for_real)
            ask.give(report, lambda: _of_check(report))
        elif failed:
            found = await ask.client.migration_check_failed(dry_run=not for_real)
            ask.give(found, lambda: _of_failed(found))
        else:
            status = await ask.client.migration_status()
            ask.give(status, lambda: _of_status(status))


def _of_status(answer: "RecoveryStatus") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from novita_gpu.cli.show import pairs

    rows = _rows(answer.recovering) if answer.recovering else Text("Nothing is being brought back.")
    back = _back(answer) if answer.last else Text("Nothing has come back so far.", style="dim")
    return Group(pairs(_policy(answer)), "", rows, "", back)


def _policy(answer: "RecoveryStatus") -> Iterator[tuple[str, str]]:
    yield "when one is taken", f"{answer.on_reclaim}, where an instance says nothing else"
    yield "limit", f"{answer.max_per_day} a day, {answer.min_interval_minutes:g} min apart, doubled each time"
    yield "spot machines", f"{answer.spot_instances} are meant to run"


def _rows(rows: "tuple[Recovering, ...]") -> "Table":
    from rich.text import Text

    from novita_gpu.cli.show import columns, moment

    table = columns("NAME", "STAGE", "BY", "LOST AT", "NEXT AT", "TODAY", "REASON", wide={"NAME", "REASON"})
    for one in rows:
        table.add_row(
            Text(one.name),
            Text(one.stage),
            Text(one.by),
            moment(one.lost_at),
            moment(one.next_at),
            Text(f"{one.recoveries_today} of {one.max_per_day}"),
            Text(one.reason),
        )
    return table


def _back(answer: "RecoveryStatus") -> "Table":
    from rich.text import Text

    from novita_gpu.cli.show import columns, moment

    table = columns("CAME BACK", "AT", "LOST", "BY", "REGION", wide={"CAME BACK"})
    for one in answer.last:
        table.add_row(
            Text(one.instance_id), moment(one.at), Text(f"{one.seconds_lost} s"), Text(one.by), Text(one.region)
        )
    return table


def _of_check(answer: "RecoveryReport") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    return Group(_rows(answer.results), "", Text(answer.message)) if answer.results else Text(answer.message)


def _of_failed(answer: "FailedMigrations") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from novita_gpu.cli.show import columns, moment

    table = columns("NAME", "MIGRATION", "AT", "OUTCOME", "REASON", wide={"NAME", "REASON"})
    for one in answer.results:
        what = f"{one.state}: {one.error}" if one.error else one.state
        table.add_row(Text(one.name), Text(what), moment(one.created_at), Text(one.outcome), Text(one.reason))
    return Group(table, "", Text(answer.message)) if answer.results else Text(answer.message)
