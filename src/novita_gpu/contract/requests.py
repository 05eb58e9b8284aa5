"""What a caller may send, in bodies and queries."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, convert, field
from msgspec.structs import replace

from novita_gpu.contract.check import Request, at_least_one, exactly_one
from novita_gpu.contract.fields import (
    Command,
    ExposedPort,
    ImageUrl,
    Moment,
    MomentText,
    Name,
    PortNumber,
    Price,
    Ref,
    Region,
    Repository,
    Url,
    Words,
    distinct,
    free_key,
)
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Status
from novita_gpu.domain.spec import (
    Activity,
    AutoStop,
    BillingMode,
    Env,
    HealthCheck,
    OnStartCapacity,
    Port,
    Recovery,
    Storage,
)
from novita_gpu.hidden import Secret

MAX_PORTS = 15
MAX_ENVS = 100
MAX_STORAGES = 30
IDLE_MINUTES_AT_MOST = 10_080


class PortRequest(Request, frozen=True, kw_only=True):
    port: ExposedPort
    type: Literal["http", "tcp"]


class EnvRequest(Request, frozen=True, kw_only=True):
    """An environment entry. Its value is never answered again."""

    key: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z_][A-Za-z0-9_.-]{0,510}$",
            extra={"rule": free_key, "expected": "1 to 511 of A-Z, a-z, 0-9, _, . and -, beginning with a letter or _"},
        ),
    ]
    value: Annotated[Secret, Meta(max_length=4095)]


class StorageRequest(Request, frozen=True, kw_only=True):
    id: Words
    mount_point: Annotated[
        str, Meta(pattern="^/[!-~]{0,4094}$", extra={"expected": "a path that begins with /, without spaces"})
    ] = "/network"


class HealthCheckConfig(Request, frozen=True, kw_only=True):
    """How readiness is probed; what is left out is as configured."""

    timeout_ms: Annotated[int, Meta(ge=1000, le=300_000, description="Per probe.")] | None = None
    retry_attempts: Annotated[int, Meta(ge=0, le=10, description="Within one round.")] | None = None
    retry_delay_ms: Annotated[int, Meta(ge=100, le=30_000)] | None = None
    max_wait_time_ms: (
        Annotated[int, Meta(ge=30_000, le=1_800_000, description="From the moment the cloud says running.")] | None
    ) = None
    target_port: PortNumber | None = None
    path: (
        Annotated[
            str,
            Meta(
                pattern="^/[!-~]{0,2047}$",
                examples=["/health"],
                extra={"expected": "a path that begins with /, without spaces"},
            ),
        ]
        | None
    ) = None

    def over(self, base: HealthCheck) -> HealthCheck:
        """The check with what is given here in place of what `base` says."""
        given = {
            "timeout": _ms(self.timeout_ms),
            "retry_attempts": self.retry_attempts,
            "retry_delay": _ms(self.retry_delay_ms),
            "max_wait": _ms(self.max_wait_time_ms),
            "target_port": self.target_port,
            "path": self.path,
        }
        return replace(base, **{k: v for k, v in given.items() if v is not None})


def _ms(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(milliseconds=value)


def _minutes(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(minutes=value)


class AutoStopRequest(Request, frozen=True, kw_only=True):
    """When the machine is stopped for idleness; what is left out is as configured. `null` takes a limit away."""

    enabled: bool | None = None
    idle_minutes: Annotated[int, Meta(ge=1, le=IDLE_MINUTES_AT_MOST)] | None = None
    activity: Activity | None = None
    max_lifetime_minutes: Annotated[int, Meta(ge=1, le=525_600)] | UnsetType | None = UNSET
    pinned_until: Moment | UnsetType | None = UNSET

    def over(self, base: AutoStop) -> AutoStop:
        """The policy with what is given here in place of what `base` says."""
        given = {"enabled": self.enabled, "idle": _minutes(self.idle_minutes), "activity": self.activity}
        policy = replace(base, **{k: v for k, v in given.items() if v is not None})
        if self.max_lifetime_minutes is not UNSET:
            policy = replace(policy, max_lifetime=_minutes(self.max_lifetime_minutes))
        if self.pinned_until is not UNSET:
            policy = replace(policy, pinned_until=self.pinned_until)
        return policy


class RecoveryRequest(Request, frozen=True, kw_only=True):
    """What becomes of a reclaimed spot machine; what is left out is as configured."""

    on_reclaim: Literal["migrate", "recreate", "none"] | None = None
    max_per_day: Annotated[int, Meta(ge=0, le=100)] | None = None
    allow_on_demand: bool | None = None
    save_image: Annotated[bool, Meta(description="At a notice; the new machine is made from it.")] | None = None
    image_repository: Repository | None = None
    image_auth_id: Annotated[str, Meta(max_length=255, description="Id of the registry's credential.")] | None = None

    def over(self, base: Recovery) -> Recovery:
        """The policy with what is given here in place of what `base` says."""
        given = {
            "on_reclaim": self.on_reclaim,
            "max_per_day": self.max_per_day,
            "allow_on_demand": self.allow_on_demand,
            "save_image": self.save_image,
            "image_repository": self.image_repository,
            "image_auth_id": self.image_auth_id,
        }
        return replace(base, **{k: v for k, v in given.items() if v is not None})


class CreateInstance(Request, frozen=True, kw_only=True):
    """A new instance."""

    rules = (at_least_one("productName", "productId"), exactly_one("templateId", "imageUrl"))

    name: Name
    product_name: Annotated[Words, Meta(description="Matched whole, not in parts.")] | None = None
    product_id: Words | None = None
    template_id: (
        Annotated[int, Meta(ge=1, le=2**53)]
        | Annotated[str, Meta(pattern="^[0-9]{1,20}$", extra={"expected": "a string of digits"})]
        | None
    ) = None
    image_url: ImageUrl | None = None
    gpu_num: Annotated[int, Meta(ge=1, le=8)] = 1
    rootfs_size: Annotated[int, Meta(ge=10, le=6144, description="GB; also within the product's bounds.")] | None = None
    region: Region | None = None
    regions: (
        Annotated[
            tuple[Region, ...],
            Meta(min_length=1, max_length=32, description="In order of preference.", extra={"rule": distinct()}),
        ]
        | None
    ) = None
    fallback: Annotated[bool, Meta(description="false: only the preferred region.")] = True
    billing_mode: BillingMode = BillingMode.ON_DEMAND
    max_price_per_hour: Price | None = None
    ports: Annotated[tuple[PortRequest, ...], Meta(max_length=MAX_PORTS, extra={"rule": distinct("port")})] | None = (
        None
    )
    envs: (
        Annotated[tuple[EnvRequest, ...], Meta(max_length=MAX_ENVS, extra={"rule": distinct("key"), "secret": True})]
        | None
    ) = None
    command: Command | None = None
    entrypoint: Command | None = None
    min_cuda_version: (
        Annotated[
            str,
            Meta(
                pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})?$", examples=["12.4"], extra={"expected": "a version such as 12.4"}
            ),
        ]
        | None
    ) = None
    network_storages: Annotated[tuple[StorageRequest, ...], Meta(max_length=MAX_STORAGES)] | None = None
    health_check: HealthCheckConfig | None = None
    auto_stop: AutoStopRequest | None = None
    recovery: RecoveryRequest | None = None
    on_start_capacity: OnStartCapacity | None = None
    webhook_url: Url | None = None

    @property
    def template(self) -> str | None:
        """The template's id in its one form."""
        return None if self.template_id is None else str(self.template_id)

    def ports_over(self, base: tuple[Port, ...]) -> tuple[Port, ...]:
        return base if self.ports is None else tuple(Port(port=p.port, type=p.type) for p in self.ports)

    def envs_over(self, base: tuple[Env, ...]) -> tuple[Env, ...]:
        return base if self.envs is None else tuple(Env(key=e.key, value=e.value) for e in self.envs)

    def storages(self) -> tuple[Storage, ...]:
        return tuple(Storage(id=s.id, mount_point=s.mount_point) for s in self.network_storages or ())


