"""What a person sees: tables, one instance, progress. Texts of others are never read as markup."""

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from novita_gpu.client import Accepted, Event, Instance, InstanceList
from novita_gpu.client.answers import AutoStop, Bulk, Orphan, Synced
from novita_gpu.client.catalogue import OfCloud

COLOURS = {
    "ready": "green",
    "running": "cyan",
    "creating": "yellow",
    "starting": "yellow",
    "migrating": "yellow",
    "stopping": "yellow",
    "deleting": "yellow",
    "failed": "bold red",
    "stopped": "bright_black",
    "deleted": "bright_black",
}
NONE = "–"


def console(*, stderr: bool = False) -> Console:
    """Without a terminal a line is as long as it is, so that what reads it need not join lines."""
    known = Console(stderr=stderr, highlight=False)
    return known if known.is_terminal else Console(stderr=stderr, highlight=False, width=240)


def now() -> datetime:
    return datetime.now(UTC)


def span(length: timedelta) -> str:
    """`42 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 1:
        return f"{seconds} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60:02} min"
    return f"{days} d {hours % 24} h"


def ago(at: datetime | None) -> str:
    return f"{span(now() - at)} ago" if at else NONE


def clock(length: timedelta) -> str:
    """`0:42`, `12:05`, `1:02:03`."""
    seconds = max(0, int(length.total_seconds()))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def since(instance: Instance) -> datetime | None:
    """Since when it is in its status, where the answer tells."""
    return {
        "ready": instance.ready_at,
        "running": instance.started_at,
        "creating": instance.created_at,
        "stopped": instance.stopped_at,
        "deleted": instance.deleted_at,
        "failed": instance.error and instance.error.at,
    }.get(instance.status)


def status(instance: Instance) -> Text:
    """In its colour, with how long it is so."""
    text = Text(instance.status or NONE, style=COLOURS.get(instance.status, ""))
    at = since(instance)
    return text.append(f" {span(now() - at)}", style="dim") if at else text


def usd(amount: Decimal | None, unit: str = "") -> str:
    """Below one dollar with four places."""
    if amount is None:
        return NONE
    return f"{'-' if amount < 0 else ''}${abs(amount):.{4 if abs(amount) < 1 else 2}f}{unit}"


def price(amount: Decimal | None, billing_mode: str) -> str:
    text = usd(amount, "/h")
    return f"{text} spot" if billing_mode == "spot" else text


def columns(*headings: str, right: Container[str] = (), wide: Container[str] = ()) -> Table:
    """A table whose rows are one line each, but for what is `wide` where there is no room."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        justify = "right" if heading in right else "left"
        table.add_column(
            heading, justify=justify, no_wrap=heading not in wide, overflow="fold" if heading in wide else "ellipsis"
        )
    return table


