"""Which offers fit a spec, in which order they are tried, and why the others are passed over."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from novita_gpu.domain.instance import Attempt, Offer, Refusal
from novita_gpu.domain.money import price_of, price_text
from novita_gpu.domain.regions import Cluster, Regions
from novita_gpu.domain.spec import BillingMode, Spec
from novita_gpu.domain.value import Value

# How long a lack of capacity is remembered: at first, and at most when it is met again and again. Too short: a call
# wasted; too long: a region that has it again is tried last.
EMPTY_FIRST = timedelta(minutes=3)
EMPTY_LONGEST = timedelta(minutes=30)
# For each such time without a refusal one repeat is forgiven.
EMPTY_FORGIVEN = timedelta(minutes=30)

# An offer that was refused for one of these is not tried again in the same run.
_FINAL = frozenset({Refusal.CAPACITY, Refusal.REJECTED, Refusal.STUCK, Refusal.WITHDRAWN})


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
    free_gpus: int | None = None  # where the cloud tells; undocumented

    def units(self, mode: BillingMode) -> int:
        """The price of that billing mode; 0 when it has none."""
        return (self.spot_units if mode is BillingMode.SPOT else self.on_demand_units) or 0

    def is_in(self, region: str) -> bool:
        return not self.regions or region in self.regions

    @property
    def in_stock(self) -> bool:
        """As the cloud shows it, which may be old; what counts is its answer to a create."""
        return self.available and self.inventory != "none"


class Rule(StrEnum):
    """Why something is passed over."""

    NO_REGION = "no_region"
    NOT_SOLD_HERE = "not_sold_here"
    BILLING_MODE = "billing_mode"
    NO_PRICE = "no_price"
    OUT_OF_STOCK = "out_of_stock"
    TOO_FEW_GPUS = "too_few_gpus"
    ROOTFS_SIZE = "rootfs_size"
    NETWORK_STORAGE = "network_storage"
    MAX_PRICE = "max_price"  # the caller's
    PRICE_CEILING = "price_ceiling"  # the operator's
    REFUSED = "refused"  # by the cloud, in this run


class PassedOver(Value, frozen=True, kw_only=True):
    region: str
    product_id: str = ""
    rule: Rule
    why: str


class Ranking(Value, frozen=True, kw_only=True):
    """Offers in the order in which they are tried, and what was left out. `empty_until` by `empty_key`."""

    offers: tuple[Offer, ...]
    passed_over: tuple[PassedOver, ...]
    empty_until: Mapping[str, datetime] = {}

    @property
    def dearest(self) -> int:
        """The highest price per hour that may come of it."""
        return max((offer.units_per_hour for offer in self.offers), default=0)

    def is_for(self, rule: Rule) -> bool:
        """There is no offer, and something was passed over for this. Prices are looked at last: all else fits then."""
        return not self.offers and any(one.rule is rule for one in self.passed_over)

    def summary(self) -> str:
        """One line: why there is nothing to try."""
        return "; ".join(dict.fromkeys(f"{p.region}: {p.why}" for p in self.passed_over)) or "no region is allowed"

    def choice(self) -> str:
        """One line: what is tried now, and why that."""
        first = self.offers[0]
        others = len(self.offers) - 1
        line = f"{first.product_id} in {first.region} at {price_text(first.units_per_hour)} USD per hour: "
        return line + (f"the first of {others + 1} offers by region, then price" if others else "the only offer")


class Market(Value, frozen=True, kw_only=True):
    """What is known of the cloud's offers. `empty_until` by `empty_key`; `ceiling`: the operator's, per hour."""

    products: tuple[Product, ...]
    regions: Regions
    empty_until: Mapping[str, datetime] = {}
    ceiling: int | None = None


def is_named(product: Product, spec: Spec) -> bool:
    """Whole id or whole name: a fuzzy match would buy another card."""
    return product.id == spec.product_id if spec.product_id else product.name == spec.product_name


def rank(
    spec: Spec, market: Market, now: datetime, *, tried: Iterable[Attempt] = (), taken_in: str | None = None
) -> Ranking:
    """Offers by the caller's region order, then price of the wanted billing mode, then memory, CPU and ids.

    Offers remembered as empty come last: the memory may be wrong, and a refused create costs nothing. After them comes
    the cluster in which its machine was taken (`taken_in`).
    """
    named = _distinct((p for p in market.products if is_named(p, spec)), spec.billing_mode)
    refused = {_place(a.offer): a for a in tried if a.refusal in _FINAL}
    offers: dict[tuple[str, str], Offer] = {}
    passed: list[PassedOver] = []
    for word in market.regions.distinct(spec.regions):
        for one in _of_region(spec, word, named, market):
            if isinstance(one, PassedOver):
                passed.append(one)
            elif attempt := refused.get(_place(one)):
                passed.append(_refused(one, attempt))
            else:
                offers.setdefault(_place(one), one)  # a cluster that is named by its id and by its region's name
    remembered = {key: until for key, until in market.empty_until.items() if until > now}
    return Ranking(
        offers=tuple(sorted(offers.values(), key=lambda o: (o.cluster_id == taken_in, empty_key(o) in remembered))),
        passed_over=tuple(passed),
        empty_until={key: remembered[key] for key in map(empty_key, offers.values()) if key in remembered},
    )


def empty_key(offer: Offer) -> str:
    """What a lack of capacity is remembered under: product, cluster, billing mode, GPUs."""
    return f"{offer.product_id}|{offer.cluster_id}|{offer.billing_mode.value}|{offer.gpu_num}"


def misfits(product: Product, spec: Spec, ceiling: int | None = None) -> Iterator[tuple[Rule, str]]:
    """Each reason why the product cannot be what was asked for."""
    mode, gpus = spec.billing_mode, spec.gpu_num
    price = price_of(product.units(mode), gpus)
    if mode.value not in product.billing_modes:
        yield Rule.BILLING_MODE, f"{product.id} is not sold as {mode.value}"
    if price <= 0:
        yield Rule.NO_PRICE, f"{product.id} has no {mode.value} price"
    if not product.in_stock:
        yield Rule.OUT_OF_STOCK, f"{product.id} is out of stock"
    elif product.free_gpus is not None and product.free_gpus < gpus:
        yield Rule.TOO_FEW_GPUS, f"{product.id} has {product.free_gpus} GPUs free, {gpus} are asked for"
    if not product.min_rootfs_gb <= spec.rootfs_size_gb <= (product.max_rootfs_gb or spec.rootfs_size_gb):
        bounds = f"{product.min_rootfs_gb}..{product.max_rootfs_gb}"
        yield Rule.ROOTFS_SIZE, f"{product.id} takes a rootfsSize of {bounds} GB, not {spec.rootfs_size_gb}"
    told = f"{product.id} costs {price_text(price)} USD per hour"
    if spec.max_units_per_hour is not None and price > spec.max_units_per_hour:
        yield Rule.MAX_PRICE, f"{told}, more than maxPricePerHour {price_text(spec.max_units_per_hour)}"
    if ceiling is not None and price > ceiling:
        yield Rule.PRICE_CEILING, f"{told}, more than MAX_PRICE_USD_PER_HOUR {price_text(ceiling)}"


def _distinct(products: Iterable[Product], mode: BillingMode) -> tuple[Product, ...]:
    """One of each id; of two the dearer, so that nobody pays more than was agreed."""
    ordered = sorted(products, key=lambda p: (p.units(mode), p.in_stock, p.regions, p.memory_per_gpu_gb, p.cpu_per_gpu))
    return tuple({p.id: p for p in ordered}.values())


def _of_region(spec: Spec, word: str, named: Iterable[Product], market: Market) -> Iterator[Offer | PassedOver]:
    """What one region has, the best first, and why the rest of it is none."""
    places = market.regions.of(word)
    if not places:
        yield PassedOver(region=word, rule=Rule.NO_REGION, why="the cloud has no such region")
        return
    region = places[0].region
    here = [p for p in named if p.is_in(region)]
    if not here:
        yield PassedOver(region=region, rule=Rule.NOT_SOLD_HERE, why="the product is not offered there")
    for product in sorted(here, key=lambda p: _order(p, spec)):
        if misfit := next(misfits(product, spec, market.ceiling), None):
            yield PassedOver(region=region, product_id=product.id, rule=misfit[0], why=misfit[1])
            continue
        for cluster in places:
            if spec.network_storages and not cluster.network_storage:
                why = f"{cluster.id} holds no network volumes"
                yield PassedOver(region=region, product_id=product.id, rule=Rule.NETWORK_STORAGE, why=why)
            else:
                yield _offer(spec, product, cluster)


def _order(product: Product, spec: Spec) -> tuple[int, int, int, str]:
    return product.units(spec.billing_mode), -product.memory_per_gpu_gb, -product.cpu_per_gpu, product.id


def _offer(spec: Spec, product: Product, cluster: Cluster) -> Offer:
    return Offer(
        product_id=product.id,
        product_name=product.name,
        cluster_id=cluster.id,
        region=cluster.region,
        billing_mode=spec.billing_mode,
        gpu_num=spec.gpu_num,
        units_per_hour=price_of(product.units(spec.billing_mode), spec.gpu_num),
        cpu_num=product.cpu_per_gpu * spec.gpu_num or None,
        memory_gb=product.memory_per_gpu_gb * spec.gpu_num or None,
    )


def _place(offer: Offer) -> tuple[str, str]:
    return offer.product_id, offer.cluster_id


def _refused(offer: Offer, attempt: Attempt) -> PassedOver:
    why = f"{offer.product_id}, attempt {attempt.number}: {attempt.message or attempt.refusal}"
    return PassedOver(region=offer.region, product_id=offer.product_id, rule=Rule.REFUSED, why=why)
