"""One table of products, out of what the cloud lists for each billing mode, anywhere and in single clusters."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from novita_gpu.contract import time_text
from novita_gpu.contract.catalogue import PlaceView, PriceView, ProductView
from novita_gpu.domain.money import price_text
from novita_gpu.domain.offers import Product
from novita_gpu.domain.regions import Cluster
from novita_gpu.domain.spec import BillingMode
from novita_gpu.domain.value import Value

Listed = Mapping[BillingMode, tuple[Product, ...]]
There = Mapping[tuple[BillingMode, str], Mapping[str, Product]]


class Shelf(Value, frozen=True, kw_only=True):
    """`listed`: as sold anywhere. `there`: by billing mode and cluster, for the clusters whose stock is told.

    `one_region`: the places are those of one region, whose stock is the product's. `empties` by `empty_key`.
    """

    listed: Listed
    there: There
    places: tuple[Cluster, ...]
    one_region: bool
    empties: Mapping[str, datetime]

    def views(self) -> tuple[ProductView, ...]:
        """By name, then id; one row a product, with its price in each billing mode that it is sold in here."""
        rows: dict[str, list[tuple[BillingMode, Product]]] = {}
        for mode, products in self.listed.items():
            for product in products:
                if any(self._places(product)) and product.units(mode) > 0 and mode.value in product.billing_modes:
                    rows.setdefault(product.id, []).append((mode, product))
        views = (self._product(known) for known in rows.values())
        return tuple(sorted(views, key=lambda view: (view.name, view.id)))

    def _places(self, product: Product) -> Iterator[Cluster]:
        return (cluster for cluster in self.places if product.is_in(cluster.region))

    def _product(self, known: list[tuple[BillingMode, Product]]) -> ProductView:
        first = known[0][1]
        return ProductView(
            id=first.id,
            name=first.name,
            cpu_per_gpu=first.cpu_per_gpu,
            memory_per_gpu_gb=first.memory_per_gpu_gb,
            min_rootfs_size=first.min_rootfs_gb,
            max_rootfs_size=first.max_rootfs_gb,
            prices=tuple(self._price(mode, product) for mode, product in known),
        )

    def _price(self, mode: BillingMode, product: Product) -> PriceView:
        regions = tuple(self._place(mode, product, cluster) for cluster in self._places(product))
        told = [place for place in regions if place.available is not None] if self.one_region else []
        best = max(told, key=lambda place: bool(place.available), default=None)
        return PriceView(
            billing_mode=mode,
            price_per_gpu_hour=price_text(product.units(mode)),
            available=bool(best.available) if best else product.in_stock,
            inventory=best.inventory if best else product.inventory or None,
            regions=regions,
        )

    def _place(self, mode: BillingMode, product: Product, cluster: Cluster) -> PlaceView:
        table = self.there.get((mode, cluster.id))
        here = table.get(product.id) if table is not None else None
        return PlaceView(
            region=cluster.region,
            cluster_id=cluster.id,
            available=None if table is None else here is not None and here.in_stock,
            inventory=here.inventory or None if here else None,
            empty_until=self._empty_until(mode, product, cluster),
        )

    def _empty_until(self, mode: BillingMode, product: Product, cluster: Cluster) -> str | None:
        """Of any number of GPUs, the longest."""
        begin = f"{product.id}|{cluster.id}|{mode.value}|"
        return max((time_text(until) for key, until in self.empties.items() if key.startswith(begin)), default=None)
