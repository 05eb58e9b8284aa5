"""From the cloud's objects to the values of the seam, and from an order to the body of a create."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from math import ceil

from novita_gpu.cloud.base import (
    MARKER_ENV,
    Balance,
    Cluster,
    Detail,
    Job,
    Metrics,
    Order,
    Product,
    RegistryAuth,
    Row,
    Sample,
    Template,
)
from novita_gpu.cloud.wire import Fields, Lexicon
from novita_gpu.domain.instance import CloudId, Connection, PortMapping, Seen
from novita_gpu.domain.money import BALANCE_UNITS_PER_USD
from novita_gpu.domain.regions import region_of
from novita_gpu.domain.spec import Env, Port, Tool


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STATUSES = _words(
    """toCreate creating pulling running toStart starting toStop stopping exited toRestart restarting
    toRemove removing removed toReset resetting migrating freezing pending"""
)
SPOT_STATUSES = _words("running notified reclaiming terminated")
BILLING_MODES = _words("onDemand monthly spot")
INVENTORIES = _words("none low normal high")
JOB_STATES = _words("pulling running fail success break pending")
PORT_TYPES = _words("http tcp")


def read_row(fields: Fields, began_at: datetime, lexicon: Lexicon) -> Row:
    """A machine of a listing or a get. The caller sees to it that it has an id."""
    return Row(
        id=CloudId(fields.text("id", "Id")),
        name=fields.text("name"),
        seen=_seen(fields, began_at, lexicon),
        cluster_id=fields.text("clusterId"),
        region=region_of(fields.text("clusterName")),
        product_id=fields.text("productId"),
        product_name=fields.text("productName"),
        gpu_num=fields.whole("gpuNum") or 0,
        cpu_num=fields.whole("cpuNum"),
        memory_gb=fields.whole("memory"),
        rootfs_size_gb=fields.whole("rootfsSize"),
        image_url=fields.text("imageUrl"),
        billing_mode=lexicon.word("billing mode", fields.text("billingMode"), BILLING_MODES),
        marker=_marker(fields),
        created_at=fields.at("createdAt"),
    )


def _seen(fields: Fields, began_at: datetime, lexicon: Lexicon) -> Seen:
    error = fields.inner("statusError")
    return Seen(
        at=began_at,
        status=lexicon.word("status", fields.text("status"), STATUSES),
        spot_status=lexicon.word("spot status", fields.text("spotStatus"), SPOT_STATUSES),
        spot_reclaim_at=fields.at("spotReclaimTime"),
        error_state=error.text("state"),
        error_message=error.text("message"),
        last_started_at=fields.at("lastStartedAt", "startedAt"),
        last_stopped_at=fields.at("lastStoppedAt", "stoppedAt"),
    )


def _marker(fields: Fields) -> str:
    entries = fields.each("envs")
    return next((entry.text("value") for entry in entries if entry.text("key") == MARKER_ENV), "")


def read_detail(fields: Fields, began_at: datetime, lexicon: Lexicon) -> Detail:
    ssh = fields.inner("connectComponentSSH")
    connection = Connection(
        read_at=began_at,
        ports=tuple(_port_mappings(fields)),
        ssh=ssh.text("sshCommand") or fields.text("sshCommand") or None,
        ssh_password=ssh.text("password") or fields.text("sshPassword") or None,
        jupyter=_address(fields.inner("connectComponentJupyter")),
        web_terminal=_address(fields.inner("connectComponentWebTerminal")),
    )
    envs = (Env(key=entry.text("key"), value=entry.text("value")) for entry in fields.each("envs"))
    return Detail(
        row=read_row(fields, began_at, lexicon),
        connection=connection,
        ports=tuple(_ports(fields)),
        envs=tuple(env for env in envs if env.key and env.key != MARKER_ENV),
        command=fields.text("command"),
        entrypoint=fields.text("entrypoint"),
        image_auth_id=fields.text("imageAuthId"),
    )


def _ports(fields: Fields) -> Iterator[Port]:
    """What it exposes, with or without an address by now."""
    for mapping in fields.each("portMappings"):
        number, kind = mapping.whole("port"), mapping.text("type")
        if number and kind in PORT_TYPES:
            yield Port(port=number, type="http" if kind == "http" else "tcp")


def _port_mappings(fields: Fields) -> list[PortMapping]:
    mappings = ((m.whole("port"), m.text("type"), m.text("endpoint")) for m in fields.each("portMappings"))
    return [PortMapping(port=port, type=kind, endpoint=end) for port, kind, end in mappings if port and end]


def _address(component: Fields) -> str | None:
    """None until it is switched on: an address beside `isRunning: false` leads nowhere."""
    running = component.flag("isRunning") or "isRunning" not in component
    return component.text("address") or None if running else None


def read_product(fields: Fields, lexicon: Lexicon) -> Product | None:
    """None for what cannot be bought: no id, or regions that are there and cannot be read."""
    product_id = fields.text("id", "productId")
    regions = fields.texts("regions")
    if not product_id or (fields.raw("regions") and not regions):
        return None
    return Product(
        id=product_id,
        name=fields.text("name"),
        regions=tuple(region_of(name) for name in regions),
        cpu_per_gpu=fields.whole("cpuPerGpu") or 0,
        memory_per_gpu_gb=fields.whole("memoryPerGpu") or 0,
        min_rootfs_gb=fields.whole("minRootFS") or 0,
        max_rootfs_gb=fields.whole("maxRootFS") or 0,
        available=fields.flag("availableDeploy"),
        inventory=lexicon.word("inventory", fields.text("inventoryState"), INVENTORIES),
        billing_modes=fields.texts("billingMethods"),
        on_demand_units=_units(fields, "price"),
        spot_units=_units(fields, "spotPrice"),
        free_gpus=fields.whole("availableGpuNumber") or None,
    )


def _units(fields: Fields, name: str) -> int | None:
    """A price in whole units, a broken one rounded up; None when there is none or it is below zero."""
    price = fields.number(name)
    return None if price is None or price < 0 else ceil(price)


def read_cluster(fields: Fields) -> Cluster:
    name = fields.text("name")
    return Cluster(
        id=fields.text("id"),
        region=region_of(name),
        name=name,
        gpu_types=fields.texts("availableGpuType"),
        network_storage=fields.flag("supportNetworkStorage"),
    )


def read_template(fields: Fields, lexicon: Lexicon) -> Template:
    return Template(
        id=fields.text("Id", "id"),
        name=fields.text("name"),
        channel=fields.text("channel"),
        image_url=fields.text("image"),
        image_auth_id=fields.text("imageAuth"),
        command=fields.text("startCommand"),
        entrypoint=fields.text("entrypoint"),
        rootfs_size_gb=fields.whole("rootfsSize"),
        ports=_template_ports(fields, lexicon),
        envs=tuple(Env(key=e.text("key"), value=e.text("value")) for e in fields.each("envs") if e.text("key")),
        tools=_template_tools(fields, lexicon),
        min_cuda_version=fields.text("minCudaVersion"),
        description=fields.text("description", "readme"),
    )


def _template_ports(fields: Fields, lexicon: Lexicon) -> tuple[Port, ...]:
    """Groups of ports by type, made flat. A type that instances cannot have (udp) is left out."""
    groups = ((group.text("type"), group.wholes("ports")) for group in fields.each("ports"))
    return tuple(
        Port(port=number, type="http" if kind == "http" else "tcp")
        for kind, numbers in groups
        if lexicon.word("port type", kind, PORT_TYPES) in PORT_TYPES
        for number in numbers
    )


def _template_tools(fields: Fields, lexicon: Lexicon) -> tuple[Tool, ...]:
    tools = ((t.text("name"), t.whole("port"), t.text("type")) for t in fields.each("tools"))
    return tuple(
        Tool(name=name, port=port, type="http" if kind == "http" else "tcp")
        for name, port, kind in tools
        if name and port and lexicon.word("port type", kind, PORT_TYPES) in PORT_TYPES
    )


def read_registry_auth(fields: Fields) -> RegistryAuth:
    return RegistryAuth(id=fields.text("id"), name=fields.text("name"))


def read_job(fields: Fields, lexicon: Lexicon) -> Job:
    state = fields.inner("state")
    return Job(
        id=fields.text("Id", "id"),
        type=fields.text("type"),
        state=lexicon.word("job state", state.text("state") or fields.text("state"), JOB_STATES),
        instance=CloudId(fields.text("instanceId")),
        created_at=fields.at("createdAt"),
        error=state.text("errorMessage", "message", "error"),
    )


def read_metrics(fields: Fields) -> Metrics:
    return Metrics(gpu=_samples(fields, "gpuUtilization"), gpu_memory=_samples(fields, "gpuMemUtilization"))


def _samples(fields: Fields, name: str) -> tuple[Sample, ...]:
    """Of the busiest GPU: one of eight that works is no idle machine. A point without a time or a value is left out:
    it is not a zero.
    """
    series, most = fields.inner(name), dict[datetime, float]()
    for point in (*series.each("avg"), *(item for gpu in series.each("gpuIds") for item in gpu.each("items"))):
        at, value = point.at("timestamp"), point.number("value")
        if at and value is not None:
            most[at] = max(float(value), most.get(at, float(value)))
    return tuple(Sample(at=at, percent=most[at]) for at in sorted(most))


def read_balance(fields: Fields) -> Balance | None:
    """None when the answer does not tell the available balance."""
    available = fields.number("availableBalance")
    if available is None:
        return None
    return Balance(
        available_usd=_usd(available),
        cash_usd=_usd(fields.number("cashBalance") or Decimal(0)),
        credit_usd=_usd(fields.number("creditLimit") or Decimal(0)),
    )


def _usd(units: Decimal) -> Decimal:
    return units / BALANCE_UNITS_PER_USD


def create_body(order: Order) -> Mapping[str, object]:
    """The documented fields of a create, empty optional ones left out. The marker entry is ours alone."""
    spec = order.spec
    envs = [{"key": e.key, "value": e.value} for e in spec.envs if e.key != MARKER_ENV]
    optional: dict[str, object] = {
        "clusterId": order.cluster_id,
        "imageAuthId": spec.image_auth_id,
        "ports": ", ".join(f"{p.port}/{p.type}" for p in spec.ports),
        "tools": [{"name": t.name, "port": str(t.port), "type": t.type} for t in spec.tools],
        "command": spec.command,
        "entrypoint": spec.entrypoint,
        "minCudaVersion": spec.min_cuda_version,
        "networkStorages": [{"Id": s.id, "mountPoint": s.mount_point} for s in spec.network_storages],
    }
    return {
        "name": order.name,
        "kind": "gpu",
        "productId": order.product_id,
        "gpuNum": spec.gpu_num,
        "rootfsSize": spec.rootfs_size_gb,
        "imageUrl": spec.image_url,
        "billingMode": order.billing_mode.value,
        "envs": [*envs, {"key": MARKER_ENV, "value": order.marker}],
        **{name: value for name, value in optional.items() if value},
    }