def pairs(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names, dim, with their values."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value) if isinstance(value, str) else value)
    return table


def of_cloud(answer: OfCloud, *shown: RenderableType) -> RenderableType:
    """With a last line when the cloud does not answer and what is shown is older."""
    if not answer.stale:
        return Group(*shown)
    text = "The cloud does not answer now"
    text += f" ({answer.fault.rstrip('.')})" if answer.fault else ""
    text += f"; this is as of {moment(answer.as_of)}." if answer.as_of else "; what it sells is not known."
    return Group(*shown, Text(text, style="yellow"))


def instances(page: InstanceList) -> RenderableType:
    if not page.instances:
        return Text("No instances. `novita-gpu create --help` shows how to make one.")
    headings = ("NAME", "STATUS", "GPU", "REGION", "PRICE", "COST", "READY SINCE", "LAST ACTIVITY")
    table = columns(*headings, right={"PRICE", "COST"})
    for one in page.instances:
        table.add_row(
            Text(one.name),
            status(one),
            Text(f"{one.gpu_num} × {one.product_name}"),
            Text(one.region or NONE),
            price(one.price_per_hour, one.billing_mode),
            usd(one.cost_usd),
            moment(_ready_since(one)),
            ago(one.auto_stop.last_activity_at or one.last_used_at),
        )
    if len(page.instances) >= page.total:
        return table
    more = f"{len(page.instances)} of {page.total}"
    return Group(table, Text(f"{more}; --cursor {page.next_cursor} goes on" if page.next_cursor else more, style="dim"))


def moment(at: datetime | None) -> str:
    """Local time, with the day unless it is today."""
    if at is None:
        return NONE
    local = at.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == datetime.now().astimezone().date() else f"{local:%Y-%m-%d %H:%M}"


def _ready_since(one: Instance) -> datetime | None:
    """The time of a run that has ended stays in the answer."""
    return one.ready_at if one.status == "ready" else None


def instance(one: Instance) -> RenderableType:
    return pairs(_facts(one))


def _facts(one: Instance) -> Iterator[tuple[str, str | Text]]:
    yield "name", one.name
    yield "status", status(one)
    if one.error:
        yield "error", Text(f"{one.error.code}: {one.error.message}", style="red")
    yield from given("because", one.status_reason)
    yield "id", one.id
    yield from given("cloud's id", one.novita_instance_id)
    yield "GPU", f"{one.gpu_num} × {one.product_name}"
    yield from given("region", one.region)
    yield "price", price(one.price_per_hour, one.billing_mode)
    yield "cost", usd(one.cost_usd)
    yield from given("image", one.image_url)
    yield "created", moment(one.created_at)
    if ready_at := _ready_since(one):
        yield "ready since", moment(ready_at)
    yield from _of_use(one)
    for port in one.port_mappings:
        health = {True: " healthy", False: " not healthy", None: ""}[port.healthy]
        yield f"port {port.port}", f"{port.endpoint}{health}"
    yield from given("ssh", one.connection_details.ssh)
    yield from given("password", one.connection_details.ssh_password)
    yield from given("jupyter", one.connection_details.jupyter)
    yield from given("terminal", one.connection_details.web_terminal)


def given(name: str, value: str | None) -> Iterator[tuple[str, str]]:
    """Nothing where there is no value."""
    if value:
        yield name, value


def _of_use(one: Instance) -> Iterator[tuple[str, str]]:
    policy = one.auto_stop
    yield "last activity", ago(policy.last_activity_at or one.last_used_at)
    at = f"at {moment(policy.stops_at)}, " if policy.stops_at else ""
    yield "auto-stop", f"{at}{_rules(policy)}"
    if policy.pinned_until and policy.pinned_until > now():
        yield "pinned until", moment(policy.pinned_until)


def _rules(policy: AutoStop) -> str:
    """By which it is stopped."""
    idle = f"after {policy.idle_minutes} min without activity" if policy.enabled else ""
    lifetime = f"after {policy.max_lifetime_minutes} min of running" if policy.max_lifetime_minutes else ""
    return " or ".join(filter(None, (idle, lifetime))) or "off"


def accepted(answer: Accepted) -> RenderableType:
    """The wish as it was taken, with what it will cost and when it may be there."""
    text = Text(answer.message or "Accepted.")
    text.append(f"\n{answer.instance_id}  ", style="dim").append(answer.status, style=COLOURS.get(answer.status, ""))
    if answer.region:
        text.append(f"  {answer.region}")
    if answer.price_per_hour is not None:
        text.append(f"  {usd(answer.price_per_hour, '/h')}")
    if answer.estimated_ready_time:
        text.append(f"  ready in about {span(answer.estimated_ready_time - now())}")
    return text


def synced(answer: Synced) -> RenderableType:
    """What was found, then each machine that nobody has, and what went wrong."""
    shown: list[RenderableType] = [pairs((name, str(value)) for name, value in _found(answer))]
    unclaimed = [("orphan", one) for one in answer.orphans] + [("lookalike", one) for one in answer.lookalikes]
    if unclaimed:
        shown.append(_unclaimed(unclaimed))
    for fault in answer.errors:
        about = f" {fault.novita_instance_id}" if fault.novita_instance_id else ""
        shown.append(Text(f"{fault.code}{about}: {fault.message}", style="red"))
    if answer.dry_run:
        shown.append(Text("Nothing was written: this was a dry run.", style="dim"))
    return Group(*shown)


def _found(answer: Synced) -> Iterator[tuple[str, str | int]]:
    yield "in the cloud", answer.novita_instances
    yield "instances", answer.local_instances
    yield "adopted", answer.adopted
    yield "updated", answer.updated
    yield "closed", answer.closed
    yield "missing", answer.missing
    yield "orphans", len(answer.orphans)
    yield "orphans removed", answer.orphans_removed
    for one in answer.adoptions:
        yield "taken in", f"{one.novita_instance_id} as {one.name}"
    if answer.confirmed_gone:
        yield "confirmed gone", ", ".join(answer.confirmed_gone)


def last_sync(known: dict[str, Any]) -> RenderableType:
    """When all was compared last and what it found, as health tells it."""
    found = known.get("found", {})
    rows = [
        ("last", _told(known, "lastSync", "never")),
        ("took", f"{known['durationMs']:.0f} ms" if "durationMs" in known else NONE),
        ("under way", known.get("lockedBy", "yes") if known.get("isLocked") else "no"),
        ("next after", _told(known, "nextSync", NONE)),
        ("in the cloud", str(found.get("novitaInstances", NONE))),
        ("instances", str(found.get("localInstances", NONE))),
        *((name, str(found.get(name, NONE))) for name in ("adopted", "updated", "closed", "missing", "orphans")),
    ]
    faults = (Text(f"{one['code']}: {one['message']}", style="red") for one in known.get("errors", ()))
    return Group(pairs(rows), *faults)


def _told(known: dict[str, Any], name: str, otherwise: str) -> str:
    return moment(datetime.fromisoformat(known[name])) if name in known else otherwise


def bulk(answer: Bulk) -> RenderableType:
    """A row for each, with what went wrong."""
    table = columns("NAME", "STATUS", "ERROR", wide={"ERROR"})
    for row in answer.results:
        error = f"{row.error.code}: {row.error.message}" if row.error else ""
        table.add_row(Text(row.name), Text(row.status, style=COLOURS.get(row.status, "")), Text(error, style="red"))
    return table


def _unclaimed(rows: list[tuple[str, Orphan]]) -> Table:
    table = columns("NOBODY'S", "CLOUD'S ID", "NAME", "SINCE", "PRICE", "KEPT BECAUSE", wide={"KEPT BECAUSE"})
    for kind, one in rows:
        told = (one.novita_instance_id, one.name, moment(one.since), usd(one.usd_per_hour, "/h"))
        table.add_row(kind, *map(Text, told), Text(one.held_back or NONE))
    return table


def event(one: Event) -> Text:
    text = Text().append(f"{moment(one.timestamp)}  #{one.sequence:<5} ", style="dim")
    text.append(f"{one.type:<24}", style=COLOURS.get(one.type.removeprefix("instance."), ""))
    text.append(f"  {one.data.instance.name if one.data.instance else one.data.instance_id or NONE}")
    if one.data.previous_status:
        text.append(f"  was {one.data.previous_status}", style="dim")
    return text.append(f"  {one.data.reason}") if one.data.reason else text


class Progress:
    """One line that says what is waited for. Rendered anew several times a second."""

    def __init__(
        self, name: str, estimate: datetime | None, began: datetime, time: Callable[[], datetime] = now
    ) -> None:
        self._name = name
        self._estimate = estimate
        self._began = began
        self._time = time
        self.seen: Instance | None = None

    def __rich__(self) -> Text:
        phase = self.seen.status if self.seen else "accepted"
        text = Text(f"{self.seen.name if self.seen else self._name}  ").append(phase, style=COLOURS.get(phase, ""))
        text.append(f"  {clock(self._time() - self._began)}", style="dim")
        if self._estimate:
            left = self._estimate - self._time()
            text.append(f"  ready in about {span(left)}" if left > timedelta(0) else "  longer than usual", style="dim")
        if self.seen and self.seen.status_reason:
            text.append(f"  {self.seen.status_reason}", style="dim")
        return text
