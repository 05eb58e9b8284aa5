"""What a person sees of money: what an instance would cost, and what was spent."""

from collections.abc import Iterator
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from novita_gpu.cli.show import COLOURS, NONE, columns, given, moment, of_cloud, pairs, price, span, usd
from novita_gpu.client import Costs, Plan
from novita_gpu.client.costs import Balance, InstanceCost, Limits

HOURS_PER_YEAR = 8766


def plan(answer: Plan) -> RenderableType:
    """The offers, then what they mean."""
    head = Text(answer.name, style="bold").append(f"  {answer.image_url}  {answer.rootfs_size} GB disk", style="dim")
    return of_cloud(answer, head, "", _offers(answer), "", pairs(_of_plan(answer)))


def _offers(answer: Plan) -> RenderableType:
    if not answer.offers:
        return Text("Nothing fits." if answer.as_of else "What fits is not known.")
    table = columns("", "REGION", "PRODUCT", "GPUS", "PRICE", "", right={"PRICE"})
    for place, one in enumerate(answer.offers, 1):
        table.add_row(
            f"{place}.",
            Text(one.region),
            Text(one.product_id),
            Text(f"{one.gpu_num} × {one.product_name}"),
            price(one.price_per_hour, one.billing_mode),
            Text(f"empty until {moment(one.empty_until)}" if one.empty_until else "", style="yellow"),
        )
    return table


def _of_plan(answer: Plan) -> Iterator[tuple[str, str | Text]]:
    yield from given("why", answer.why)
    for number, one in enumerate(answer.passed_over):
        yield "" if number else "passed over", f"{one.region}: {one.reason}"
    if spend := answer.spend:
        yield "spend", f"{usd(spend.per_hour)} an hour, {usd(spend.per_day)} a day, {usd(spend.per_month)} in 30 days"
        if spend.disk_per_day:
            yield "disk", f"{usd(spend.disk_per_day)} a day of it, also while it is stopped"
    if answer.ready_in_seconds is not None:
        yield "ready in", f"about {span(timedelta(seconds=answer.ready_in_seconds))}, as our own last launches"
    yield from _of_balance(answer.balance, " with it" if answer.spend else "")
    yield from given("limits", _limits(answer.limits))
    yield from given("auto-stop", answer.message)
    yield from given("a stop may cost", answer.a_stop_may_cost)
    if answer.refusal:
        yield "refused", Text(f"{answer.refusal.code}: {answer.refusal.message}", style="red")


def _of_balance(balance: Balance | None, how: str = "") -> Iterator[tuple[str, str]]:
    if balance is None:
        return
    lasts = "" if balance.hours_left is None else f", lasts {_lasting(balance.hours_left)}{how}"
    yield "balance", f"{usd(balance.available_usd)}{lasts}"


def _lasting(hours: float) -> str:
    return "more than a year" if hours > HOURS_PER_YEAR else span(timedelta(hours=hours))


def _limits(of: Limits) -> str:
    """Those that are set, with what is in use of them."""
    told: list[str] = []
    if of.max_instances is not None:
        told.append(f"{of.instances} of {of.max_instances} instances")
    if of.max_burn_per_hour is not None:
        told.append(f"{usd(of.reserved_per_hour)} of {usd(of.max_burn_per_hour)} an hour reserved")
    if of.max_price_per_hour is not None:
        told.append(f"at most {usd(of.max_price_per_hour)} an hour for one")
    return ", ".join(told)


def costs(answer: Costs) -> RenderableType:
    """A line for each instance and one for all, then what bills now."""
    time = Text(f"From {moment(answer.since)} to {moment(answer.until)}", style="dim")
    shown = _instances(answer) if answer.instances else Text("Nothing was spent.")
    rules = (Text(rule, style="dim") for rule in (answer.rule, answer.saved_rule) if rule)
    return Group(time, "", shown, "", pairs(_now(answer)), "", *rules)


def _instances(answer: Costs) -> RenderableType:
    amounts = ("COST", "COMPUTE", "DISK", "±", "NOW/h", "SAVED")
    table = columns("NAME", "STATUS", *amounts, right=amounts, wide={"NAME"})
    for one in answer.instances:
        table.add_row(Text(one.name), Text(one.status, style=COLOURS.get(one.status, "")), *_amounts(one))
    table.add_row("total", "", *_amounts(answer), style="bold")
    return table


def _amounts(of: Costs | InstanceCost) -> Iterator[str]:
    for amount in (of.cost_usd, of.compute_usd, of.disk_usd, of.uncertain_usd, of.burn_per_hour, of.saved_usd):
        yield usd(amount) if amount else NONE


def _now(answer: Costs) -> Iterator[tuple[str, str]]:
    yield "now", usd(answer.burn_per_hour, "/h")
    yield "saved", f"{usd(answer.saved_usd)} by auto-stop, in all"
    yield from _of_balance(answer.balance)
    yield from given("limits", _limits(answer.limits))
