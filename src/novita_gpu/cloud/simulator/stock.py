"""Free GPUs of each product in each cluster."""

from collections.abc import Iterable

from novita_gpu.cloud.simulator.catalogue import Product
from novita_gpu.cloud.simulator.refusals import out_of_stock

LOW_GPUS = 8
HIGH_GPUS = 256


class Stock:
    """What is left, counted in GPUs per (product, cluster); spot machines may have a smaller share of it."""

    def __init__(self, products: Iterable[Product], default_gpus: int) -> None:
        self._default_gpus = default_gpus
        self.free: dict[tuple[str, str], int] = {}
        for product in products:
            self.open(product)
        self.free_for_spot: dict[tuple[str, str], int] = {}
        self.shown: dict[str, str] = {}

    def open(self, product: Product) -> None:
        """Count the product wherever it is sold; what is counted already stays."""
        gpus = self._default_gpus if product.stock is None else product.stock
        for cluster_id in product.clusters:
            self.free.setdefault((product.id, cluster_id), gpus)

    def put(self, product_id: str, cluster_id: str, gpus: int, *, spot_only: bool = False) -> int:
        """Set what is free; `*` stands for every product or cluster. Answers how many pairs were set."""
        chosen = [pair for pair in self.free if product_id in {pair[0], "*"} and cluster_id in {pair[1], "*"}]
        for pair in chosen:
            (self.free_for_spot if spot_only else self.free)[pair] = gpus
        return len(chosen)

    def show(self, product_id: str, inventory_state: str) -> None:
        """List a product under a state that need not be true; an empty one returns to the truth."""
        self.shown[product_id] = inventory_state

    def left(self, product_id: str, cluster_id: str, billing: str) -> int:
        """GPUs one could still take there."""
        pair = (product_id, cluster_id)
        free = self.free.get(pair, 0)
        return min(free, self.free_for_spot.get(pair, free)) if billing == "spot" else free

    def place(self, product: Product, cluster_ids: Iterable[str], gpus: int, billing: str) -> str:
        """The first of the clusters that has room; `Refused` with `INSUFFICIENT_RESOURCE` where none has."""
        for cluster_id in cluster_ids:
            if self.left(product.id, cluster_id, billing) >= gpus:
                return cluster_id
        raise out_of_stock()

    def take(self, product_id: str, cluster_id: str, gpus: int, billing: str) -> None:
        """Count GPUs as used; `Refused` with `INSUFFICIENT_RESOURCE` where there are too few."""
        if self.left(product_id, cluster_id, billing) < gpus:
            raise out_of_stock()
        self._move(product_id, cluster_id, -gpus, billing)

    def give_back(self, product_id: str, cluster_id: str, gpus: int, billing: str) -> None:
        """Count GPUs as free again."""
        self._move(product_id, cluster_id, gpus, billing)

    def most(self, product: Product, cluster_id: str, billing: str) -> int:
        """GPUs left in one cluster, or (empty id) in the one that has most of them."""
        places = [cluster_id] if cluster_id else product.clusters
        return max((self.left(product.id, place, billing) for place in places), default=0)

    def state(self, product: Product, cluster_id: str, billing: str) -> str:
        """`none`, `low`, `normal` or `high`, the true one or the one it was told to show."""
        if shown := self.shown.get(product.id):
            return shown
        left = self.most(product, cluster_id, billing)
        if left < 1:
            return "none"
        return "low" if left < LOW_GPUS else "normal" if left < HIGH_GPUS else "high"

    def _move(self, product_id: str, cluster_id: str, gpus: int, billing: str) -> None:
        pair = (product_id, cluster_id)
        self.free[pair] = self.free.get(pair, 0) + gpus
        if billing == "spot" and pair in self.free_for_spot:
            self.free_for_spot[pair] += gpus
