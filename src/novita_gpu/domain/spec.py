"""What somebody asked for: what to run and where, and the policies that go with it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from novita_gpu.domain.value import Value
from novita_gpu.hidden import Secret


class BillingMode(StrEnum):
    ON_DEMAND = "onDemand"
    SPOT = "spot"


class Port(Value, frozen=True, kw_only=True):
    port: int
    type: Literal["http", "tcp"]


class Env(Value, frozen=True, kw_only=True):
    """An environment entry of the instance. The value is secret: answered to nobody, logged nowhere."""

    key: str
    value: Secret


class Tool(Value, frozen=True, kw_only=True):
    name: str
    port: int
    type: Literal["http", "tcp"]


class Storage(Value, frozen=True, kw_only=True):
    id: str
    mount_point: str


class Spec(Value, frozen=True, kw_only=True):
    """What to run and where: the caller's request with the template resolved in it."""

    product_name: str | None = None
    product_id: str | None = None
    gpu_num: int = 1
    rootfs_size_gb: int = 60
    billing_mode: BillingMode = BillingMode.ON_DEMAND
    max_units_per_hour: int | None = None  # 1/100000 USD for the whole instance
    regions: tuple[str, ...]  # region names in order of preference; only these are tried
    image_url: str
    image_auth_id: str = ""
    template_id: str | None = None
    ports: tuple[Port, ...] = ()
    envs: tuple[Env, ...] = ()
    tools: tuple[Tool, ...] = ()
    command: Secret = ""
    entrypoint: Secret = ""
    min_cuda_version: str = ""
    network_storages: tuple[Storage, ...] = ()


class HealthCheck(Value, frozen=True, kw_only=True):
    """How readiness is probed. Without `path` any answer below 500 is up."""

    timeout: timedelta = timedelta(seconds=30)
    retry_attempts: int = 3
    retry_delay: timedelta = timedelta(seconds=2)
    max_wait: timedelta = timedelta(minutes=10)
    target_port: int | None = None
    path: str | None = None


class Activity(StrEnum):
    HEARTBEAT = "heartbeat"
    GPU = "gpu"
    ANY = "any"


class AutoStop(Value, frozen=True, kw_only=True):
    enabled: bool = True
    idle: timedelta = timedelta(minutes=20)
    activity: Activity = Activity.HEARTBEAT
    max_lifetime: timedelta | None = None
    pinned_until: datetime | None = None


class Recovery(Value, frozen=True, kw_only=True):
    on_reclaim: Literal["migrate", "recreate", "none"] = "migrate"
    max_per_day: int = 3
    allow_on_demand: bool = False
    save_image: bool = False  # at a notice; the new machine is made from it
    image_repository: str = ""  # where to, without a tag
    image_auth_id: str = ""
    when_unsure: Literal["recover", "leave"] = "recover"  # a spot machine that exited without any sign


class OnStartCapacity(StrEnum):
    """What to do when a stopped machine's GPU was given away."""

    WAIT = "wait"
    MIGRATE = "migrate"
    FAIL = "fail"
