"""Recovery of machines that were taken: its state, a check at a person's wish, and migrations that failed."""

from typing import Annotated, Literal

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Time
from novita_gpu.contract.views import View
from novita_gpu.domain.instance import Status

Stage = Literal["due", "waiting", "under way", "limit"]


class RecoveryTrigger(Request, frozen=True, kw_only=True):
    dry_run: Annotated[bool, Meta(description="Say what would be looked at, and ring for nothing.")] = False


class RecoveringView(View, frozen=True, kw_only=True):
    """One instance whose machine was taken. `due`: it begins with the next pass; `limit`: it is given up with it."""

    instance_id: str
    name: str
    status: Status
    stage: Stage
    reason: str
    by: Annotated[str, Meta(description="`migrate` or `recreate`.")]
    lost_at: Time
    begun_at: Time | None = None
    next_at: Annotated[Time, Meta(description="When it begins at the earliest.")] | None = None
    recoveries_today: int
    max_per_day: int


class RecoveredView(View, frozen=True, kw_only=True):
    """One that came back."""

    instance_id: str
    at: Time
    seconds_lost: int
    by: str
    region: str


class RecoveryStatus(View, frozen=True, kw_only=True):
    """The operator's policy, what is being brought back, and what came back last."""

    on_reclaim: Annotated[str, Meta(description="Unless an instance says otherwise.")]
    max_per_day: int
    min_interval_minutes: float
    spot_instances: Annotated[int, Meta(description="Spot machines that are meant to run.")]
    recovering: tuple[RecoveringView, ...]
    last: Annotated[tuple[RecoveredView, ...], Meta(description="The last 20, newest first.")]


class RecoveryReport(View, frozen=True, kw_only=True):
    """What a check found. Without `dryRun` each of them was rung for, and the cloud is looked at."""

    dry_run: bool
    results: tuple[RecoveringView, ...]
    message: str


class FailedMigration(View, frozen=True, kw_only=True):
    """A migration of one of our machines that failed or was broken off."""

    job_id: str
    type: str
    state: str
    error: str | None = None
    created_at: Time | None = None
    instance_id: str
    name: str
    status: Status
    newest: Annotated[bool, Meta(description="No later migration of that machine speaks against it.")]
    outcome: Annotated[Literal["none", "due", "rung"], Meta(description="`none`: nothing is to be done about it.")]
    reason: str


class FailedReport(View, frozen=True, kw_only=True):
    dry_run: bool
    total_checked: Annotated[int, Meta(description="Failed migrations of the last day, whosever machine.")]
    results: Annotated[tuple[FailedMigration, ...], Meta(description="Of our machines only.")]
    message: str
