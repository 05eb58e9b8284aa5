"""Commands about instances that exist."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from novita_gpu.cli.ask import Ask, Name, Timeout, WaitFor, asks
from novita_gpu.cli.waiting import TIMEOUT_S, give_accepted, wait_for

if TYPE_CHECKING:
    from novita_gpu.client import Accepted
    from novita_gpu.client.options import ListFilters

Receiver = Annotated[str | None, typer.Option("--webhook-url", help="Receiver of this operation's events.")]


def register(app: typer.Typer) -> None:
    _reading(app)
    _wishes(app)


def _reading(app: typer.Typer) -> None:
    @asks(app, "list")
    async def _list(
        ask: Ask,
        status: Annotated[
            list[str] | None, typer.Option("--status", metavar="STATUS", help="Only these; may be repeated.")
        ] = None,
        name: Annotated[str | None, typer.Option("--name", help="Only names that begin so.")] = None,
        region: Annotated[str | None, typer.Option("--region")] = None,
        billing_mode: Annotated[Literal["onDemand", "spot"] | None, typer.Option("--billing-mode")] = None,
        source: Annotated[Literal["all", "local", "novita"] | None, typer.Option("--source")] = None,
        limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
        cursor: Annotated[str | None, typer.Option("--cursor", help="Go on after another page.")] = None,
    ) -> None:
        """List instances, newest first."""
        from novita_gpu.cli import show

        filters: ListFilters = {"limit": limit}
        if status:
            filters["status"] = status
        if name:
            filters["name"] = name
        if region:
            filters["region"] = region
        if billing_mode:
            filters["billing_mode"] = billing_mode
        if source:
            filters["source"] = source
        if cursor:
            filters["cursor"] = cursor
        page = await ask.client.list(**filters)
        ask.give(page, lambda: show.instances(page))

    @asks(app, "get")
    async def _get(ask: Ask, name: Name) -> None:
        """Show one instance: its state, its ports, how to log in."""
        from novita_gpu.cli import show

        one = await ask.client.get(name)
        ask.give(one, lambda: show.instance(one))

    @asks(app, "wait")
    async def _wait(
        ask: Ask,
        name: Name,
        wanted: Annotated[
            list[str] | None,
            typer.Option("--for", metavar="STATUS", help="Status to wait for; may be repeated. [default: ready]"),
        ] = None,
        after: Annotated[int | None, typer.Option("--after", help="Only what comes after this event counts.")] = None,
        timeout: Timeout = TIMEOUT_S,
    ) -> None:
        """Wait until an instance is ready, or in another status."""
        from novita_gpu.cli import show

        one = await wait_for(ask, name, wanted or ["ready"], timeout, after=after)
        ask.give(one, lambda: show.instance(one))


def _wishes(app: typer.Typer) -> None:
    @asks(app, "start")
    async def _start(
        ask: Ask,
        name: Name,
        webhook_url: Receiver = None,
        target_port: Annotated[int | None, typer.Option("--port", help="Probe only this port.")] = None,
        health_path: Annotated[str | None, typer.Option("--health-path", help="Path that the probes ask for.")] = None,
        wait: WaitFor = False,
        timeout: Timeout = TIMEOUT_S,
    ) -> None:
        """Start a stopped instance."""
        from novita_gpu.client.options import StartOptions

        options: StartOptions = {}
        if webhook_url:
            options["webhook_url"] = webhook_url
        if target_port:
            options["target_port"] = target_port
        if health_path:
            options["health_check_config"] = {"path": health_path}
        await _wish(ask, name, lambda: ask.client.start(name, **options), "ready", timeout if wait else None)

    @asks(app, "stop")
    async def _stop(
        ask: Ask, name: Name, webhook_url: Receiver = None, wait: WaitFor = False, timeout: Timeout = TIMEOUT_S
    ) -> None:
        """Stop an instance; its disk stays."""
        options = {"webhook_url": webhook_url} if webhook_url else {}
        await _wish(ask, name, lambda: ask.client.stop(name, **options), "stopped", timeout if wait else None)

    @asks(app, "restart")
    async def _restart(
        ask: Ask, name: Name, webhook_url: Receiver = None, wait: WaitFor = False, timeout: Timeout = TIMEOUT_S
    ) -> None:
        """Restart a running instance."""
        options = {"webhook_url": webhook_url} if webhook_url else {}
        await _wish(ask, name, lambda: ask.client.restart(name, **options), "ready", timeout if wait else None)

    @asks(app, "delete")
    async def _delete(
        ask: Ask, name: Name, webhook_url: Receiver = None, wait: WaitFor = False, timeout: Timeout = TIMEOUT_S
    ) -> None:
        """Delete an instance with its disk."""
        options = {"webhook_url": webhook_url} if webhook_url else {}
        await _wish(ask, name, lambda: ask.client.delete(name, **options), "deleted", timeout if wait else None)


async def _wish(
    ask: Ask, name: str, wish: Callable[[], Awaitable["Accepted"]], wanted: str, wait_s: int | None
) -> None:
    """What was true before the wish is not taken for its outcome."""
    before = 0 if wait_s is None else (await ask.client.get(name)).sequence
    await give_accepted(ask, await wish(), name, wanted, wait_s, before)
