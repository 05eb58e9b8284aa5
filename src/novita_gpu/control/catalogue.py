"""What the cloud sells and keeps for us, remembered for a while: one fetch however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from novita_gpu.cloud.base import Cloud, Template
from novita_gpu.domain.offers import Cluster, Product
from novita_gpu.domain.spec import BillingMode

T = TypeVar("T")

# Stock moves within minutes, regions within months.
PRODUCTS_TTL = timedelta(seconds=60)
CLUSTERS_TTL = timedelta(minutes=10)
TEMPLATES_TTL = timedelta(minutes=5)


class Remembered(Generic[T]):
    """One value with its age. Callers who ask while it is fetched share that fetch."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], ttl: timedelta, now: Callable[[], datetime]) -> None:
        self._fetch, self._ttl, self._now = fetch, ttl, now
        self._value: tuple[T, datetime] | None = None
        self._fetching: asyncio.Task[T] | None = None

    async def get(self) -> T:
        if self._value and self._now() < self._value[1] + self._ttl:
            return self._value[0]
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.ensure_future(self._renew())
        return await asyncio.shield(self._fetching)

    async def _renew(self) -> T:
        value = await self._fetch()
        self._value = (value, self._now())
        return value


class Catalogue:
    """Products by billing mode, clusters and templates. Raises the cloud's errors."""

    def __init__(self, cloud: Cloud, now: Callable[[], datetime]) -> None:
        self._cloud, self._now = cloud, now
        self._clusters = Remembered(cloud.clusters, CLUSTERS_TTL, now)
        self._products = {
            mode: Remembered(lambda mode=mode: cloud.products(mode), PRODUCTS_TTL, now) for mode in BillingMode
        }
        self._templates: dict[str, Remembered[Template]] = {}

    async def products(self, mode: BillingMode) -> tuple[Product, ...]:
        return await self._products[mode].get()

    async def clusters(self) -> tuple[Cluster, ...]:
        return await self._clusters.get()

    async def template(self, template_id: str) -> Template:
        """Raises `NotFound` when the cloud has none with that id; that answer is not remembered."""
        if len(self._templates) > 1000:
            self._templates.clear()
        remembered = self._templates.get(template_id)
        if remembered is None:
            remembered = Remembered(lambda: self._cloud.template(template_id), TEMPLATES_TTL, self._now)
        template = await remembered.get()
        self._templates[template_id] = remembered
        return template
