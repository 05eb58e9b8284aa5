"""What the cloud has on offer, as callers see it. Raises the cloud's errors when nothing was ever read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from novita_gpu.cloud.base import CloudError, NotFound, RegistryAuth, Template
from novita_gpu.contract import time_text
from novita_gpu.contract.catalogue import (
    EmptyView,
    PlaceView,
    PriceView,
    ProductList,
    ProductsQuery,
    ProductView,
    RegionList,
    RegionView,
    TemplateAnswer,
    TemplateList,
    TemplatePort,
    TemplateView,
)
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.remembered import Known
from novita_gpu.domain.errors import Fault, Invalid, Missing
from novita_gpu.domain.money import price_text
from novita_gpu.domain.offers import Product
from novita_gpu.domain.regions import Cluster, Regions, region_of
from novita_gpu.domain.spec import BillingMode

Listed = Mapping[BillingMode, tuple[Product, ...]]


class Inventory:
    def __init__(self, catalogue: Catalogue, default_regions: Sequence[str]) -> None:
        self._catalogue = catalogue
        self._default_regions = tuple(map(region_of, default_regions))

    async def products(self, query: ProductsQuery) -> ProductList:
        """Raises `Invalid` for an unknown region."""
        regions = Regions(clusters=(await self._catalogue.clusters.known()).value)
        places = regions.clusters
        if query.region:
            places = regions.of(query.region)
            if not places:
                message = f"There is no such region. Known are {', '.join(regions.names)}."
                raise Invalid(Fault(field="region", message=message, value=query.region))
        modes = (query.billing_mode,) if query.billing_mode else tuple(BillingMode)
        there = places[0].id if query.region and len(places) == 1 else ""
        known = {mode: await self._products(mode, there) for mode in modes}
        listed = {mode: one.value for mode, one in known.items()}
        oldest = min(known.values(), key=lambda one: one.at)
        fault = next((one.fault for one in known.values() if one.fault), "")
        return ProductList(
            products=_product_views(listed, places, await self._catalogue.empties()),
            as_of=time_text(oldest.at),
            stale=bool(fault),
            fault=fault or None,
        )

    async def _products(self, mode: BillingMode, there: str) -> Known[tuple[Product, ...]]:
        """Of one cluster; while that cannot be asked for, of the whole cloud, and said to be old."""
        try:
            return await self._catalogue.products(mode, there).known()
        except CloudError as error:
            if not there:
                raise
            anywhere = await self._catalogue.products(mode).known()
            return replace(anywhere, fault=error.message)

    async def regions(self) -> RegionList:
        """What each has is told by the product table; without one at hand, by the cluster itself."""
        known = await self._catalogue.clusters.known()
        try:
            listed: Listed = {mode: (await self._catalogue.products(mode).known()).value for mode in BillingMode}
        except CloudError:
            listed = {}
        empties = await self._catalogue.empties()
        rows = [self._region(cluster, listed, empties) for cluster in known.value]
        last = len(rows) + len(self._default_regions)
        return RegionList(
            regions=tuple(sorted(rows, key=lambda r: (r.priority or last, r.name, r.id))),
            as_of=time_text(known.at),
            stale=bool(known.fault),
            fault=known.fault or None,
        )

    def _region(self, cluster: Cluster, listed: Listed, empties: Mapping[str, datetime]) -> RegionView:
        priorities = {word: place for place, word in enumerate(self._default_regions, 1)}
        empty = [_empty(key, until) for key, until in sorted(empties.items()) if key.split("|")[1] == cluster.id]
        sold = {p.name for products in listed.values() for p in products if p.is_in(cluster.region)}
        return RegionView(
            id=cluster.id,
            name=cluster.region,
            display_name=cluster.name,
            priority=priorities.get(cluster.id) or priorities.get(cluster.region),
            network_storage=cluster.network_storage,
            products=tuple(sorted(sold or cluster.gpu_types)),
            empty=tuple(empty),
        )

    async def templates(self) -> TemplateList:
        known = await self._catalogue.templates.known()
        auths = await self._auths()
        return TemplateList(
            templates=tuple(_template(one, auths) for one in known.value),
            as_of=time_text(known.at),
            stale=bool(known.fault),
            fault=known.fault or None,
        )

    async def template(self, template_id: str) -> TemplateAnswer:
        """Raises `Missing`."""
        try:
            known: Known[Template] = await self._catalogue.template(template_id).known()
        except NotFound:
            raise Missing("TEMPLATE_NOT_FOUND", f"There is no template {template_id}. List them to see ids.") from None
        return TemplateAnswer(
            template=_template(known.value, await self._auths(), description=known.value.description),
            as_of=time_text(known.at),
            stale=bool(known.fault),
            fault=known.fault or None,
        )

    async def _auths(self) -> Mapping[str, RegistryAuth]:
        try:
            return {auth.id: auth for auth in (await self._catalogue.auths.known()).value}
        except CloudError:
            return {}


def _product_views(
    listed: Listed, places: Iterable[Cluster], empties: Mapping[str, datetime]
) -> tuple[ProductView, ...]:
    """By name, then id; one row a product, whatever the billing modes that list it."""
    here = list(places)
    rows: dict[str, list[tuple[BillingMode, Product]]] = {}
    for mode, products in listed.items():
        for product in products:
            if any(product.is_in(cluster.region) for cluster in here):
                rows.setdefault(product.id, []).append((mode, product))
    views = [_product_view(known, here, empties) for known in rows.values()]
    return tuple(sorted((view for view in views if view.prices), key=lambda v: (v.name, v.id)))


def _product_view(
    known: Sequence[tuple[BillingMode, Product]], places: Iterable[Cluster], empties: Mapping[str, datetime]
) -> ProductView:
    first = known[0][1]
    return ProductView(
        id=first.id,
        name=first.name,
        cpu_per_gpu=first.cpu_per_gpu,
        memory_per_gpu_gb=first.memory_per_gpu_gb,
        min_rootfs_size=first.min_rootfs_gb,
        max_rootfs_size=first.max_rootfs_gb,
        prices=tuple(
            _price(mode, product, places, empties)
            for mode, product in known
            if product.units(mode) > 0 and mode.value in product.billing_modes
        ),
    )


def _price(
    mode: BillingMode, product: Product, places: Iterable[Cluster], empties: Mapping[str, datetime]
) -> PriceView:
    return PriceView(
        billing_mode=mode,
        price_per_gpu_hour=price_text(product.units(mode)),
        available=product.in_stock,
        inventory=product.inventory or None,
        regions=tuple(
            PlaceView(region=c.region, cluster_id=c.id, empty_until=_empty_until(product, c, mode, empties))
            for c in places
            if product.is_in(c.region)
        ),
    )


def _empty_until(product: Product, cluster: Cluster, mode: BillingMode, empties: Mapping[str, datetime]) -> str | None:
    """Of any number of GPUs, the longest."""
    begin = f"{product.id}|{cluster.id}|{mode.value}|"
    return max((time_text(until) for key, until in empties.items() if key.startswith(begin)), default=None)


def _empty(key: str, until: datetime) -> EmptyView:
    product_id, _, mode, gpus = key.split("|")
    return EmptyView(product_id=product_id, billing_mode=BillingMode(mode), gpu_num=int(gpus), until=time_text(until))


def _template(one: Template, auths: Mapping[str, RegistryAuth], description: str = "") -> TemplateView:
    auth = auths.get(one.image_auth_id)
    return TemplateView(
        id=one.id,
        name=one.name,
        channel=one.channel,
        image_url=one.image_url,
        rootfs_size=one.rootfs_size_gb,
        ports=tuple(TemplatePort(port=p.port, type=p.type) for p in one.ports),
        envs=tuple(env.key for env in one.envs),
        tools=tuple(tool.name for tool in one.tools),
        min_cuda_version=one.min_cuda_version or None,
        registry_auth=auth.name if auth else None,
        description=description or None,
    )
