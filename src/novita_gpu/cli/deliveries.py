"""What a person sees of deliveries and registered receivers. Texts of others are never read as markup."""

from rich.console import Group, RenderableType
from rich.text import Text

from novita_gpu.cli.show import NONE, columns, moment, pairs
from novita_gpu.client.webhooks import (
    Attempt,
    Delivery,
    DeliveryList,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookEndpointSecret,
)

COLOURS = {"delivered": "green", "pending": "yellow", "exhausted": "bold red"}


def listed(page: DeliveryList) -> RenderableType:
    """A line for each; the last try says what came of it."""
    more = f"--cursor {page.next_cursor} goes on" if page.next_cursor else ""
    if not page.deliveries:
        return Text(f"No delivery is like that. {more}".strip())
    table = columns(
        "ID", "EVENT", "TO", "STATUS", "TRIES", "LAST ANSWER", "NEXT", right={"TRIES"}, wide={"LAST ANSWER"}
    )
    for one in page.deliveries:
        table.add_row(
            Text(one.id),
            Text(f"#{one.sequence} {one.type}"),
            Text(one.host),
            Text(one.status, style=COLOURS.get(one.status, "")),
            str(len(one.attempts)),
            Text(_last(one)),
            moment(one.next_try_at),
        )
    return Group(table, Text(more, style="dim")) if more else table


def _last(one: Delivery) -> str:
    return _said(one.attempts[-1]) if one.attempts else NONE


def _said(made: Attempt) -> str:
    """One line: the status with the beginning of the answer, or why there was none."""
    answer = " ".join(made.answer.split())[:80]
    told = made.error or " ".join(filter(None, (str(made.status_code or NONE), answer)))
    return f"{told} ({made.duration_ms} ms)"


def endpoints(answer: WebhookEndpointList) -> RenderableType:
    if not answer.endpoints:
        return Text("None is registered. `novita-gpu webhooks add URL` registers one.")
    table = columns("ID", "URL", "EVENTS", "STATE", wide={"URL", "EVENTS", "STATE"})
    for one in answer.endpoints:
        table.add_row(Text(one.id), Text(one.url), Text(", ".join(one.types) or "all"), _state(one))
    return table


def _state(one: WebhookEndpoint) -> Text:
    if not one.enabled:
        return Text(f"off: {one.off_reason or NONE}", style="bold red")
    if one.failing_since:
        return Text(f"failing since {moment(one.failing_since)}", style="yellow")
    return Text("on", style="green")


def secret(made: WebhookEndpointSecret) -> RenderableType:
    """The secret is shown here and nowhere else."""
    rows = [("id", made.id), ("url", made.url), ("secret", made.secret)]
    if made.secret_before_until:
        rows.append(("the one before", f"signs too until {moment(made.secret_before_until)}"))
    return pairs(rows)
