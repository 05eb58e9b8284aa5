"""The command that shows what was spent."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from novita_gpu.cli.ask import Ask, asks
from novita_gpu.cli.times import moment_of


def register(app: typer.Typer) -> None:
    @asks(app, "costs")
    async def _costs(
        ask: Ask,
        since: Annotated[
            str | None,
            typer.Option(
                "--since",
                metavar="TIME",
                help="As 2026-01-31T12:00:00Z, 2026-01-31, or 7d for so long ago. [default: as far as is kept]",
            ),
        ] = None,
        until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="The same. [default: now]")] = None,
    ) -> None:
        """Show what was spent, and what bills now.

        With a line for each instance, and how long the balance lasts."""
        from novita_gpu.cli import spending

        now = datetime.now(UTC)
        answer = await ask.client.costs(
            since=moment_of(since, now) if since else None, until=moment_of(until, now) if until else None
        )
        ask.give(answer, lambda: spending.costs(answer))
