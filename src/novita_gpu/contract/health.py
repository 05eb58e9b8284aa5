"""Health (section 2.9): verdicts for everybody, figures for who has a key."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from novita_gpu.contract.fields import Time
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
    status: Verdict
    response_time_ms: float | None = None
    last_checked: Time | None = None
    detail: str | None = None


class RedisView(View, frozen=True, kw_only=True):
    configured: bool
    connected: bool
    mode: Literal["redis", "embedded", "fallback"]
    since: Time | None = None


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


class UpstreamView(View, frozen=True, kw_only=True):
    circuit: Literal["closed", "open", "half-open"]
    retry_after_ms: int | None = None


class AutoStopHealth(View, frozen=True, kw_only=True):
    last_check_at: Time | None = None
    next_check_at: Time | None = None
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
    performance: dict[str, Any] | None = None
    system: dict[str, Any] | None = None
    dependencies: dict[str, DependencyView] | None = None
    redis: RedisView | None = None
    sync: SyncView | None = None
    upstream: UpstreamView | None = None
    auto_stop: AutoStopHealth | None = None


class ProbeView(View, frozen=True, kw_only=True):
    """Liveness and readiness of the process."""

    status: Literal["healthy", "degraded", "unhealthy"]
