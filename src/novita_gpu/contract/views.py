"""What is answered: the instance (section 2.3), what a wish is answered with, and rows of a bulk."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from novita_gpu.contract.fields import Time, Usd, host_alone, time_text
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.bill import spent
from novita_gpu.domain.idle import DEFAULT, IdlePolicy, idle_since, stop_due, stops_at
from novita_gpu.domain.instance import Connection, Offer, Readiness, Record, Status, Wish, status
from novita_gpu.domain.money import price_text, usd_of_grains, usd_text
from novita_gpu.domain.spec import Activity, BillingMode
from novita_gpu.hidden import Discreet, Secret

# While a machine is in one of these, what was read of this run's ports and passwords is still true.
CONNECTED = frozenset({Status.RUNNING, Status.READY})
# While it is in one of these, this run's probes tell something.
PROBED = frozenset({Status.CREATING, Status.STARTING, Status.RUNNING, Status.READY})


class View(Discreet, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is answered. A field with a default is left out when it has it; all others are always there."""


class ErrorView(View, frozen=True, kw_only=True):
    code: str
    message: str
    at: Time | None = None


class PortView(View, frozen=True, kw_only=True):
    port: int
    type: str
    endpoint: str
    healthy: bool | None = None


class ConnectionView(View, frozen=True, kw_only=True):
    ssh: str | None = None
    ssh_password: Annotated[Secret, Meta(description="Only in the answer for one instance, with `operate`.")] | None = (
        None
    )
    jupyter: str | None = None
    web_terminal: str | None = None


class EndpointView(View, frozen=True, kw_only=True):
    port: int
    endpoint: str
    healthy: bool
    status_code: int | None = None
    error: str | None = None
    response_time_ms: int


class ReadinessView(View, frozen=True, kw_only=True):
    state: Literal["pending", "probing", "ready", "failed"]
    checked_at: Time | None = None
    endpoints: tuple[EndpointView, ...]


class ImageView(View, frozen=True, kw_only=True):
    """The image that was saved of it at the last notice."""

    address: str
    state: Literal["asked", "saving", "saved", "failed"]
    asked_at: Time
    error: str | None = None


class SpotView(View, frozen=True, kw_only=True):
    status: Annotated[str, Meta(description="The cloud's own word; empty where it says none.")]
    reclaim_at: Time | None = None
    image: ImageView | None = None


class AutoStopView(View, frozen=True, kw_only=True):
    enabled: bool
    idle_minutes: int
    activity: Activity
    max_lifetime_minutes: int | None = None
    pinned_until: Time | None = None
    last_activity_at: Time | None = None
    last_activity_source: (
        Annotated[
            Literal["heartbeat", "gpu", "ready", "listening"],
            Meta(description="`listening`: heartbeats before then may be lost, as this service took none."),
        ]
        | None
    ) = None
    stops_at: Time | None = None


class InstanceView(View, frozen=True, kw_only=True):
    """One instance."""

    id: Annotated[str, Meta(examples=["ins_01jh2v6m3k4n5p6q7r8s9t0v1w"])]
    name: str
    status: Status
    desired: Wish
    status_reason: str | None = None
    error: ErrorView | None = None
    novita_instance_id: str | None = None
    novita_status: Annotated[str, Meta(description="The cloud's own word.")] | None = None
    product_id: str | None = None
    product_name: str
    gpu_num: int
    cpu_num: int | None = None
    memory_gb: int | None = None
    rootfs_size: Annotated[int, Meta(description="GB")]
    region: str | None = None
    cluster_id: str | None = None
    billing_mode: BillingMode
    price_per_hour: Usd | None = None
    cost_usd: Usd
    image_url: str | None = None
    template_id: str | None = None
    envs: Annotated[tuple[str, ...], Meta(description="Names only; values are never answered.")]
    port_mappings: tuple[PortView, ...]
    connection_details: ConnectionView
    readiness: ReadinessView
    spot: SpotView | None = None
    auto_stop: AutoStopView
    webhook_url: (
        Annotated[str, Meta(description="Whole in the answer for one instance, with `operate`; else its host alone.")]
        | None
    ) = None
    created_at: Time
    started_at: Time | None = None
    ready_at: Time | None = None
    last_used_at: Time | None = None
    stopped_at: Time | None = None
    deleted_at: Time | None = None
    last_seen_at: Time | None = None
    sequence: Annotated[int, Meta(description="Of its last event.")]


class InstanceList(View, frozen=True, kw_only=True):
    instances: tuple[InstanceView, ...]
    total: int
    next_cursor: str | None = None


class Accepted(View, frozen=True, kw_only=True):
    """The wish is stored and will come about; the cloud was not waited for."""

    instance_id: str
    novita_instance_id: str | None = None
    operation_id: str
    status: Status
    message: str
    estimated_ready_time: Time | None = None
    region: str | None = None
    product_id: str | None = None
    price_per_hour: Usd | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What a wish came to. `kept`: the answer was stored in the commit, for the request's Idempotency-Key."""

    accepted: Accepted
    began: bool
    created: bool = False
    kept: bool = False


class LastUsedView(View, frozen=True, kw_only=True):
    instance_id: str
    last_used_at: Time
    message: str


class BulkRow(View, frozen=True, kw_only=True):
    instance_id: str
    name: str
    status: Status
    error: ErrorView | None = None


class BulkView(View, frozen=True, kw_only=True):
    count: int
    results: tuple[BulkRow, ...]


