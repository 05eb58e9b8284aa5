"""One machine of the simulated cloud: its place, its status, what it exposes, what it has cost."""

from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from novita_gpu.cloud.simulator.catalogue import Cluster, Product
from novita_gpu.cloud.simulator.money import BILLED, Meter, compute_usd_per_s, disk_usd_per_s
from novita_gpu.cloud.simulator.orders import Mount, Order, PortMapping, Upgrade, marker_of, read_ports

GOING = frozenset({"toRemove", "removing", "removed"})
CONNECTED = frozenset({"running", "toRestart", "restarting", "toStop"})
"""Statuses in which addresses exist; only `running` is answered from behind them."""


class Stay(NamedTuple):
    """A status and the seconds spent in it before the next one of its chain."""

    status: str
    seconds: float = 0.0


class Usage(NamedTuple):
    """How busy a machine is from `at` on, in percent; CPU adds up over its cores."""

    at: float
    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    gpu: float = 0.0
    gpu_memory: float = 0.0


@dataclass(slots=True, eq=False)
class Machine:
    """A machine from create to long after its removal. Times are unix seconds, 0 for never."""

    id: str
    order: Order
    product: Product
    cluster: Cluster
    created_at: float
    status: str = ""
    entered_at: float = 0.0
    started_at: float = 0.0
    stopped_at: float = 0.0
    removed_at: float = 0.0
    running_since: float = 0.0
    chain: list[Stay] = field(default_factory=list[Stay])
    plan: int = 0
    stuck_in: str = ""
    history: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    ports: tuple[PortMapping, ...] = ()
    rootfs_size: int = 0
    endpoints: dict[int, str] = field(default_factory=dict[int, str])
    ssh_address: str = ""
    ssh_password: str = ""
    holds_gpus: bool = False
    spot_status: str = ""
    reclaim_at: float = 0.0
    spot_plan: int = 0
    error_state: str = ""
    error_message: str = ""
    auto_migrate: bool = False
    end_at: float = -1.0
    disguise: dict[str, object] = field(default_factory=dict[str, object])
    job_ids: list[str] = field(default_factory=list[str])
    usage: list[Usage] = field(default_factory=list[Usage])
    compute: Meter = field(default_factory=Meter)
    disk: Meter = field(default_factory=Meter)

    def __post_init__(self) -> None:
        self.ports = read_ports(self.order.ports)
        self.rootfs_size = self.order.rootfs_size
        if self.order.billing == "spot":
            self.spot_status = "running"

    @property
    def marker(self) -> str:
        """The control plane's marker in its environment, or an empty string."""
        return marker_of(self.order.envs)

    @property
    def is_going(self) -> bool:
        """Whether its removal was accepted."""
        return self.status in GOING

    def cost_usd(self, now: float) -> float:
        """What it has cost so far, compute and disk."""
        return self.compute.usd(now) + self.disk.usd(now)

    def enter(self, status: str, at: float) -> None:
        """Be in `status` from `at`, with the rates that go with it."""
        self.status = status
        self.entered_at = at
        self.history.append((at, status))
        self.compute.run(self._compute_rate() if status in BILLED else 0.0, at)
        if status == "pulling" or (status == "running" and not self.disk.usd_per_s):
            self.disk.run(disk_usd_per_s(self.rootfs_size), at)
        if status in GOING:
            self.disk.run(0.0, at)

    def grow(self, added_gb: int, at: float) -> None:
        """Make the system disk larger."""
        self.rootfs_size += added_gb
        if self.disk.since and not self.is_going:
            self.disk.run(disk_usd_per_s(self.rootfs_size), at)

    def rebuild(self, upgrade: Upgrade) -> None:
        """Run another image, environment and command from the next start on."""
        mounts = tuple(Mount(mount.id, mount.mount_path) for mount in upgrade.network_volume.volume_mounts)
        self.order = replace(
            self.order,
            image_url=upgrade.image_url,
            image_auth_id=upgrade.image_auth_id,
            envs=upgrade.envs,
            command=upgrade.command,
            entrypoint=upgrade.entrypoint,
            network_storages=mounts,
        )

    def status_at(self, at: float) -> str:
        """The status it was in at that instant, empty before its creation."""
        return next((status for since, status in reversed(self.history) if since <= at), "")

    def usage_at(self, at: float) -> Usage:
        """How busy it was at that instant."""
        return next((usage for usage in reversed(self.usage) if usage.at <= at), Usage(at))

    def _compute_rate(self) -> float:
        if self.order.billing == "monthly":
            return 0.0
        price = self.product.spot_price if self.order.billing == "spot" else self.product.price
        return compute_usd_per_s(price, self.order.gpu_num)
