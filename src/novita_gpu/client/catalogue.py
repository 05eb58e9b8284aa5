"""What the cloud has on offer, as the service answers it: products, regions, templates."""

from datetime import datetime
from decimal import Decimal

from novita_gpu.client.answers import Answer, Part


class OfCloud(Answer, frozen=True, kw_only=True):
    """`as_of`: when the cloud was asked. `stale`: it does not answer now, `fault` says how; what is here is older."""

    as_of: datetime | None = None
    stale: bool = False
    fault: str | None = None


class Place(Part, frozen=True, kw_only=True):
    """`empty_until`: until then a lack of capacity met there is remembered, and it is tried last."""

    region: str = ""
    cluster_id: str = ""
    available: bool | None = None
    inventory: str | None = None
    empty_until: datetime | None = None


class Price(Part, frozen=True, kw_only=True):
    """What a product costs in one billing mode, and where. Stock is the cloud's word and may be old."""

    billing_mode: str = ""
    price_per_gpu_hour: Decimal = Decimal(0)
    available: bool = False
    inventory: str | None = None
    regions: tuple[Place, ...] = ()


class Product(Part, frozen=True, kw_only=True):
    id: str = ""
    name: str = ""
    cpu_per_gpu: int = 0
    memory_per_gpu_gb: int = 0
    min_rootfs_size: int = 0
    max_rootfs_size: int = 0
    prices: tuple[Price, ...] = ()

    def price(self, billing_mode: str) -> Price | None:
        """None: it is not sold so."""
        return next((one for one in self.prices if one.billing_mode == billing_mode), None)


class ProductList(OfCloud, frozen=True, kw_only=True):
    products: tuple[Product, ...] = ()


class Empty(Part, frozen=True, kw_only=True):
    """A lack of capacity that was met."""

    product_id: str = ""
    billing_mode: str = ""
    gpu_num: int = 0
    until: datetime | None = None


class Region(Part, frozen=True, kw_only=True):
    """`id` is the cluster's. `priority`: its place among those that are tried, from 1; None: only if asked for."""

    id: str = ""
    name: str = ""
    display_name: str = ""
    priority: int | None = None
    network_storage: bool = False
    products: tuple[str, ...] = ()
    empty: tuple[Empty, ...] = ()


class RegionList(OfCloud, frozen=True, kw_only=True):
    """By priority, then name."""

    regions: tuple[Region, ...] = ()


class TemplatePort(Part, frozen=True, kw_only=True):
    port: int = 0
    type: str = ""


class Template(Part, frozen=True, kw_only=True):
    """Of its environment only the names. `description` comes only when one template is asked for."""

    id: str = ""
    name: str = ""
    channel: str = ""
    image_url: str = ""
    rootfs_size: int | None = None
    ports: tuple[TemplatePort, ...] = ()
    envs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    min_cuda_version: str | None = None
    registry_auth: str | None = None
    description: str | None = None


class TemplateList(OfCloud, frozen=True, kw_only=True):
    templates: tuple[Template, ...] = ()


class TemplateAnswer(OfCloud, frozen=True, kw_only=True):
    template: Template = Template()
