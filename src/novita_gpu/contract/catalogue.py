"""The cloud's catalogue as we see it: products, regions, templates."""

from typing import Annotated

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Region, Time, Usd
from novita_gpu.contract.views import View
from novita_gpu.domain.spec import BillingMode

AsOf = Annotated[Time, Meta(description="When the cloud was asked.")]
Stale = Annotated[bool, Meta(description="The cloud does not answer now; `fault` says how. What is here is older.")]

Inventory = Annotated[str, Meta(description="The cloud's own word: none, low, normal, high.")]


class ProductsQuery(Request, frozen=True, kw_only=True):
    region: Annotated[Region, Meta(description="Only what is sold there, with the stock of that region.")] | None = None
    billing_mode: BillingMode | None = None


class PlaceView(View, frozen=True, kw_only=True):
    """Stock is told for the region that is asked for, else for those in DEFAULT_REGIONS.

    `emptyUntil`: until then a lack of capacity met there is remembered, and it is tried last.
    """

    region: str
    cluster_id: str
    available: bool | None = None
    inventory: Inventory | None = None
    empty_until: Time | None = None


class PriceView(View, frozen=True, kw_only=True):
    """What a product costs in one billing mode, and where. Stock is the cloud's word and may be old.

    `available`, `inventory`: in the region that is asked for, else anywhere.
    """

    billing_mode: BillingMode
    price_per_gpu_hour: Usd
    available: bool
    inventory: Inventory | None = None
    regions: tuple[PlaceView, ...]


class ProductView(View, frozen=True, kw_only=True):
    id: str
    name: str
    cpu_per_gpu: int
    memory_per_gpu_gb: int
    min_rootfs_size: int
    max_rootfs_size: int
    prices: tuple[PriceView, ...]


class ProductList(View, frozen=True, kw_only=True):
    products: tuple[ProductView, ...]
    as_of: AsOf
    stale: Stale = False
    fault: str | None = None


class EmptyView(View, frozen=True, kw_only=True):
    """A lack of capacity that was met."""

    product_id: str
    billing_mode: BillingMode
    gpu_num: int
    until: Time


class RegionView(View, frozen=True, kw_only=True):
    """`priority`: its place in DEFAULT_REGIONS, from 1; absent: not tried unless it is asked for."""

    id: Annotated[str, Meta(description="The cluster's id.")]
    name: str
    display_name: str
    priority: int | None = None
    network_storage: bool
    products: Annotated[tuple[str, ...], Meta(description="Names of products sold there.")]
    empty: tuple[EmptyView, ...]


class RegionList(View, frozen=True, kw_only=True):
    """By priority, then name."""

    regions: tuple[RegionView, ...]
    as_of: AsOf
    stale: Stale = False
    fault: str | None = None


class TemplatePort(View, frozen=True, kw_only=True):
    port: int
    type: str


class TemplateView(View, frozen=True, kw_only=True):
    """A template without its command and without the values of its environment, which may be secret."""

    id: str
    name: str
    channel: str
    image_url: str
    rootfs_size: int | None = None
    ports: tuple[TemplatePort, ...]
    envs: Annotated[tuple[str, ...], Meta(description="Names only.")]
    tools: tuple[str, ...]
    min_cuda_version: str | None = None
    registry_auth: Annotated[str, Meta(description="Name of the registry credential.")] | None = None
    description: Annotated[str, Meta(description="Only in the answer for one template.")] | None = None


class TemplateList(View, frozen=True, kw_only=True):
    templates: tuple[TemplateView, ...]
    as_of: AsOf
    stale: Stale = False
    fault: str | None = None


class TemplateAnswer(View, frozen=True, kw_only=True):
    template: TemplateView
    as_of: AsOf
    stale: Stale = False
    fault: str | None = None
