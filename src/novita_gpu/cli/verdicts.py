"""What a person sees of auto-stop: why an instance is as it is, what a check found, what was saved."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from novita_gpu.cli.show import COLOURS, NONE, columns, given, moment, now, pairs, span, usd
from novita_gpu.client import AutoStopStats, Explanation, Instance, Triggered
from novita_gpu.client.idle import Check, Idleness, Source, Verdict, Waiting

STATES = {"active": "green", "idle": "yellow", "unknown": "magenta"}
OUTCOMES = {"due": "yellow", "warned": "yellow", "stopping": "yellow", "failed": "red"}
RULES = {"idle": "idleness", "lifetime": "its lifetime"}
COMMANDS = {"heartbeat": "novita-gpu touch {}", "pin": "novita-gpu pin {} --for 2h"}


def explanation(answer: Explanation) -> RenderableType:
    """Its state, then what its sources of activity say, then what comes of that."""
    head = Text(answer.name, style="bold").append("  ")
    head.append(answer.status, style=COLOURS.get(answer.status, ""))
    head.append(f"  as of {moment(answer.as_of)}", style="dim")
    shown: list[RenderableType] = [head, "", pairs(_of_state(answer)), "", pairs(_verdict(answer.auto_stop))]
    if answer.auto_stop.sources:
        shown += ["", _sources(answer.auto_stop.sources)]
    return Group(*shown, "", pairs(_of_stop(answer, answer.as_of or now())))


def _of_state(answer: Explanation) -> Iterator[tuple[str, str]]:
    yield "meant to be", answer.desired
    yield from given("because", answer.status_reason)
    if choice := answer.region_choice:
        yield "region", f"{choice.region}, {choice.product_id}, by attempt {choice.attempt} at {moment(choice.at)}"
        yield from given("", choice.reason)
    yield "next step", _step(answer.waiting_for)


def _step(waiting: Waiting) -> str:
    until = f" until {moment(waiting.until)}" if waiting.until else ""
    return f"{waiting.step}{until}{': ' if waiting.reason else ''}{waiting.reason}"


def _verdict(idle: Idleness) -> Iterator[tuple[str, str | Text]]:
    yield "auto-stop", "on" if idle.enabled else "off for idleness"
    yield "verdict", _state(idle.verdict).append(f": {idle.reason}", style="default")


def _state(state: str) -> Text:
    return Text(state or NONE, style=STATES.get(state, ""))


def _sources(sources: tuple[Source, ...]) -> Table:
    table = columns("SOURCE", "STATE", "EVIDENCE", "DECIDES", "REASON", wide={"REASON"})
    for one in sources:
        decides = "yes" if one.decides else "no"
        table.add_row(Text(one.source), _state(one.state), moment(one.at), decides, Text(one.reason))
    return table


def _of_stop(answer: Explanation, as_of: datetime) -> Iterator[tuple[str, str]]:
    idle = answer.auto_stop
    if idle.stops_at:
        yield "stops at", f"{_due(idle.stops_at, as_of)}, by {_rule(idle.rule)}, as far as is known now"
    if idle.warned_at:
        yield "warned at", moment(idle.warned_at)
    if idle.deletes_at:
        yield "deleted at", _due(idle.deletes_at, as_of)
    for number, way in enumerate(idle.to_keep_it):
        yield "" if number else "put off by", way
    yield from given("commands", _commands(answer))
    yield from given("a stop may cost", idle.a_stop_may_cost)


def _due(at: datetime, as_of: datetime) -> str:
    return f"{moment(at)}, {f'in {span(at - as_of)}' if at > as_of else f'due for {span(as_of - at)}'}"


def _rule(rule: str | None) -> str:
    return RULES.get(rule or "", rule or NONE)


def _commands(answer: Explanation) -> str:
    """Those that put off a stop for idleness."""
    if answer.auto_stop.rule != "idle":
        return ""
    deciding = (one.source for one in answer.auto_stop.sources if one.decides)
    return ", ".join(COMMANDS[source].format(answer.name) for source in deciding if source in COMMANDS)


def pinned(one: Instance) -> RenderableType:
    policy = one.auto_stop
    pin = f"pinned until {moment(policy.pinned_until)}" if policy.pinned_until else "not pinned"
    stop = f" As far as is known now it is stopped at {moment(policy.stops_at)}." if policy.stops_at else ""
    return Text(f"{one.name} is {pin}.{stop}")


def check(answer: Triggered) -> RenderableType:
    """A line for each instance, then what came of it."""
    shown = _rows(answer.results) if answer.results else Text("No instance is meant to run.")
    return Group(shown, "", Text(answer.message))


def _rows(rows: tuple[Verdict, ...]) -> Table:
    headings = ("NAME", "VERDICT", "RULE", "STOPS AT", "OUTCOME", "REASON")
    table = columns(*headings, wide={"NAME", "REASON"})
    for one in rows:
        table.add_row(
            Text(one.name),
            _state(one.verdict),
            Text(one.rule or NONE),
            moment(one.stops_at),
            Text(one.outcome, style=OUTCOMES.get(one.outcome, "")),
            Text(f"{one.error.code}: {one.error.message}", style="red") if one.error else Text(one.reason),
        )
    return table


def stats(answer: AutoStopStats) -> RenderableType:
    return Group(pairs(_of_checks(answer)), "", Text(answer.saved_rule, style="dim"))


def _of_checks(answer: AutoStopStats) -> Iterator[tuple[str, str | Text]]:
    running = answer.scheduler_running
    yield "scheduler", Text("running" if running else "not running", style="green" if running else "red")
    yield "checks", f"every {span(timedelta(minutes=answer.check_interval_minutes))}"
    yield "last", moment(answer.last_check_at)
    yield "next", moment(answer.next_check_at)
    if answer.last_result:
        yield "last result", _counts(answer.last_result)
    yield (
        "idle after",
        f"{answer.default_inactivity_threshold_minutes:g} min, where an instance has no limit of its own",
    )
    totals = answer.totals
    yield "in all", f"{totals.checks} checks, {totals.stopped} stopped, {totals.errors} failed"
    yield "saved", usd(totals.saved_usd)


def _counts(found: Check) -> str:
    counts = f"{found.total_checked} checked, {found.eligible} due, {found.stopped} stopped, {found.errors} failed"
    return f"{counts}, in {found.duration_ms:g} ms"