class WishBody(Request, frozen=True, kw_only=True):
    """Stop, restart, delete."""

    webhook_url: Annotated[Url, Meta(description="Receiver of this operation's events.")] | None = None


class WishByName(WishBody, frozen=True, kw_only=True):
    instance_name: Ref


class StartInstance(Request, frozen=True, kw_only=True):
    health_check_config: HealthCheckConfig | None = None
    target_port: PortNumber | None = None
    webhook_url: Annotated[Url, Meta(description="Receiver of this operation's events.")] | None = None

    def health_check(self, base: HealthCheck) -> HealthCheck:
        """How this start is probed: `base`, then the config, then the port given beside it."""
        check = self.health_check_config.over(base) if self.health_check_config else base
        return check if self.target_port is None else replace(check, target_port=self.target_port)


class StartByName(StartInstance, frozen=True, kw_only=True):
    instance_name: Ref


class PatchInstance(Request, frozen=True, kw_only=True):
    """What of an instance's policy changes; what is left out stays. `webhookUrl: null` takes it away."""

    auto_stop: AutoStopRequest | None = None
    webhook_url: Url | UnsetType | None = UNSET
    recovery: RecoveryRequest | None = None
    on_start_capacity: OnStartCapacity | None = None


class LastUsed(Request, frozen=True, kw_only=True):
    last_used_at: Annotated[MomentText, Meta(description="Now, when left out.")] | None = None

    @property
    def at(self) -> datetime | None:
        return convert(self.last_used_at, datetime | None)


class StopAll(Request, frozen=True, kw_only=True):
    dry_run: Annotated[bool, Meta(description="Say what would be stopped, and stop nothing.")] = False


Cursor = Annotated[str, Meta(pattern="^[A-Za-z0-9_=.:-]{1,256}$", extra={"expected": "a cursor that was answered"})]
Sequence = Annotated[int, Meta(ge=0, le=2**53, description="Only events after this sequence.")]
PageSize = Annotated[int, Meta(ge=1, le=1000)]


class ListQuery(Request, frozen=True, kw_only=True):
    status: Annotated[tuple[Status, ...], Meta(max_length=10)] = ()
    name: Annotated[Ref, Meta(description="Beginning of the name.")] | None = None
    region: Region | None = None
    billing_mode: BillingMode | None = None
    source: Literal["all", "local", "novita"] = "local"
    limit: PageSize = 100
    cursor: Cursor | None = None


class ComprehensiveQuery(Request, frozen=True, kw_only=True):
    include_novita_only: bool = True
    sync_local_state: bool = False


class WaitQuery(Request, frozen=True, kw_only=True):
    wanted: Annotated[tuple[Status, ...], Meta(min_length=1, max_length=10)] = field(
        default=(Status.READY,), name="for"
    )
    timeout_ms: Annotated[int, Meta(ge=1, le=60_000)] = 30_000
    after: Sequence | None = None


class TimelineQuery(Request, frozen=True, kw_only=True):
    after: Sequence = 0
    limit: PageSize = 100


class EventsQuery(Request, frozen=True, kw_only=True):
    after: (
        Annotated[Sequence, Meta(description="Only events after this sequence; a stream begins with now.")] | None
    ) = None
    limit: PageSize = 100
    type: EventType | None = None
    instance_id: Ref | None = None
