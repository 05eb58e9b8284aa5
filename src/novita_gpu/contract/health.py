"""Health (section 2.9): verdicts for everybody, figures for who has a key."""

from typing import Annotated, Literal

from msgspec import Meta

from novita_gpu.contract.fields import Time
from novita_gpu.contract.metrics import Circuit, PerformanceView, SystemView
from novita_gpu.contract.sync import SyncFault
from novita_gpu.contract.views import View

Verdict = Literal["up", "down", "degraded", "disabled"]


class ServicesView(View, frozen=True, kw_only=True):
    novita_api: Verdict
    job_queue: Verdict
    cache: Verdict
    migration_service: Verdict
    auto_stop: Verdict
    redis: Verdict


class DependencyView(View, frozen=True, kw_only=True):
    """One part of the service, by its verdict."""

    status: Verdict
    response_time_ms: (
        Annotated[
            float,
            Meta(
                description="Of the cloud's last answer, and of the store's. All else is judged by what these two and "
                "this process's memory tell, and has none."
            ),
        ]
        | None
    ) = None
    last_checked: (
        Annotated[
            Time,
            Meta(description="When that was seen which it is judged by; what was never seen, when it was looked for."),
        ]
        | None
    ) = None
    detail: Annotated[str, Meta(description="Why it is not well.")] | None = None


class RedisView(View, frozen=True, kw_only=True):
    configured: bool
    connected: bool
    mode: Literal["redis", "embedded", "fallback"]
    since: (
        Annotated[
            Time,
            Meta(
                description="Since when the store is where `mode` says. Left out where it cannot move: with a private "
                "store alone (`embedded`), and with `REDIS_FALLBACK=false`."
            ),
        ]
        | None
    ) = None


class SyncFoundView(View, frozen=True, kw_only=True):
    """What the last whole comparison with the cloud found. The passes it has rung for have seen to it."""

    novita_instances: int
    local_instances: Annotated[int, Meta(description="Living ones.")]
    adopted: Annotated[int, Meta(description="Machines found by their marker.")]
    updated: int
    closed: Annotated[int, Meta(description="Instances whose machine is gone.")]
    missing: Annotated[int, Meta(description="Instances whose machine is not listed; a get and a later listing tell.")]
    orphans: int


class SyncView(View, frozen=True, kw_only=True):
    """The whole comparison with the cloud: at start, every `SYNC_INTERVAL_MINUTES`, and at a person's wish."""

    last_sync: Annotated[Time, Meta(description="End of the last one that read all and was believed.")] | None = None
    is_locked: Annotated[bool, Meta(description="One is being made now.")]
    locked_by: Annotated[str, Meta(description="The process that makes it.")] | None = None
    duration_ms: Annotated[float, Meta(description="How long the last one took.")] | None = None
    found: SyncFoundView | None = None
    next_sync: Annotated[Time, Meta(description="It takes the place of the first listing after this.")] | None = None
    errors: Annotated[tuple[SyncFault, ...], Meta(description="Why the last try was no sync; nothing was closed.")] = ()
    last_listing: Annotated[Time, Meta(description="End of the last listing of the cloud.")] | None = None
    orphans: Annotated[int, Meta(description="Machines with a marker of ours that no living instance has.")] = 0


class CircuitView(View, frozen=True, kw_only=True):
    circuit: Circuit
    retry_after_ms: Annotated[int, Meta(description="Until the next call is let through.")] | None = None
    out_for_ms: Annotated[int, Meta(description="Since it was last closed.")] | None = None
    fault: Annotated[str, Meta(description="What its last failure was.")] | None = None


class UpstreamView(View, frozen=True, kw_only=True):
    """The cloud as this process sees it: the worst circuit, the soonest retry, and the circuit of each kind of call."""

    circuit: Circuit
    retry_after_ms: int | None = None
    circuits: Annotated[
        dict[str, CircuitView], Meta(description="Of reads, changes (creates, starts…) and stops (with deletes).")
    ]
    last_answer_at: Time | None = None
    clock_skew_ms: Annotated[int, Meta(description="How far this machine's clock is ahead of the cloud's.")] | None = (
        None
    )


class QueueHealth(View, frozen=True, kw_only=True):
    """The work queue and the outbox, of all processes, and who last said that a worker runs."""

    size: Annotated[int, Meta(description="Tasks that are due or in hand.")]
    oldest_age_seconds: Annotated[float, Meta(description="Of the oldest task that is in hand or waits for a hand.")]
    due_age_seconds: Annotated[float, Meta(description="How long the first task for later is overdue.")]
    delivery_age_seconds: Annotated[float, Meta(description="How long the first delivery is overdue.")]
    worker_at: Time | None = None
    worker: str | None = None


class AutoStopHealth(View, frozen=True, kw_only=True):
    last_check_at: Time | None = None
    next_check_at: Annotated[Time, Meta(description="Left out while auto-stop is off.")] | None = None
    late_seconds: Annotated[float, Meta(description="How long the next check is overdue.")] = 0.0
    stops_in_vain: Annotated[
        int, Meta(description="Instances that bill on though their stop or delete was asked for more than three times.")
    ] = 0


class HealthView(View, frozen=True, kw_only=True):
    status: Literal["healthy", "degraded", "unhealthy"]
    timestamp: Time
    uptime: float
    version: str
    services: ServicesView
    reasons: Annotated[tuple[str, ...], Meta(description="Why it is not healthy, a line for each part.")] = ()
    performance: PerformanceView | None = None
    system: SystemView | None = None
    dependencies: dict[str, DependencyView] | None = None
    redis: RedisView | None = None
    sync: SyncView | None = None
    queue: QueueHealth | None = None
    upstream: UpstreamView | None = None
    auto_stop: AutoStopHealth | None = None


class ProbeView(View, frozen=True, kw_only=True):
    """Liveness and readiness of the process."""

    status: Literal["healthy", "unhealthy"]
    reason: Annotated[str, Meta(description="Why no request should come here now.")] | None = None