def instance_view(
    record: Record,
    *,
    heard: Heard,
    idle: IdlePolicy = DEFAULT,
    secrets: bool = False,
    as_of: datetime | None = None,
) -> InstanceView:
    """Section 2.3. `secrets` shows the password and the whole receiver.

    The cost runs until `as_of`, else until the last change.
    """
    now_is = status(record)
    offer = record.offer if record.machine or record.open_attempt else None
    spec = record.spec
    seen = record.seen
    connection = record.run.connection if now_is in CONNECTED else None
    return InstanceView(
        id=record.id,
        name=record.name,
        status=now_is,
        desired=record.wants,
        status_reason=record.reason,
        error=_error(record),
        novita_instance_id=record.machine.id if record.machine else None,
        novita_status=seen.status if seen else None,
        product_id=offer.product_id if offer else spec.product_id,
        product_name=offer.product_name if offer else spec.product_name or spec.product_id or "",
        gpu_num=spec.gpu_num,
        cpu_num=offer.cpu_num if offer else None,
        memory_gb=offer.memory_gb if offer else None,
        rootfs_size=spec.rootfs_size_gb,
        region=offer.region if offer else None,
        cluster_id=offer.cluster_id if offer else None,
        billing_mode=offer.billing_mode if offer else spec.billing_mode,
        price_per_hour=_price(offer),
        cost_usd=_cost(record, as_of or record.updated_at),
        image_url=spec.image_url,
        template_id=spec.template_id,
        envs=tuple(e.key for e in spec.envs),
        port_mappings=_ports(connection, record.run.readiness),
        connection_details=_connection(connection, secrets=secrets),
        readiness=_readiness(record.run.readiness if now_is in PROBED else Readiness()),
        spot=_spot(record),
        auto_stop=_auto_stop(record, heard, idle),
        webhook_url=record.webhook_url if secrets or not record.webhook_url else host_alone(record.webhook_url),
        created_at=time_text(record.created_at),
        started_at=_time(record.started_at),
        ready_at=_time(record.ready_at),
        last_used_at=_time(heard.last),
        stopped_at=_time(record.stopped_at),
        deleted_at=_time(record.deleted_at),
        last_seen_at=_time(seen and seen.at),
        sequence=record.sequence,
    )


def _time(at: datetime | None) -> str | None:
    return time_text(at) if at else None


def _error(record: Record) -> ErrorView | None:
    failure = record.failure
    return failure and ErrorView(code=failure.code, message=failure.message, at=time_text(failure.at))


def _price(offer: Offer | None) -> str | None:
    """None also for a machine that was taken in and whose price nobody knows."""
    return price_text(offer.units_per_hour) if offer and offer.units_per_hour else None


def _cost(record: Record, until: datetime) -> str:
    return usd_text(usd_of_grains(spent(record.bill, until).total))


def _ports(connection: Connection | None, readiness: Readiness) -> tuple[PortView, ...]:
    healthy = {e.port: e.healthy for e in readiness.endpoints}
    return tuple(
        PortView(port=p.port, type=p.type, endpoint=p.endpoint, healthy=healthy.get(p.port))
        for p in (connection.ports if connection else ())
    )


def _connection(connection: Connection | None, *, secrets: bool) -> ConnectionView:
    if connection is None:
        return ConnectionView()
    return ConnectionView(
        ssh=connection.ssh,
        ssh_password=connection.ssh_password if secrets else None,
        jupyter=connection.jupyter,
        web_terminal=connection.web_terminal,
    )


def _readiness(readiness: Readiness) -> ReadinessView:
    return ReadinessView(
        state=readiness.state,
        checked_at=_time(readiness.checked_at),
        endpoints=tuple(
            EndpointView(
                port=e.port,
                endpoint=e.endpoint,
                healthy=e.healthy,
                status_code=e.status_code,
                error=e.error,
                response_time_ms=e.response_time_ms,
            )
            for e in readiness.endpoints
        ),
    )


def _spot(record: Record) -> SpotView | None:
    seen = record.seen
    word, image = seen.spot_status if seen else "", record.image
    if not word and image is None:
        return None
    return SpotView(
        status=word,
        reclaim_at=_time(seen.spot_reclaim_at) if seen else None,
        image=ImageView(
            address=image.address, state=image.state, asked_at=time_text(image.asked_at), error=image.error or None
        )
        if image
        else None,
    )


def _auto_stop(record: Record, heard: Heard, idle: IdlePolicy) -> AutoStopView:
    policy = record.auto_stop
    active_at = idle_since(record, heard)
    due = stop_due(record, heard, idle)
    lifetime = policy.max_lifetime
    return AutoStopView(
        enabled=policy.enabled,
        idle_minutes=int(policy.idle.total_seconds() // 60),
        activity=policy.activity,
        max_lifetime_minutes=int(lifetime.total_seconds() // 60) if lifetime else None,
        pinned_until=_time(policy.pinned_until),
        last_activity_at=_time(active_at),
        last_activity_source=_source(record, heard, active_at) if active_at else None,
        stops_at=_time(due and stops_at(record, due)),
    )


def _source(record: Record, heard: Heard, active_at: datetime) -> Literal["heartbeat", "gpu", "ready", "listening"]:
    """Whose time that is."""
    if active_at == record.run.ready_at:
        return "ready"
    if active_at == heard.last:
        return "heartbeat"
    return "listening" if active_at == heard.since else "gpu"
