"""What the cloud sells and keeps for us: products, clusters, templates, credentials, and the account's balance."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from novita_gpu.cloud.base import Balance, Cloud, RegistryAuth, Template
from novita_gpu.control.caches import Cache
from novita_gpu.control.remembered import Cached, FactKeep, Known, Remembered, Uses, one_of
from novita_gpu.domain.offers import Market, Product
from novita_gpu.domain.regions import Cluster, Regions
from novita_gpu.domain.spec import BillingMode
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError

T = TypeVar("T")

# Stock and prices move within minutes, regions within months.
PRODUCTS_TTL = timedelta(seconds=60)
CLUSTERS_TTL = timedelta(minutes=10)
TEMPLATES_TTL = timedelta(minutes=5)
AUTHS_TTL = timedelta(minutes=5)
BALANCE_TTL = timedelta(seconds=60)


class Catalogue:
    """Each is remembered, kept in the store, and renewed behind those who ask. All raise the cloud's errors.

    Registry credentials come as id and name: their passwords stop at the cloud's seam.
    """

    def __init__(self, cloud: Cloud, store: Store, now: Callable[[], datetime], ceiling: int | None = None) -> None:
        """`ceiling`: the highest price per hour that the operator allows."""
        self._cloud, self._store, self._now, self._ceiling = cloud, store, now, ceiling
        self._uses = {name: Uses() for name in ("products", "regions", "templates", "credentials", "balance")}
        self.clusters = self._remembered("regions", "clusters", cloud.clusters, CLUSTERS_TTL, tuple[Cluster, ...])
        self.templates = self._remembered(
            "templates", "templates", cloud.templates, TEMPLATES_TTL, tuple[Template, ...]
        )
        self.auths = self._remembered("credentials", "auths", cloud.registry_auths, AUTHS_TTL, tuple[RegistryAuth, ...])
        self.balance = self._remembered("balance", "balance", cloud.balance, BALANCE_TTL, Balance)
        self._products = {mode: self._products_of(mode, "") for mode in BillingMode}
        self._products_there: OrderedDict[tuple[BillingMode, str], Remembered[tuple[Product, ...]]] = OrderedDict()
        self._templates: OrderedDict[str, Remembered[Template]] = OrderedDict()

    def products(self, mode: BillingMode, cluster_id: str = "") -> Remembered[tuple[Product, ...]]:
        """With their price and stock in that billing mode: of the whole cloud, or of one cluster."""
        if not cluster_id:
            return self._products[mode]
        place = (mode, cluster_id)
        uses = self._uses["products"]
        return one_of(self._products_there, place, lambda: self._products_of(mode, cluster_id), uses)

    def template(self, template_id: str) -> Remembered[Template]:
        """Raises `NotFound` when the cloud has none with that id; that answer is not remembered."""

        def fetch() -> Awaitable[Template]:
            return self._cloud.template(template_id)

        name = f"template:{template_id}"

        def make() -> Remembered[Template]:
            return self._remembered("templates", name, fetch, TEMPLATES_TTL, Template)

        return one_of(self._templates, template_id, make, self._uses["templates"])

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
        for name in self._uses:
            for one in self._all_of(name):
                await one.close()

    def caches(self) -> Mapping[str, Cache]:
        """Each part as a cache, by name."""

        def cached(name: str, uses: Uses) -> Cached:
            return Cached(uses, lambda: self._all_of(name))

        return {name: cached(name, uses) for name, uses in self._uses.items()}

    def _all_of(self, name: str) -> Iterable[Remembered[Any]]:
        parts: Mapping[str, Iterable[Remembered[Any]]] = {
            "products": (*self._products.values(), *self._products_there.values()),
            "regions": (self.clusters,),
            "templates": (self.templates, *self._templates.values()),
            "credentials": (self.auths,),
            "balance": (self.balance,),
        }
        return parts[name]

    def _products_of(self, mode: BillingMode, cluster_id: str) -> Remembered[tuple[Product, ...]]:
        def fetch() -> Awaitable[tuple[Product, ...]]:
            return self._cloud.products(mode, cluster_id)

        return self._remembered("products", f"products:{mode}:{cluster_id}", fetch, PRODUCTS_TTL, tuple[Product, ...])

    def _remembered(
        self, of: str, name: str, fetch: Callable[[], Awaitable[T]], ttl: timedelta, kind: type[T]
    ) -> Remembered[T]:
        keep = FactKeep(self._store.facts, name, kind)
        return Remembered(fetch, ttl, self._now, keep, uses=self._uses[of])
