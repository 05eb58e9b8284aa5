"""What a caller may ask for, spelled as Python does, and its wire form."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict, cast

Activity = Literal["heartbeat", "gpu", "any"]
BillingMode = Literal["onDemand", "spot"]
Scope = Literal["read", "operate", "admin"]
OnStartCapacity = Literal["wait", "migrate", "fail"]


class Port(TypedDict):
    port: int
    type: Literal["http", "tcp"]


class NetworkStorage(TypedDict, total=False):
    id: str
    mount_point: str


class HealthCheck(TypedDict, total=False):
    timeout_ms: int
    retry_attempts: int
    retry_delay_ms: int
    max_wait_time_ms: int
    target_port: int
    path: str


class AutoStopPolicy(TypedDict, total=False):
    """In an update, None takes `max_lifetime_minutes` or `pinned_until` away."""

    enabled: bool
    idle_minutes: int
    activity: Activity
    max_lifetime_minutes: int | None
    pinned_until: datetime | None


class RecoveryPolicy(TypedDict, total=False):
    on_reclaim: Literal["migrate", "recreate", "none"]
    max_per_day: int
    allow_on_demand: bool
    save_image: bool
    image_repository: str
    image_auth_id: str


class CreateOptions(TypedDict, total=False):
    """All options of create but the name. One of product name and id, exactly one of template and image."""

    product_name: str
    product_id: str
    template_id: str | int
    image_url: str
    gpu_num: int
    rootfs_size: int
    region: str
    regions: Sequence[str]
    fallback: bool
    billing_mode: BillingMode
    max_price_per_hour: Decimal | str
    ports: Sequence[Port]
    envs: Mapping[str, str]
    command: str
    entrypoint: str
    min_cuda_version: str
    network_storages: Sequence[NetworkStorage]
    health_check: HealthCheck
    auto_stop: AutoStopPolicy
    recovery: RecoveryPolicy
    on_start_capacity: OnStartCapacity
    webhook_url: str


class StartOptions(TypedDict, total=False):
    health_check_config: HealthCheck
    target_port: int
    webhook_url: str


class WishOptions(TypedDict, total=False):
    webhook_url: str


class UpdateOptions(TypedDict, total=False):
    auto_stop: AutoStopPolicy
    webhook_url: str | None
    recovery: RecoveryPolicy
    on_start_capacity: OnStartCapacity


class ListFilters(TypedDict, total=False):
    """`name` is a prefix. `limit` 1..1000; `cursor` of the answer before."""

    status: Sequence[str]
    name: str
    region: str
    billing_mode: BillingMode
    source: Literal["all", "local", "novita"]
    limit: int
    cursor: str


class WhichDeliveries(TypedDict, total=False):
    """`status` of `pending`, `delivered`, `exhausted`; `host` is the receiver's."""

    status: Sequence[str]
    instance_id: str
    type: str
    host: str


class DeliveryFilters(WhichDeliveries, total=False):
    """`limit` 1..1000; `cursor` of the answer before."""

    limit: int
    cursor: str


class EndpointChanges(TypedDict, total=False):
    """`types` empty: every event that is delivered."""

    url: str
    types: Sequence[str]
    enabled: bool


class KeyLimitOptions(TypedDict, total=False):
    """What instances that a key creates may come to. Regions by name or cluster id."""

    max_instances: int
    max_usd_per_hour: Decimal | str
    regions: Sequence[str]


class KeyOptions(TypedDict, total=False):
    """Limits need the scope admin."""

    expires_at: datetime
    limits: KeyLimitOptions


class SyncOptions(TypedDict, total=False):
    """`adopt` holds ids of the cloud."""

    dry_run: bool
    adopt: Sequence[str]
    remove_orphans: bool
    confirm_gone: bool


def create_body(name: str, options: CreateOptions) -> dict[str, Any]:
    """Environment entries become a list: their names are data and keep their spelling."""
    body = to_wire({"name": name, **{k: v for k, v in options.items() if k != "envs"}})
    envs = options.get("envs")
    return body if envs is None else {**body, "envs": [{"key": k, "value": v} for k, v in envs.items()]}


def to_wire(options: Mapping[str, Any]) -> dict[str, Any]:
    """Field names in camelCase, times in UTC, money as text. None is sent: it takes a value away."""
    return {camel(name): _value(value) for name, value in options.items()}


def to_query(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs, repeated for a sequence; None is left out."""
    return [(camel(name), _word(one)) for name, value in options.items() for one in _each(value)]


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def time_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; a time without zone is local time."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _each(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    wired = _value(value)
    return cast("list[Any]", wired) if isinstance(wired, list) else (wired,)


def _value(value: Any) -> Any:
    match value:
        case datetime():
            return time_text(value)
        case Decimal():
            return format(value, "f")
        case Mapping():
            return to_wire(cast("Mapping[str, Any]", value))
        case list() | tuple():
            return [_value(one) for one in cast("Sequence[Any]", value)]
        case _:
            return value
