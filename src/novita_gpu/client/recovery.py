"""Recovery of machines that were taken, as the service answers it."""

from datetime import datetime

from novita_gpu.client.answers import Answer, Part


class Recovering(Part, frozen=True, kw_only=True):
    """One whose machine was taken. `stage`: `due`, `waiting` until `next_at`, `under way`, or `limit`."""

    instance_id: str = ""
    name: str = ""
    status: str = ""
    stage: str = ""
    reason: str = ""
    by: str = ""
    lost_at: datetime | None = None
    begun_at: datetime | None = None
    next_at: datetime | None = None
    recoveries_today: int = 0
    max_per_day: int = 0


class Recovered(Part, frozen=True, kw_only=True):
    """One that came back."""

    instance_id: str = ""
    at: datetime | None = None
    seconds_lost: int = 0
    by: str = ""
    region: str = ""


class RecoveryStatus(Answer, frozen=True, kw_only=True):
    """The operator's policy, what is being brought back, and what came back last, newest first."""

    on_reclaim: str = ""
    max_per_day: int = 0
    min_interval_minutes: float = 0
    spot_instances: int = 0
    recovering: tuple[Recovering, ...] = ()
    last: tuple[Recovered, ...] = ()


class RecoveryReport(Answer, frozen=True, kw_only=True):
    """What a check found; without `dry_run` each of them was rung for."""

    dry_run: bool = False
    results: tuple[Recovering, ...] = ()
    message: str = ""


class FailedMigration(Part, frozen=True, kw_only=True):
    """`newest`: no later migration of that machine speaks against it. `outcome`: `none`, `due` or `rung`."""

    job_id: str = ""
    type: str = ""
    state: str = ""
    error: str | None = None
    created_at: datetime | None = None
    instance_id: str = ""
    name: str = ""
    status: str = ""
    newest: bool = False
    outcome: str = ""
    reason: str = ""


class FailedMigrations(Answer, frozen=True, kw_only=True):
    """Of `total_checked` that failed within a day, those of our machines."""

    dry_run: bool = False
    total_checked: int = 0
    results: tuple[FailedMigration, ...] = ()
    message: str = ""
