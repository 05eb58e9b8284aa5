"""Commands that show whether the service is well, what it does, and what it remembers."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novita_gpu.cli.ask import Ask, asks

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

COLOURS = {
    "healthy": "green",
    "up": "green",
    "degraded": "yellow",
    "unhealthy": "bold red",
    "down": "bold red",
    "disabled": "bright_black",
}


def register(app: typer.Typer) -> None:
    _health(app)
    _metrics(app)
    group = typer.Typer(help="See what is remembered of the cloud, and forget it.", rich_markup_mode=None)
    _cache(group)
    app.add_typer(group, name="cache")


def _health(app: typer.Typer) -> None:
    @asks(app, "health")
    async def _health(ask: Ask) -> None:
        """Show whether the service is well, and why not.

        Ends with 1 when it is unhealthy."""
        told = await ask.client.health()
        ask.give(told, lambda: _of_health(told))
        if told.get("status") == "unhealthy":
            raise typer.Exit(1)


def _metrics(app: typer.Typer) -> None:
    @asks(app, "metrics")
    async def _metrics(
        ask: Ask, all_: Annotated[bool, typer.Option("--all", help="All figures, as JSON with --json.")] = False
    ) -> None:
        """Show what the service did in the last minute."""
        told = await (ask.client.metrics() if all_ else ask.client.metrics_summary())
        ask.give(told, lambda: _of_figures(told["data"]))


def _cache(group: typer.Typer) -> None:
    @asks(group, "stats")
    async def _stats(ask: Ask) -> None:
        """Show each cache: how much it is, how often it helped, how old it is."""
        told = await ask.client.cache_stats()
        ask.give(told, lambda: _of_caches(told))

    @asks(group, "clear")
    async def _clear(
        ask: Ask, name: Annotated[str | None, typer.Argument(metavar="[CACHE]", help="Only this one.")] = None
    ) -> None:
        """Forget one cache, or all. Instances, events and webhooks are no caches."""
        from rich.text import Text

        told = await ask.client.clear_cache(name)
        ask.give(told, lambda: Text(str(told["message"])))


def _of_health(told: Mapping[str, Any]) -> "RenderableType":
    from rich.console import Group

    from novita_gpu.cli.show import pairs

    parts: Mapping[str, Mapping[str, Any]] = told.get("dependencies", {})
    if not parts:
        return Group(pairs(_head(told)), "", pairs((name, _coloured(one)) for name, one in told["services"].items()))
    return Group(pairs(_head(told)), "", _parts(parts))


def _head(told: Mapping[str, Any]) -> "Iterator[tuple[str, str | Text]]":
    from datetime import timedelta

    from novita_gpu.cli.show import span

    yield "service", _coloured(told["status"])
    yield "version", f"{told['version']}, up for {span(timedelta(seconds=told['uptime']))}"
    if redis := told.get("redis"):
        yield "store", str(redis["mode"])
    if upstream := told.get("upstream"):
        circuits = ", ".join(f"{kind} {one['circuit']}" for kind, one in upstream["circuits"].items())
        yield "cloud", circuits
    if done := told.get("performance"):
        yield "last minute", f"{done['requestsPerMinute']:g} requests, {done['averageResponseTimeMs']:g} ms each"


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> "Table":
    from rich.table import Table

    from novita_gpu.cli.show import NONE, ago

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("PART", "IS", "SEEN", "WHY"):
        table.add_column(name, overflow="fold", no_wrap=name != "WHY")
    for name, one in parts.items():
        at = one.get("lastChecked")
        seen = ago(datetime.fromisoformat(at)) if at else NONE
        table.add_row(name, _coloured(one["status"]), seen, _plain(one.get("detail") or ""))
    return table


def _of_figures(data: Mapping[str, Any]) -> "Table":
    from novita_gpu.cli.show import pairs

    return pairs(_flat("", data))


def _flat(before: str, data: Mapping[str, Any]) -> "Iterator[tuple[str, str | Text]]":
    """`performance.requestsPerMinute  12.5`."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{before}{name}.", value)  # pyright: ignore[reportUnknownArgumentType] - JSON
        elif isinstance(value, list):
            yield f"{before}{name}", _plain(", ".join(map(str, value)))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
        else:
            yield f"{before}{name}", _plain(f"{value:,}" if isinstance(value, int | float) else str(value))


def _of_caches(told: Mapping[str, Any]) -> "RenderableType":
    from datetime import timedelta

    from rich.table import Table

    from novita_gpu.cli.show import NONE, span

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("CACHE", "ENTRIES", "BYTES", "HITS", "MISSES", "HIT RATE", "EVICTED", "OLDEST"):
        table.add_column(name, justify="left" if name == "CACHE" else "right", no_wrap=True)
    for name, one in told["cacheManager"]["stats"].items():
        age = told["services"][name].get("ageMs")
        oldest = NONE if age is None else span(timedelta(milliseconds=age))
        counts = (f"{one[key]:,}" for key in ("size", "bytes", "hits", "misses"))
        table.add_row(name, *counts, f"{one['hitRatio']:.0%}", str(one["evictions"]), oldest)
    return table


def _coloured(word: str) -> "Text":
    from rich.text import Text

    return Text(word, style=COLOURS.get(word, ""))


def _plain(text: str) -> "Text":
    from rich.text import Text

    return Text(text)
