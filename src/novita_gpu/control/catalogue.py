"""What the cloud sells and keeps for us: products, clusters, templates, credentials, and the account's balance."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from novita_gpu.cloud.base import Balance, Cloud, RegistryAuth, Template
from novita_gpu.control.remembered import FactKeep, Known, Remembered
from novita_gpu.domain.offers import Market, Product
from novita_gpu.domain.regions import Cluster, Regions
from novita_gpu.domain.spec import BillingMode
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError

T = TypeVar("T")
K = TypeVar("K")

# Stock and prices move within minutes, regions within months.
PRODUCTS_TTL = timedelta(seconds=60)
CLUSTERS_TTL = timedelta(minutes=10)
TEMPLATES_TTL = timedelta(minutes=5)
AUTHS_TTL = timedelta(minutes=5)
BALANCE_TTL = timedelta(seconds=60)
# Templates, and products of one cluster each, that are kept in memory: the most recently asked ones.
MANY = 500


class Catalogue:
    """Each is remembered, kept in the store, and renewed behind those who ask. All raise the cloud's errors.

    Registry credentials come as id and name: their passwords stop at the cloud's seam.
    """

    def __init__(self, cloud: Cloud, store: Store, now: Callable[[], datetime], ceiling: int | None = None) -> None:
        """`ceiling`: the highest price per hour that the operator allows."""
        self._cloud, self._store, self._now, self._ceiling = cloud, store, now, ceiling
        self.clusters = self._remembered("clusters", cloud.clusters, CLUSTERS_TTL, tuple[Cluster, ...])
        self.templates = self._remembered("templates", cloud.templates, TEMPLATES_TTL, tuple[Template, ...])
        self.auths = self._remembered("auths", cloud.registry_auths, AUTHS_TTL, tuple[RegistryAuth, ...])
        self.balance = self._remembered("balance", cloud.balance, BALANCE_TTL, Balance)
        self._products = {mode: self._products_of(mode, "") for mode in BillingMode}
        self._products_there: OrderedDict[tuple[BillingMode, str], Remembered[tuple[Product, ...]]] = OrderedDict()
        self._templates: OrderedDict[str, Remembered[Template]] = OrderedDict()

    def products(self, mode: BillingMode, cluster_id: str = "") -> Remembered[tuple[Product, ...]]:
        """With their price and stock in that billing mode: of the whole cloud, or of one cluster."""
        if not cluster_id:
            return self._products[mode]
        return _one(self._products_there, (mode, cluster_id), lambda: self._products_of(mode, cluster_id))

    def template(self, template_id: str) -> Remembered[Template]:
        """Raises `NotFound` when the cloud has none with that id; that answer is not remembered."""

        def fetch() -> Awaitable[Template]:
            return self._cloud.template(template_id)

        name = f"template:{template_id}"
        return _one(self._templates, template_id, lambda: self._remembered(name, fetch, TEMPLATES_TTL, Template))

    async def market(self, mode: BillingMode) -> Market:
        """To buy from: prices that are not older than their time."""
        return await self._market(await self.products(mode).fresh())

    async def known_market(self, mode: BillingMode) -> Known[Market]:
        """To tell of: as new as there is, and how old."""
        products = await self.products(mode).known()
        return Known(value=await self._market(products), at=products.at, fault=products.fault)

    async def _market(self, products: Known[tuple[Product, ...]]) -> Market:
        return Market(
            products=products.value,
            regions=Regions(clusters=(await self.clusters.known()).value),
            empty_until=await self.empties(),
            ceiling=self._ceiling,
        )

    async def empties(self) -> Mapping[str, datetime]:
        """What is remembered as empty, by `empty_key`, and until when. Nothing while the store is away."""
        try:
            return await self._store.facts.empties(self._now())
        except StoreError:
            return {}

    async def close(self) -> None:
        """Ends renewals that are under way. Before the cloud is closed."""
        for one in (
            *(self.clusters, self.templates, self.auths, self.balance),
            *(*self._products.values(), *self._products_there.values(), *self._templates.values()),
        ):
            await one.close()

    def _products_of(self, mode: BillingMode, cluster_id: str) -> Remembered[tuple[Product, ...]]:
        def fetch() -> Awaitable[tuple[Product, ...]]:
            return self._cloud.products(mode, cluster_id)

        return self._remembered(f"products:{mode}:{cluster_id}", fetch, PRODUCTS_TTL, tuple[Product, ...])

    def _remembered(self, name: str, fetch: Callable[[], Awaitable[T]], ttl: timedelta, kind: type[T]) -> Remembered[T]:
        return Remembered(fetch, ttl, self._now, FactKeep(self._store.facts, name, kind))


def _one(known: OrderedDict[K, T], key: K, make: Callable[[], T]) -> T:
    one = known.get(key)
    if one is None:
        one = known[key] = make()
        if len(known) > MANY:
            known.popitem(last=False)
    known.move_to_end(key)
    return one
