"""What the cloud has on offer, as callers see it. Raises the cloud's errors when nothing was ever read."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from novita_gpu.cloud.base import CloudError, NotFound, RegistryAuth, Template
from novita_gpu.contract import time_text
from novita_gpu.contract.catalogue import (
    EmptyView,
    ProductList,
    ProductsQuery,
    RegionList,
    RegionView,
    TemplateAnswer,
    TemplateList,
    TemplatePort,
    TemplateView,
)
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.remembered import Known
from novita_gpu.control.shelf import Listed, Shelf, There
from novita_gpu.domain.errors import Fault, Invalid, Missing
from novita_gpu.domain.offers import Product
from novita_gpu.domain.regions import Cluster, Regions, region_of
from novita_gpu.domain.spec import BillingMode


class Inventory:
    def __init__(self, catalogue: Catalogue, default_regions: Sequence[str]) -> None:
        self._catalogue = catalogue
        self._default_regions = tuple(map(region_of, default_regions))

    async def products(self, query: ProductsQuery) -> ProductList:
        """With the stock of the region that is asked for, else of the default ones. Raises `Invalid`."""
        regions = Regions(clusters=(await self._catalogue.clusters.known()).value)
        places = regions.of(query.region) if query.region else regions.clusters
        if not places:
            message = f"There is no such region. Known are {', '.join(regions.names)}."
            raise Invalid(Fault(field="region", message=message, value=query.region))
        modes = (query.billing_mode,) if query.billing_mode else tuple(BillingMode)
        known = {mode: await self._catalogue.products(mode).known() for mode in modes}
        told = places if query.region else tuple(c for word in self._default_regions for c in regions.of(word))
        shelf = Shelf(
            listed={mode: one.value for mode, one in known.items()},
            there=await self._there(modes, told),
            places=places,
            one_region=query.region is not None,
            empties=await self._catalogue.empties(),
        )
        fault = next((one.fault for one in known.values() if one.fault), "")
        return ProductList(
            products=shelf.views(),
            as_of=time_text(min(one.at for one in known.values())),
            stale=bool(fault),
            fault=fault or None,
        )

    async def _there(self, modes: Iterable[BillingMode], clusters: Iterable[Cluster]) -> There:
        """Stock by cluster; none for those that cannot be asked about now."""
        places = [(mode, cluster.id) for mode in modes for cluster in clusters]
        asked = (self._catalogue.products(mode, cluster_id).fresh() for mode, cluster_id in places)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        tables: dict[tuple[BillingMode, str], Mapping[str, Product]] = {}
        for place, answer in zip(places, answers, strict=True):
            if isinstance(answer, Known):
                tables[place] = {product.id: product for product in answer.value}
            elif not isinstance(answer, CloudError):
                raise answer
        return tables

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
