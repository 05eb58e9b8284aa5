"""The paths of the real API and the parameters each is documented to take."""

from typing import NamedTuple

GPU = "/gpu-instance/openapi/v1"  # instances and all that belongs to them
ACCOUNT = "/openapi/v1"  # money and metrics


class Route(NamedTuple):
    """A call: its short name, and the query parameters (GET) or body fields (POST) it knows."""

    op: str
    known: frozenset[str]


def _row(method: str, path: str, op: str, known: str = "") -> tuple[tuple[str, str], Route]:
    return (method, path), Route(op, frozenset(known.split()))


CREATE_FIELDS = (
    "name productId gpuNum rootfsSize imageUrl imageAuth imageAuthId ports envs tools command entrypoint clusterId "
    "networkStorages networkId kind month billingMode autoRenew autoRenewMonth minCudaVersion"
)

ROUTES: dict[tuple[str, str], Route] = dict(
    (
        _row("GET", f"{GPU}/clusters", "clusters"),
        _row(
            "GET",
            f"{GPU}/products",
            "products",
            "clusterId gpuNum productName minCpuPerGpu minMemoryPerGpu minRootFSSize billingMethod",
        ),
        _row("GET", f"{GPU}/cpu/products", "cpu_products", "clusterId productName"),
        _row("POST", f"{GPU}/gpu/instance/create", "create", CREATE_FIELDS),
        _row("GET", f"{GPU}/gpu/instances", "list", "pageSize pageNum name productName status"),
        _row("GET", f"{GPU}/gpu/instance", "get", "instanceId"),
        _row("POST", f"{GPU}/gpu/instance/edit", "edit", "instanceId ports expandRootDisk"),
        _row("POST", f"{GPU}/gpu/instance/start", "start", "instanceId"),
        _row("POST", f"{GPU}/gpu/instance/stop", "stop", "instanceId"),
        _row("POST", f"{GPU}/gpu/instance/restart", "restart", "instanceId"),
        _row("POST", f"{GPU}/gpu/instance/delete", "delete", "instanceId"),
        _row(
            "POST",
            f"{GPU}/gpu/instance/upgrade",
            "upgrade",
            "instanceId imageUrl imageAuthId envs command entrypoint save networkVolume",
        ),
        _row("POST", f"{GPU}/gpu/instance/migrate", "migrate", "instanceId"),
        _row(
            "POST",
            f"{GPU}/gpu/instance/setAutoMigrate",
            "set_auto_migrate",
            "instanceId autoMigrateOpen autoMigrateSystemDisk",
        ),
        _row("GET", f"{GPU}/jobs", "jobs", "pageSize pageNum jobId state type startTime endTime creators"),
        _row("POST", f"{GPU}/job/break", "break_job", "jobId"),
        _row("POST", f"{GPU}/job/save/image", "save_image", "instanceId image registryAuthId"),
        _row("GET", f"{GPU}/repository/auths", "auths"),
        _row("POST", f"{GPU}/repository/auth/save", "save_auth", "name username password"),
        _row("POST", f"{GPU}/repository/auth/delete", "delete_auth", "id"),
        _row("GET", f"{GPU}/networkstorages/list", "storages", "pageNo pageSize storageName storageId"),
        _row("POST", f"{GPU}/networkstorage/create", "create_storage", "clusterId storageName storageSize"),
        _row("POST", f"{GPU}/networkstorage/update", "update_storage", "storageId storageName storageSize"),
        _row("POST", f"{GPU}/networkstorage/delete", "delete_storage", "storageId"),
        _row("GET", f"{GPU}/templates", "templates", "pageSize pageNum name type channel isMyCommunity"),
        _row("GET", f"{GPU}/template", "template", "templateId"),
        _row("POST", f"{GPU}/template/create", "create_template", "template"),
        _row("POST", f"{GPU}/template/update", "update_template", "template"),
        _row("POST", f"{GPU}/template/delete", "delete_template", "templateId"),
        _row("GET", f"{ACCOUNT}/metrics/gpu/instance", "metrics", "instanceId startTime endTime interval"),
        _row("GET", f"{ACCOUNT}/billing/balance/detail", "balance"),
    )
)
