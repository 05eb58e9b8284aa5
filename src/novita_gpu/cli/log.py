"""The command that shows what happens."""

from typing import Annotated

import typer

from novita_gpu.cli.ask import Ask, asks


def register(app: typer.Typer) -> None:
    @asks(app, "events")
    async def _events(
        ask: Ask,
        name: Annotated[str | None, typer.Argument(help="Only of this instance.")] = None,
        follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as things happen.")] = False,
        after: Annotated[int | None, typer.Option("--after", help="Only events after this sequence.")] = None,
        type: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,  # noqa: A002 — as the API names it
    ) -> None:
        """Show what happened, oldest first.

        With --json one event a line."""
        from novita_gpu.cli import show

        async for event in ask.client.events(follow=follow, after=after, type=type, instance=name):
            ask.give(event, lambda one=event: show.event(one))
