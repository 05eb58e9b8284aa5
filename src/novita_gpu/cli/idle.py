"""Commands about auto-stop: why an instance is as it is, what keeps it, what the check finds."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from novita_gpu.cli.ask import Ask, Name, asks
from novita_gpu.cli.ending import wrong
from novita_gpu.cli.times import span_of, time_of


def register(app: typer.Typer) -> None:
    _explaining(app)
    _measuring(app)
    _keeping(app)
    _checking(app)


def _explaining(app: typer.Typer) -> None:
    @asks(app, "explain")
    async def _explain(ask: Ask, name: Name) -> None:
        """Say why an instance is as it is, and when it is stopped.

        With what is waited for, each source of activity, and what would put its stop off."""
        from novita_gpu.cli import verdicts

        answer = await ask.client.explain(name)
        ask.give(answer, lambda: verdicts.explanation(answer))


def _measuring(app: typer.Typer) -> None:
    @asks(app, "utilisation")
    async def _utilisation(
        ask: Ask,
        name: Name,
        hours: Annotated[int | None, typer.Option("--hours", min=1, max=24, help="How far back. [default: 1]")] = None,
    ) -> None:
        """Show how busy an instance's GPUs were.

        Of the busiest one, as the cloud measures it, about a minute late."""
        from novita_gpu.cli import use

        answer = await ask.client.utilisation(name, hours=hours)
        ask.give(answer, lambda: use.utilisation(answer))


def _keeping(app: typer.Typer) -> None:
    async def _touch(
        ask: Ask,
        name: Name,
        at: Annotated[
            str | None, typer.Option("--at", metavar="TIME", help="As 2026-01-31T12:00:00Z. [default: now]")
        ] = None,
    ) -> None:
        """Say that an instance is in use: a heartbeat."""
        from rich.text import Text

        answer = await ask.client.last_used(name, time_of(at) if at else None)
        ask.give(answer, lambda: Text(answer.message or "Noted."))

    asks(app, "touch")(_touch)
    asks(app, "last-used", hidden=True)(_touch)

    @asks(app, "pin")
    async def _pin(
        ask: Ask,
        name: Name,
        span: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="As 90m, 2h or 3d.")] = None,
        until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="As 2026-01-31T12:00:00Z.")] = None,
        off: Annotated[bool, typer.Option("--off", help="Take the pin away.")] = False,
    ) -> None:
        """Keep an instance from being stopped for idleness.

        Takes exactly one of --for, --until and --off."""
        from novita_gpu.cli import verdicts

        one = await ask.client.pin(name, _end_of_pin(span, until, datetime.now(UTC), off=off))
        ask.give(one, lambda: verdicts.pinned(one))


def _end_of_pin(span: str | None, until: str | None, now: datetime, *, off: bool) -> datetime | None:
    """None takes the pin away."""
    if [span is not None, until is not None, off].count(True) != 1:
        raise wrong("Exactly one of --for, --until and --off is needed", "As in `novita-gpu pin NAME --for 2h`.")
    if off:
        return None
    end = now + span_of(span) if span is not None else time_of(until or "")
    if end <= now:
        raise wrong("A pin has to end in the future", "--off takes a pin away.")
    return end


def _checking(app: typer.Typer) -> None:
    @asks(app, "auto-stop")
    async def _auto_stop(
        ask: Ask,
        check: Annotated[bool, typer.Option("--check", help="Check now, and say what would be stopped.")] = False,
        for_real: Annotated[bool, typer.Option("--for-real", help="With --check: warn and stop what is due.")] = False,
    ) -> None:
        """Show the check for idle instances, or run it.

        When it runs, what it found last, and what it has saved."""
        from novita_gpu.cli import verdicts

        if for_real and not check:
            raise wrong("--for-real goes with --check", "Write `novita-gpu auto-stop --check --for-real`.")
        if check:
            found = await ask.client.auto_stop_trigger(dry_run=not for_real)
            ask.give(found, lambda: verdicts.check(found))
        else:
            stats = await ask.client.auto_stop_stats()
            ask.give(stats, lambda: verdicts.stats(stats))
