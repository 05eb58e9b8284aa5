"""What a caller asks for when it creates, edits or upgrades a machine, checked as the reference documents it."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from novita_gpu.cloud.simulator.refusals import invalid

RESERVED_PORTS = frozenset({2222, 2223, 2224})
MAX_PORTS = 15  # ports and tools together; older pages say 10, the console 25
MIN_ROOTFS_GB = 10  # less is raised to it
MARKER = "NOVITA_GPU_MARKER"

PortNumber = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(max_length=255, pattern="^[A-Za-z0-9-]*$")]
Text255 = Annotated[str, Meta(max_length=255)]
Text2047 = Annotated[str, Meta(max_length=2047)]
ImageUrl = Annotated[str, Meta(min_length=1, max_length=500)]


class PortMapping(Struct, frozen=True):
    """A port the machine exposes."""

    port: PortNumber
    type: Literal["tcp", "http"]


class Entry(Struct, frozen=True):
    """An environment entry as sent."""

    key: Annotated[str, Meta(max_length=511)]
    value: Annotated[str, Meta(max_length=4095)] = ""


class Tool(Struct, frozen=True):
    """A tool as sent: its port is a string."""

    name: Literal["Jupyter"]
    port: PortNumber
    type: Literal["tcp", "http"] = "http"


class Mount(Struct, frozen=True, rename="camel"):
    """A network volume as sent at create."""

    id: str = field(name="Id")
    mount_point: str = "/network"


Entries = Annotated[tuple[Entry, ...], Meta(max_length=100)]
Mounts = Annotated[tuple[Mount, ...], Meta(max_length=30)]


class Order(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of a create. The name's alphabet is the one the official MCP server allows."""

    name: Name = ""
    product_id: Annotated[str, Meta(min_length=1, max_length=255)]
    gpu_num: Annotated[int, Meta(ge=1, le=8)]
    rootfs_size: Annotated[int, Meta(ge=0)]
    image_url: ImageUrl
    image_auth: Annotated[str, Meta(max_length=10239)] = ""
    image_auth_id: str = ""
    ports: str = ""
    envs: Entries = ()
    tools: tuple[Tool, ...] = ()
    command: Text2047 = ""
    entrypoint: Text2047 = ""
    cluster_id: Text255 = ""
    network_storages: Mounts = ()
    network_id: str = ""
    kind: Literal["gpu"]
    month: Annotated[int, Meta(ge=0)] = 0
    billing_mode: Literal["", "onDemand", "monthly", "spot"] = ""
    auto_renew: bool = False
    auto_renew_month: Annotated[int, Meta(ge=0, le=12)] = 0
    min_cuda_version: Text255 = ""

    @property
    def billing(self) -> str:
        """The billing mode: a month count makes it monthly whatever else is said."""
        return "monthly" if self.month > 0 else self.billing_mode or "onDemand"

    @property
    def cuda(self) -> tuple[int, ...]:
        """The CUDA floor, as comparable numbers."""
        return tuple(int(part) for part in self.min_cuda_version.split(".") if part.isdecimal())


class Edit(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of an edit: the whole wanted list of ports, and GB to add."""

    instance_id: str
    ports: tuple[PortMapping, ...] | None = None
    expand_root_disk: Annotated[int, Meta(ge=0)] = 0


class VolumeMount(Struct, frozen=True, kw_only=True, rename="camel"):
    """A network volume as sent at upgrade."""

    type: Literal["network"] = "network"
    id: str
    mount_path: str = "/network"


class VolumeMounts(Struct, frozen=True, rename="camel"):
    """The wrapper upgrade puts around mounts."""

    volume_mounts: tuple[VolumeMount, ...]


class Upgrade(Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of an upgrade; everything must be sent in full."""

    instance_id: str
    image_url: ImageUrl
    image_auth_id: str = ""
    envs: Entries
    command: Text2047
    entrypoint: Text2047
    save: bool
    network_volume: VolumeMounts


Body = TypeVar("Body", bound=Struct)


def read_body(body: dict[str, object], shape: type[Body]) -> Body:
    """The body as `shape`: null counts as absent, numbers may come as strings, unknown fields are ignored.

    Raises `Refused` with `VALIDATOR_PARAM`.
    """
    given: dict[str, Any] = {name: value for name, value in body.items() if value is not None}
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from error


def read_order(body: dict[str, object]) -> Order:
    """A create's body, its disk raised to the least size; `Refused` where it is out of bounds."""
    order = read_body(body, Order)
    check_ports(read_ports(order.ports), order.tools)
    return msgspec.structs.replace(order, rootfs_size=max(MIN_ROOTFS_GB, order.rootfs_size))


def read_ports(text: str) -> tuple[PortMapping, ...]:
    """`"80/http, 3306/tcp"` as mappings."""
    return tuple(_read_port(part.strip()) for part in text.split(",") if part.strip())


def check_ports(ports: tuple[PortMapping, ...], tools: tuple[Tool, ...]) -> None:
    """`Refused` where ports are too many, given twice, or reserved."""
    numbers = [mapping.port for mapping in ports] + [tool.port for tool in tools]
    if len(numbers) > MAX_PORTS:
        raise invalid(f"ports and tools must not exceed {MAX_PORTS}")
    if len(set(numbers)) < len(numbers):
        raise invalid("a port is given twice")
    if taken := RESERVED_PORTS.intersection(numbers):
        raise invalid(f"port {min(taken)} is reserved")


def marker_of(envs: tuple[Entry, ...]) -> str:
    """The marker a control plane left in the environment, or an empty string."""
    return next((entry.value for entry in envs if entry.key == MARKER), "")


def _read_port(part: str) -> PortMapping:
    number, _, kind = part.partition("/")
    return read_body({"port": number, "type": kind}, PortMapping)
