"""Machines, products, jobs and money as the JSON of the real wire: numeric strings, empty strings, odd casings.

Numbers of 64 bits and all times arrive as strings, `"0"` for never and `"-1"` for no end; unset texts are `""`.
"""

from novita_gpu.cloud.simulator.catalogue import Cluster, Product
from novita_gpu.cloud.simulator.core import Cloud
from novita_gpu.cloud.simulator.jobs import Job
from novita_gpu.cloud.simulator.machines import Machine
from novita_gpu.cloud.simulator.money import FREE_DISK_GB, wire_usd
from novita_gpu.cloud.simulator.settings import Quirks

JsonObject = dict[str, object]

LOG_ROOT = "https://log.gpu-instance.novita.ai"


def list_row(machine: Machine, quirks: Quirks) -> JsonObject:
    """An instance as the list shows it."""
    row = _shared(machine)
    row["portMappings"] = _ports(machine, with_endpoints=quirks.endpoints_in_list)
    row["volumeMounts"] = [_volume(mount.id, mount.mount_point, "0") for mount in machine.order.network_storages]
    row["gpuIds"] = list(range(machine.order.gpu_num))
    row |= _product(machine)
    if quirks.spot_in_list:
        row |= _spot(machine)
    return row | machine.disguise


def one(machine: Machine, cloud: Cloud, now: float) -> JsonObject:
    """An instance as get shows it: with its connections, without some fields of the list."""
    body = _shared(machine)
    body["portMappings"] = _ports(machine, with_endpoints=True)
    body["volumeMounts"] = [_volume(mount.id, mount.mount_point, 0) for mount in machine.order.network_storages]
    body["network"] = {"id": machine.order.network_id, "ip": ""}
    body["node"] = {"maxRootfsSize": machine.product.disk}
    body["jobs"] = [{"id": job_id, "type": cloud.jobs[job_id].type} for job_id in machine.job_ids]
    body["freeStorageSize"] = FREE_DISK_GB
    body["keepDataDay"] = 7
    if cloud.quirks.product_in_get:
        body |= _product(machine)
    if cloud.quirks.spot_in_get:
        body |= _spot(machine)
    return body | _connections(machine, cloud, now) | machine.disguise


def product_row(product: Product, cloud: Cloud, cluster_id: str, billing: str, gpus: int) -> JsonObject:
    """A product; `regions` are display names, and a row stays listed while it is out of stock (observed)."""
    state = cloud.stock.state(product, cluster_id, billing)
    has_room = cloud.stock.most(product, cluster_id, billing) >= max(1, gpus) or bool(cloud.stock.shown.get(product.id))
    places = cloud.shelf.names_of(product.clusters)
    return {
        "id": product.id,
        "name": product.name,
        "cpuPerGpu": product.cpu,
        "memoryPerGpu": product.memory,
        "diskPerGpu": product.disk,
        "availableDeploy": state != "none" and has_room,
        "minRootFS": 10,
        "maxRootFS": product.disk,
        "minLocalStorage": 0,
        "maxLocalStorage": 0,
        "regions": [place.name if cloud.quirks.region_names == "place" else place.code for place in places],
        "price": str(product.price),
        "spotPrice": str(product.spot_price),
        "monthlyPrice": [],
        "billingMethods": list(product.billing),
        "inventoryState": state,
        "canBuy": True,
    }


def cluster_row(cluster: Cluster, products: list[str]) -> JsonObject:
    """A cluster with the names of its products."""
    return {
        "id": cluster.id,
        "name": cluster.name,
        "availableGpuType": products,
        "supportNetworkStorage": cluster.network_storage,
        "supportInstanceNetwork": cluster.instance_network,
    }


def job_row(job: Job) -> JsonObject:
    """A job; its id is named `Id`."""
    return {
        "Id": job.id,
        "user": "00000000-0000-4000-8000-000000000000",
        "type": job.type,
        "envs": [],
        "state": {
            "state": job.state,
            "error": job.error if job.state == "fail" else "",
            "errorMessage": job.error_message,
        },
        "logAddress": f"{LOG_ROOT}/jobs/{job.id}",
        "createdAt": seconds(job.created_at),
        "instanceId": job.instance_id,
    }


def balance(usd: float) -> JsonObject:
    """The balance, each amount a string of 0.0001 USD."""
    return {
        "availableBalance": wire_usd(max(0.0, usd)),
        "cashBalance": wire_usd(max(0.0, usd)),
        "creditLimit": "0",
        "outstandingInvoices": wire_usd(max(0.0, -usd)),
    }


def seconds(at: float) -> str:
    """An instant as the wire writes it: whole unix seconds, as a string."""
    return str(int(at))


def _shared(machine: Machine) -> JsonObject:
    order, product = machine.order, machine.product
    return {
        "id": machine.id,
        "name": order.name,
        "clusterId": machine.cluster.id,
        "clusterName": machine.cluster.name,
        "status": machine.status,
        "imageUrl": order.image_url,
        "imageAuthId": order.image_auth_id,
        "command": order.command,
        "entrypoint": order.entrypoint,
        "cpuNum": str(product.cpu * order.gpu_num),
        "memory": str(product.memory * order.gpu_num),
        "gpuNum": str(order.gpu_num),
        "statusError": {"state": machine.error_state, "message": machine.error_message},
        "envs": order.envs,
        "kind": order.kind,
        "billingMode": order.billing,
        "endTime": seconds(machine.end_at),
        "createdAt": seconds(machine.created_at),
        "lastStartedAt": seconds(machine.started_at),
        "lastStoppedAt": seconds(machine.stopped_at),
    }


def _product(machine: Machine) -> JsonObject:
    product = machine.product
    return {"productId": product.id, "productName": product.name, "rootfsSize": machine.rootfs_size}


def _spot(machine: Machine) -> JsonObject:
    return {"spotStatus": machine.spot_status, "spotReclaimTime": seconds(machine.reclaim_at)}


def _ports(machine: Machine, *, with_endpoints: bool) -> list[JsonObject]:
    if not with_endpoints:
        return [{"port": mapping.port, "type": mapping.type} for mapping in machine.ports]
    endpoints = machine.endpoints
    return [{"port": p.port, "endpoint": endpoints.get(p.port, ""), "type": p.type} for p in machine.ports]


def _volume(volume_id: str, mount_path: str, size: object) -> JsonObject:
    return {"type": "network", "size": size, "id": volume_id, "mountPath": mount_path}


def _connections(machine: Machine, cloud: Cloud, now: float) -> JsonObject:
    host, _, port = machine.ssh_address.rpartition(":")
    tool = next(iter(machine.order.tools), None)
    jupyter = machine.endpoints.get(tool.port, "") if tool else ""
    log = f"{LOG_ROOT}/instances/{machine.id}"
    return {
        "connectComponentSSH": {
            "sshCommand": f"ssh -p {port} root@{host}" if host else "",
            "password": machine.ssh_password,
            "isRunning": cloud.doors.ssh_is_running(machine, now),
        },
        "connectComponentWebTerminal": {"address": "", "username": "", "password": "", "isRunning": False},
        "connectComponentJupyter": {"port": tool.port if tool else 0, "address": jupyter, "isRunning": bool(jupyter)},
        "connectComponentLog": {
            "systemLogAddress": f"{log}/system",
            "instanceLogAddress": f"{log}/container",
            "isRunning": machine.status == "running",
        },
    }
