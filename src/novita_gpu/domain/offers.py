"""Which offers fit a spec, in which order they are tried, and why the others are passed over."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from novita_gpu.domain.instance import Attempt, Offer, Refusal
from novita_gpu.domain.money import usd_per_hour
from novita_gpu.domain.spec import BillingMode, Spec
from novita_gpu.domain.value import Value

# An offer that was refused for one of these is not tried again in the same run.
_FINAL = frozenset({Refusal.CAPACITY, Refusal.REJECTED, Refusal.STUCK})


class Product(Value, frozen=True, kw_only=True):
    """A GPU product as the cloud lists it. Prices in 1/100000 USD per GPU and hour; None or 0 = not to be had."""

    id: str
    name: str
    regions: tuple[str, ...]  # region names; none = every region
    cpu_per_gpu: int
    memory_per_gpu_gb: int
    min_rootfs_gb: int
    max_rootfs_gb: int
    available: bool
    inventory: str
    billing_modes: tuple[str, ...]
    on_demand_units: int | None
    spot_units: int | None

    def units(self, mode: BillingMode) -> int:
        """The price of that billing mode; 0 when it has none."""
        return (self.spot_units if mode is BillingMode.SPOT else self.on_demand_units) or 0


class Cluster(Value, frozen=True, kw_only=True):
    """A place with machines. `region` is its display name up to the first space: what products join on."""

    id: str
    region: str
    name: str
    gpu_types: tuple[str, ...] = ()
    network_storage: bool = False


class PassedOver(Value, frozen=True, kw_only=True):
    region: str
    product_id: str = ""
    why: str


class Ranking(Value, frozen=True, kw_only=True):
    """Offers in the order in which they are tried, and what was left out."""

    offers: tuple[Offer, ...]
    passed_over: tuple[PassedOver, ...]

    def summary(self) -> str:
        """One line: why there is nothing to try."""
        lines = dict.fromkeys(f"{p.region}: {p.why}" for p in self.passed_over)
        return "; ".join(lines) or "no region is allowed"


def is_named(product: Product, spec: Spec) -> bool:
    """Whole id or whole name: a fuzzy match would buy another card."""
    return product.id == spec.product_id if spec.product_id else product.name == spec.product_name


def rank(
    spec: Spec,
    products: Iterable[Product],
    clusters: Iterable[Cluster],
    *,
    tried: Iterable[Attempt] = (),
    empty_until: Mapping[str, datetime] | None = None,
    now: datetime,
) -> Ranking:
    """Offers by the caller's region order, then price of the wanted billing mode, then memory and CPU, then id.

    Offers remembered as empty come last: the memory may be wrong, and a refused create costs nothing.
    """
    named = [p for p in products if is_named(p, spec)]
    places = list(clusters)
    offers: list[Offer] = []
    passed: list[PassedOver] = []
    for region in spec.regions:
        found, left_out = _of_region(spec, region, named, [c for c in places if c.region == region])
        offers += found
        passed += left_out
    refused = {_place(a.offer): a for a in tried if a.refusal in _FINAL}
    passed += [
        PassedOver(region=o.region, product_id=o.product_id, why=_refusal_text(refused[_place(o)]))
        for o in offers
        if _place(o) in refused
    ]
    remembered = {key for key, until in (empty_until or {}).items() if until > now}
    untried = [o for o in offers if _place(o) not in refused]
    return Ranking(
        offers=tuple(sorted(untried, key=lambda o: empty_key(o) in remembered)),
        passed_over=tuple(passed),
    )


def empty_key(offer: Offer) -> str:
    """What a lack of capacity is remembered under: product, cluster, billing mode, GPUs."""
    return f"{offer.product_id}|{offer.cluster_id}|{offer.billing_mode.value}|{offer.gpu_num}"


def _of_region(
    spec: Spec, region: str, named: list[Product], places: list[Cluster]
) -> tuple[list[Offer], list[PassedOver]]:
    if not places:
        return [], [PassedOver(region=region, why="the cloud has no such region")]
    here = [p for p in named if not p.regions or region in p.regions]
    if not here:
        return [], [PassedOver(region=region, why="the product is not offered there")]
    faults = {p.id: fault for p in here if (fault := next(misfits(p, spec), None))}
    passed = [PassedOver(region=region, product_id=p, why=why) for p, why in faults.items()]
    fitting = sorted((p for p in here if p.id not in faults), key=lambda p: _order(p, spec))
    return [_offer(spec, p, c) for p in fitting for c in places], passed


def misfits(product: Product, spec: Spec) -> Iterator[str]:
    """Each reason why the product cannot be what was asked for."""
    mode = spec.billing_mode
    if mode.value not in product.billing_modes:
        yield f"not sold as {mode.value}"
    if product.units(mode) <= 0:
        yield f"has no {mode.value} price"
    if not product.available or product.inventory == "none":
        yield "out of stock"
    if not product.min_rootfs_gb <= spec.rootfs_size_gb <= (product.max_rootfs_gb or spec.rootfs_size_gb):
        yield f"rootfsSize must be {product.min_rootfs_gb}..{product.max_rootfs_gb} GB"
    price = usd_per_hour(product.units(mode), spec.gpu_num)
    if spec.max_usd_per_hour is not None and price > spec.max_usd_per_hour:
        yield f"costs {price} USD per hour, more than maxPricePerHour {spec.max_usd_per_hour}"


def _order(product: Product, spec: Spec) -> tuple[Decimal, int, int, str]:
    price = usd_per_hour(product.units(spec.billing_mode), spec.gpu_num)
    return price, -product.memory_per_gpu_gb, -product.cpu_per_gpu, product.id


def _offer(spec: Spec, product: Product, cluster: Cluster) -> Offer:
    return Offer(
        product_id=product.id,
        product_name=product.name,
        cluster_id=cluster.id,
        region=cluster.region,
        billing_mode=spec.billing_mode,
        gpu_num=spec.gpu_num,
        usd_per_hour=usd_per_hour(product.units(spec.billing_mode), spec.gpu_num),
        cpu_num=product.cpu_per_gpu * spec.gpu_num or None,
        memory_gb=product.memory_per_gpu_gb * spec.gpu_num or None,
    )


def _place(offer: Offer) -> tuple[str, str]:
    return offer.product_id, offer.cluster_id


def _refusal_text(attempt: Attempt) -> str:
    return f"attempt {attempt.number}: {attempt.message or attempt.refusal}"
