"""Auto-stop: what the check found (section 2.6), what a trigger answers, and why an instance is as it is."""

from typing import Annotated, Literal

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Time, Usd
from novita_gpu.contract.views import ErrorView, View
from novita_gpu.domain.activity import Source, State
from novita_gpu.domain.idle import Rule
from novita_gpu.domain.instance import Status, Wish

SAVED_RULE = (
    "Compute at the agreed price from each stop by its own policy until the instance was wanted again or deleted, and "
    "so far where it is still stopped. What would really have been spent nobody can know."
)


Outcome = Literal["none", "due", "warned", "stopping", "failed"]


class Trigger(Request, frozen=True, kw_only=True):
    dry_run: Annotated[bool, Meta(description="Say what would be stopped, and write nothing.")] = True


class CheckView(View, frozen=True, kw_only=True):
    """What one check found. `eligible`: due to be warned of or stopped."""

    total_checked: Annotated[int, Meta(description="Instances that are meant to run.")]
    eligible: int
    stopped: Annotated[int, Meta(description="Of these, those whose stop was decided within the check.")]
    errors: Annotated[int, Meta(description="Of these, those that no pass answered for in time.")]
    dry_run: bool
    duration_ms: float


class TotalsView(View, frozen=True, kw_only=True):
    """Since the store began; stopped and saved of all instances, deleted ones as long as they are kept."""

    checks: int
    stopped: int
    errors: int
    saved_usd: Usd


class AutoStopStats(View, frozen=True, kw_only=True):
    scheduler_running: Annotated[bool, Meta(description="Switched on, and its last check not overdue.")]
    check_interval_minutes: float
    default_inactivity_threshold_minutes: float
    last_check_at: Time | None = None
    next_check_at: Time | None = None
    last_result: CheckView | None = None
    totals: TotalsView
    saved_rule: Annotated[str, Meta(description="How `savedUsd` is made.")]


class VerdictRow(View, frozen=True, kw_only=True):
    """One instance in a check. `outcome`: `none` nothing is due; `due` it would be; else what came of it."""

    instance_id: str
    name: str
    status: Status
    verdict: Annotated[State, Meta(description="What its policy makes of what its sources say.")]
    rule: Annotated[Rule, Meta(description="The rule that would stop it first.")] | None = None
    reason: str
    stops_at: Annotated[Time, Meta(description="As far as is known now.")] | None = None
    outcome: Outcome
    error: ErrorView | None = None


class TriggerView(CheckView, frozen=True, kw_only=True):
    results: tuple[VerdictRow, ...]
    message: str


class SourceView(View, frozen=True, kw_only=True):
    """What one source of activity says."""

    source: Source
    state: State
    at: Annotated[Time, Meta(description="Its last evidence, or the end of a pin.")] | None = None
    reason: str
    decides: Annotated[bool, Meta(description="Its policy looks at it.")]


class IdleView(View, frozen=True, kw_only=True):
    """When its own policy stops it, by what, and what would change that."""

    enabled: bool
    verdict: State
    rule: Rule | None = None
    reason: str
    stops_at: Annotated[Time, Meta(description="As far as is known now.")] | None = None
    warned_at: Annotated[Time, Meta(description="When that was told of.")] | None = None
    sources: tuple[SourceView, ...]
    to_keep_it: Annotated[tuple[str, ...], Meta(description="What would put that off.")]
    a_stop_may_cost: str
    deletes_at: Annotated[Time, Meta(description="It is stopped, and deleted then.")] | None = None


class RegionChoiceView(View, frozen=True, kw_only=True):
    """Why it is where it is: the words of its last attempt."""

    attempt: int
    region: str
    product_id: str
    reason: str
    at: Time


class WaitingView(View, frozen=True, kw_only=True):
    """The next step of its next pass, decided by what is known now."""

    step: Annotated[str, Meta(examples=["rest", "probe", "launch"])]
    reason: str
    until: Time | None = None


class ExplainView(View, frozen=True, kw_only=True):
    """Why an instance is as it is."""

    instance_id: str
    name: str
    status: Status
    desired: Wish
    status_reason: str | None = None
    as_of: Time
    region_choice: RegionChoiceView | None = None
    waiting_for: WaitingView
    auto_stop: IdleView
