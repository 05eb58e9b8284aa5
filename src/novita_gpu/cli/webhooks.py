"""Commands about webhooks: what was sent, sending again, a test, and a receiver to try with."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from novita_gpu.cli import listen
from novita_gpu.cli.ask import Ask, asks
from novita_gpu.cli.ending import wrong
from novita_gpu.cli.times import moment_of

if TYPE_CHECKING:
    from novita_gpu.client.options import WhichDeliveries

Status = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="STATUS", help="pending, delivered or exhausted; may be repeated."),
]
Of = Annotated[str | None, typer.Option("--instance", metavar="NAME", help="Only of this instance.")]
Kind = Annotated[str | None, typer.Option("--type", help="Only of this type of event.")]
Host = Annotated[str | None, typer.Option("--host", help="Only to this receiver: its host, with its port if any.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="See what was sent to receivers, send it again, try it out.", rich_markup_mode=None)
    _sent(group)
    _trying(group)
    _registered(group)
    app.add_typer(group, name="webhooks")


def _sent(group: typer.Typer) -> None:
    @asks(group, "list")
    async def _list(
        ask: Ask,
        status: Status = None,
        instance: Of = None,
        type: Kind = None,  # noqa: A002 — as the API names it
        host: Host = None,
        limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 30,
        cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where the last page ended.")] = None,
    ) -> None:
        """List what was sent, newest first, with what came of it."""
        from novita_gpu.cli import deliveries

        page: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        answer = await ask.client.deliveries(**_which(status, instance, type, host), limit=limit, **page)  # pyright: ignore[reportArgumentType]
        ask.give(answer, lambda: deliveries.listed(answer))

    @asks(group, "replay")
    async def _replay(
        ask: Ask,
        delivery: Annotated[str | None, typer.Argument(help="Its id.")] = None,
        since: Annotated[
            str | None, typer.Option("--since", metavar="TIME", help="Instead: all since then, as 2026-01-31 or 24h.")
        ] = None,
        until: Annotated[
            str | None, typer.Option("--until", metavar="TIME", help="With --since. [default: now]")
        ] = None,
        status: Status = None,
        instance: Of = None,
        type: Kind = None,  # noqa: A002 — as the API names it
        host: Host = None,
    ) -> None:
        """Send one delivery again, or what has ended in a span of time.

        Receivers see the same webhook-id as before."""
        from rich.text import Text

        if (delivery is None) == (since is None):
            raise wrong("Exactly one of a delivery's id and --since is needed", "`novita-gpu webhooks list` shows ids.")
        if delivery is not None:
            one = await ask.client.replay(delivery)
            return ask.give(one, lambda: Text(f"{one.id} is being sent to {one.host} again."))
        now = datetime.now(UTC)
        end = moment_of(until, now) if until else now
        found = await ask.client.replay_range(moment_of(since or "", now), end, **_which(status, instance, type, host))
        return ask.give(found, lambda: Text(found.message))


def _which(status: list[str] | None, instance: str | None, kind: str | None, host: str | None) -> "WhichDeliveries":
    which: WhichDeliveries = {}
    if status:
        which["status"] = status
    if instance:
        which["instance_id"] = instance
    if kind:
        which["type"] = kind
    if host:
        which["host"] = host
    return which


def _trying(group: typer.Typer) -> None:
    @asks(group, "test")
    async def _test(
        ask: Ask,
        receiver: Annotated[
            str | None, typer.Argument(metavar="[URL]", help="Its address. [default: all who are told of everything]")
        ] = None,
    ) -> None:
        """Send a test event."""
        from rich.text import Text

        answer = await ask.client.test_webhook(receiver)
        ask.give(answer, lambda: Text(answer.message))

    listen.register(group)


Endpoint = Annotated[str, typer.Argument(help="Its id.")]


def _registered(group: typer.Typer) -> None:
    @asks(group, "endpoints")
    async def _endpoints(ask: Ask) -> None:
        """List registered receivers."""
        from novita_gpu.cli import deliveries

        answer = await ask.client.endpoints()
        ask.give(answer, lambda: deliveries.endpoints(answer))

    @asks(group, "add")
    async def _add(
        ask: Ask,
        receiver: Annotated[str, typer.Argument(metavar="URL", help="Its address.")],
        type: Annotated[  # noqa: A002 — as the API names it
            list[str] | None, typer.Option("--type", help="Only events of this type; may be repeated.")
        ] = None,
    ) -> None:
        """Register a receiver, and show its secret this once."""
        from novita_gpu.cli import deliveries

        answer = await ask.client.add_endpoint(receiver, types=type or ())
        ask.give(answer, lambda: deliveries.secret(answer))

    @asks(group, "rotate")
    async def _rotate(ask: Ask, endpoint: Endpoint) -> None:
        """Give a registered receiver a new secret, and show it this once.

        The one before signs too for a day."""
        from novita_gpu.cli import deliveries

        answer = await ask.client.rotate_endpoint(endpoint)
        ask.give(answer, lambda: deliveries.secret(answer))

    @asks(group, "switch")
    async def _switch(
        ask: Ask, endpoint: Endpoint, on: Annotated[bool, typer.Option("--on/--off", help="Which of the two.")]
    ) -> None:
        """Switch a registered receiver on or off."""
        from rich.text import Text

        answer = await ask.client.update_endpoint(endpoint, enabled=on)
        ask.give(answer, lambda: Text(f"{answer.id} is {'on' if answer.enabled else 'off'}."))

    @asks(group, "remove")
    async def _remove(ask: Ask, endpoint: Endpoint) -> None:
        """Remove a registered receiver."""
        from rich.text import Text

        answer = await ask.client.remove_endpoint(endpoint)
        ask.give(answer, lambda: Text(f"{answer.id} is removed."))
