"""What an order must meet before anything is taken for it. The order of the checks is the simulator's own."""

from collections.abc import Iterable, Sequence

from novita_gpu.cloud.simulator.catalogue import Product
from novita_gpu.cloud.simulator.machines import Machine
from novita_gpu.cloud.simulator.orders import Order
from novita_gpu.cloud.simulator.refusals import Refused, invalid
from novita_gpu.cloud.simulator.settings import Quirks
from novita_gpu.cloud.simulator.shelf import Shelf


def check_order(order: Order, product: Product, shelf: Shelf) -> None:
    """`Refused` where the product does not offer what is asked, or the credential is unknown."""
    if order.billing not in product.billing:
        raise Refused("UNSUPPORTED_BILLING_MODE", "unsupported billing mode")
    if order.rootfs_size > product.disk:
        raise invalid(f"rootfsSize must not exceed {product.disk}")
    if order.cuda > product.cuda:
        raise Refused("CUDA_VERSION_INCOMPATIBLE", "cuda version is incompatible")
    shelf.check_auth(order.image_auth_id)


def check_limits(gpus: int, machines: Iterable[Machine], quirks: Quirks) -> None:
    """`Refused` where one more machine, or its GPUs, would be beyond the account's limits."""
    present = [machine for machine in machines if not machine.is_going]
    if quirks.instance_limit is not None and len(present) >= quirks.instance_limit:
        raise Refused("CREATE_INSTANCE_LIMIT", "instance limit reached")
    used = sum(machine.order.gpu_num for machine in present)
    if quirks.gpu_limit is not None and used + gpus > quirks.gpu_limit:
        raise Refused("CREATE_GPU_NUM_LIMIT", "gpu limit reached", metadata={"0": str(quirks.gpu_limit)})


def places_for(order: Order, product: Product, shelf: Shelf) -> Sequence[str]:
    """The clusters to try, in turn: the one asked for or all of the product's, where the order's volumes are."""
    volumes = [shelf.volume(mount.id) for mount in order.network_storages]
    wanted = [shelf.cluster(order.cluster_id).id] if order.cluster_id else list(product.clusters)
    places = [cluster_id for cluster_id in wanted if all(volume.cluster_id == cluster_id for volume in volumes)]
    if volumes and not places:
        raise Refused("NETWORK_STORAGE_UNAVAILABLE", "network storage is in another cluster")
    return places
