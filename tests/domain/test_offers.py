"""The right card, in the caller's order of regions, never dearer than agreed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from novita_gpu.domain.instance import AttemptState, Refusal
from novita_gpu.domain.offers import Cluster, Product, empty_key, rank
from novita_gpu.domain.spec import BillingMode
from tests.domain.given import at, attempt, new

CLUSTERS = (
    Cluster(id="as-sgp-2", region="AS-SGP-02", name="AS-SGP-02"),
    Cluster(id="cn-hongkong-1", region="CN-HK-01", name="CN-HK-01"),
)
SPEC = new().spec
CHEAP = Product(
    id="4090.16c62g",
    name="RTX 4090 24GB",
    regions=("AS-SGP-02", "CN-HK-01"),
    cpu_per_gpu=16,
    memory_per_gpu_gb=62,
    min_rootfs_gb=10,
    max_rootfs_gb=6144,
    available=True,
    inventory="normal",
    billing_modes=("onDemand", "spot"),
    on_demand_units=35_000,
    spot_units=17_500,
)
BIG = replace(CHEAP, id="4090.32c124g", memory_per_gpu_gb=124, on_demand_units=67_000, spot_units=10_000)
TRAP = replace(CHEAP, id="4090d", name="RTX 4090D 24GB", on_demand_units=1)


def ids(*products: Product, **spec: object) -> list[tuple[str, str]]:
    ranking = rank(replace(SPEC, **spec), products, CLUSTERS, now=at(0))
    return [(o.product_id, o.region) for o in ranking.offers]


def test_region_order_goes_before_price() -> None:
    only_hk = replace(CHEAP, regions=("CN-HK-01",))
    only_sgp = replace(BIG, regions=("AS-SGP-02",))
    assert ids(only_hk, only_sgp) == [(BIG.id, "AS-SGP-02"), (CHEAP.id, "CN-HK-01")]


def test_names_match_whole() -> None:
    """N10"""
    assert ids(TRAP) == []
    assert ids(CHEAP, product_name="RTX 4090") == []


def test_the_price_of_the_wanted_billing_mode_ranks() -> None:
    """N10"""
    assert ids(CHEAP, BIG, regions=("CN-HK-01",))[0][0] == CHEAP.id
    assert ids(CHEAP, BIG, regions=("CN-HK-01",), billing_mode=BillingMode.SPOT)[0][0] == BIG.id


@pytest.mark.parametrize(
    ("product", "why"),
    [
        (replace(CHEAP, on_demand_units=0), "price"),
        (replace(CHEAP, on_demand_units=None), "price"),
        (replace(CHEAP, billing_modes=("spot",)), "not sold"),
        (replace(CHEAP, available=False), "out of stock"),
        (replace(CHEAP, inventory="none"), "out of stock"),
        (replace(CHEAP, min_rootfs_gb=100), "rootfsSize"),
        (replace(CHEAP, regions=("EU-DE-01",)), "not offered"),
    ],
)
def test_what_does_not_fit_is_passed_over_with_its_reason(product: Product, why: str) -> None:
    ranking = rank(SPEC, [product], CLUSTERS, now=at(0))
    assert ranking.offers == ()
    assert all(why in p.why for p in ranking.passed_over)
    assert why in ranking.summary()


def test_never_dearer_than_agreed() -> None:
    assert ids(CHEAP, max_usd_per_hour=Decimal("0.35")) != []
    assert ids(CHEAP, max_usd_per_hour=Decimal("0.34")) == []
    assert ids(CHEAP, max_usd_per_hour=Decimal("0.69"), gpu_num=2) == []


@pytest.mark.parametrize("refusal", [Refusal.CAPACITY, Refusal.STUCK])
def test_a_refused_offer_is_not_tried_again(refusal: Refusal) -> None:
    tried = [attempt(state=AttemptState.REFUSED, refusal=refusal)]
    ranking = rank(SPEC, [CHEAP], CLUSTERS, tried=tried, now=at(0))
    assert [o.region for o in ranking.offers] == ["CN-HK-01"]


def test_an_offer_refused_for_now_is_tried_again() -> None:
    tried = [attempt(state=AttemptState.REFUSED, refusal=Refusal.LATER)]
    assert rank(SPEC, [CHEAP], CLUSTERS, tried=tried, now=at(0)).offers[0].region == "AS-SGP-02"


def test_what_is_remembered_as_empty_comes_last_until_the_memory_ends() -> None:
    first = rank(SPEC, [CHEAP], CLUSTERS, now=at(0)).offers[0]
    empty = {empty_key(first): at(180)}
    assert rank(SPEC, [CHEAP], CLUSTERS, empty_until=empty, now=at(179)).offers[-1] == first
    assert rank(SPEC, [CHEAP], CLUSTERS, empty_until=empty, now=at(180)).offers[0] == first


def _product(index: int, units: int | None, spot: int | None, regions: list[str], free: bool) -> Product:
    return replace(
        CHEAP, id=f"p{index}", on_demand_units=units, spot_units=spot, regions=tuple(regions), available=free
    )


PRODUCTS = st.builds(
    _product,
    st.integers(0, 5),
    st.none() | st.integers(-5, 100_000),
    st.none() | st.integers(0, 100_000),
    st.lists(st.sampled_from(["AS-SGP-02", "CN-HK-01", "EU-DE-01"]), unique=True),
    st.booleans(),
)


@given(
    st.lists(PRODUCTS, max_size=6, unique_by=lambda p: p.id),
    st.sampled_from(BillingMode),
    st.decimals("0.0001", "2", places=4),
)
def test_every_offer_is_allowed_and_every_allowed_one_is_offered(
    products: list[Product], mode: BillingMode, limit: Decimal
) -> None:
    spec = replace(SPEC, billing_mode=mode, max_usd_per_hour=limit)
    ranking = rank(spec, products, CLUSTERS, now=at(0))
    for offer in ranking.offers:
        assert 0 < offer.usd_per_hour <= limit
        assert offer.region in spec.regions
        assert offer.billing_mode is mode
    allowed = {
        (p.id, region)
        for p in products
        for region in spec.regions
        if p.available and 0 < p.units(mode) <= limit * 100_000 and (not p.regions or region in p.regions)
    }
    assert {(o.product_id, o.region) for o in ranking.offers} == allowed
