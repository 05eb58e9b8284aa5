"""Commands about keys of the API."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from novita_gpu.cli.ask import Ask, asks
from novita_gpu.cli.times import ahead_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from novita_gpu.client.api_keys import Key, KeyList, NewKey
    from novita_gpu.client.options import KeyLimitOptions, KeyOptions

Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope", metavar="SCOPE", help="read, operate or admin, each with those before it; may be repeated."
    ),
]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="TIME", help="When it ends, as 2027-01-31 or 90d. [default: never]")
]
MaxInstances = Annotated[
    int | None, typer.Option("--max-instances", min=0, help="It may have so many that are not deleted.")
]
MaxUsd = Annotated[
    str | None, typer.Option("--max-usd-per-hour", metavar="USD", help="What they may come to cost together.")
]
Regions = Annotated[list[str] | None, typer.Option("--region", metavar="REGION", help="Only there; may be repeated.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Make, list and revoke keys of the API.", rich_markup_mode=None)
    _making(group)
    _looking(group)
    app.add_typer(group, name="keys")


def _making(group: typer.Typer) -> None:
    @asks(group, "create")
    async def _create(
        ask: Ask,
        name: Annotated[str, typer.Argument(help="What events call it.")],
        scope: Scopes,
        expires: Expires = None,
        max_instances: MaxInstances = None,
        max_usd_per_hour: MaxUsd = None,
        region: Regions = None,
    ) -> None:
        """Make a key, and show it this once.

        Limits need the scope admin: no other key creates."""
        options: KeyOptions = {}
        if expires is not None:
            options["expires_at"] = ahead_of(expires, datetime.now(UTC))
        limits = _limits(max_instances, max_usd_per_hour, region)
        if limits:
            options["limits"] = limits
        answer = await ask.client.add_key(name, scope, **options)  # pyright: ignore[reportArgumentType]
        ask.give(answer, lambda: _made(answer))


def _limits(most: int | None, usd: str | None, regions: list[str] | None) -> "KeyLimitOptions":
    limits: KeyLimitOptions = {}
    if most is not None:
        limits["max_instances"] = most
    if usd is not None:
        limits["max_usd_per_hour"] = usd
    if regions:
        limits["regions"] = regions
    return limits


def _looking(group: typer.Typer) -> None:
    @asks(group, "list")
    async def _list(ask: Ask) -> None:
        """List keys: what they allow, and when they were last used."""
        answer = await ask.client.keys()
        ask.give(answer, lambda: _listed(answer))

    @asks(group, "revoke")
    async def _revoke(
        ask: Ask, which: Annotated[str, typer.Argument(metavar="KEY", help="Its name or its id.")]
    ) -> None:
        """Revoke a key: it lets nobody in any more, and what it holds open ends."""
        from rich.text import Text

        known = {one.name: one.id for one in (await ask.client.keys()).keys}
        answer = await ask.client.revoke_key(known.get(which, which))
        ask.give(answer, lambda: Text(f"{answer.name} ({answer.id}) is revoked."))


def _listed(answer: "KeyList") -> "RenderableType":
    from rich.text import Text

    from novita_gpu.cli.show import columns, moment

    if not answer.keys:
        return Text("There is none but the admin key. `novita-gpu keys create NAME --scope read` makes one.")
    table = columns("ID", "NAME", "SCOPES", "LIMITS", "EXPIRES", "LAST USED", wide={"LIMITS"})
    for key in answer.keys:
        ends = Text("expired", style="bold red") if key.expired else moment(key.expires_at)
        table.add_row(
            Text(key.id), Text(key.name), " ".join(key.scopes), Text(_told(key)), ends, moment(key.last_used_at)
        )
    return table


def _told(key: "Key") -> str:
    limits = key.limits
    if limits is None:
        return "none"
    many = limits.max_instances
    told = [] if many is None else ["1 instance" if many == 1 else f"{many} instances"]
    told += [f"${limits.max_usd_per_hour}/h"] if limits.max_usd_per_hour is not None else []
    return ", ".join([*told, *(limits.regions or ())])


def _made(key: "NewKey") -> "RenderableType":
    """The key is shown here and nowhere else."""
    from novita_gpu.cli.show import moment, pairs

    rows = [("id", key.id), ("name", key.name), ("scopes", " ".join(key.scopes)), ("limits", _told(key))]
    if key.expires_at:
        rows.append(("expires", moment(key.expires_at)))
    return pairs([*rows, ("key, shown this once", key.key)])
