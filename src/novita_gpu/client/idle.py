"""Auto-stop, as the service answers it: what a check found, what was saved, and why an instance is as it is."""

from datetime import datetime
from decimal import Decimal

from novita_gpu.client.answers import Answer, Failure, Part


class Check(Answer, frozen=True, kw_only=True):
    """Of `total_checked` that are meant to run, those due to be warned of or stopped, and what came of these."""

    total_checked: int = 0
    eligible: int = 0
    stopped: int = 0
    errors: int = 0
    dry_run: bool = False
    duration_ms: float = 0


class Totals(Part, frozen=True, kw_only=True):
    """Since the store began; stopped and saved of all instances, deleted ones as long as they are kept."""

    checks: int = 0
    stopped: int = 0
    errors: int = 0
    saved_usd: Decimal = Decimal(0)


class AutoStopStats(Answer, frozen=True, kw_only=True):
    """`scheduler_running`: switched on, and its last check not overdue. `saved_rule` says how savings are made."""

    scheduler_running: bool = False
    check_interval_minutes: float = 0
    default_inactivity_threshold_minutes: float = 0
    last_check_at: datetime | None = None
    next_check_at: datetime | None = None
    last_result: Check | None = None
    totals: Totals = Totals()
    saved_rule: str = ""


class Verdict(Part, frozen=True, kw_only=True):
    """One instance in a check. `outcome`: none (nothing is due), due (it would be), warned, stopping or failed.

    `rule` would stop it first, at `stops_at` as far as is known now.
    """

    instance_id: str = ""
    name: str = ""
    status: str = ""
    verdict: str = ""
    rule: str | None = None
    reason: str = ""
    stops_at: datetime | None = None
    outcome: str = ""
    error: Failure | None = None


class Triggered(Check, frozen=True, kw_only=True):
    """A check at a person's wish, with each instance that it looked at."""

    results: tuple[Verdict, ...] = ()
    message: str = ""


class Source(Part, frozen=True, kw_only=True):
    """What one source of activity says. `at`: its last evidence, or a pin's end. `decides`: the policy looks at it."""

    source: str = ""
    state: str = ""
    at: datetime | None = None
    reason: str = ""
    decides: bool = False


class Idleness(Part, frozen=True, kw_only=True):
    """When its own policy stops it and by what `rule`, as far as is known now; `to_keep_it`: what would put that off.

    `deletes_at`: it is stopped, and deleted then.
    """

    enabled: bool = False
    verdict: str = ""
    rule: str | None = None
    reason: str = ""
    stops_at: datetime | None = None
    warned_at: datetime | None = None
    sources: tuple[Source, ...] = ()
    to_keep_it: tuple[str, ...] = ()
    a_stop_may_cost: str = ""
    deletes_at: datetime | None = None


class RegionChoice(Part, frozen=True, kw_only=True):
    """Why it is where it is: the words of its last attempt."""

    attempt: int = 0
    region: str = ""
    product_id: str = ""
    reason: str = ""
    at: datetime | None = None


class Waiting(Part, frozen=True, kw_only=True):
    """The next step of its next pass, decided by what is known now."""

    step: str = ""
    reason: str = ""
    until: datetime | None = None


class UsePoint(Part, frozen=True, kw_only=True):
    """Of the busiest GPU, in percent. None: the cloud did not measure it."""

    at: datetime | None = None
    gpu: float | None = None
    gpu_memory: float | None = None


class Utilisation(Answer, frozen=True, kw_only=True):
    """How busy an instance was. `stale`: why there is nothing newer."""

    instance_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    stale: str | None = None
    points: tuple[UsePoint, ...] = ()


class Explanation(Answer, frozen=True, kw_only=True):
    """Why an instance is as it is."""

    instance_id: str = ""
    name: str = ""
    status: str = ""
    desired: str = ""
    status_reason: str | None = None
    as_of: datetime | None = None
    region_choice: RegionChoice | None = None
    waiting_for: Waiting = Waiting()
    auto_stop: Idleness = Idleness()
