"""The right card, in the caller's order of regions, never dearer than agreed."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from novita_gpu.domain.instance import AttemptState, Offer, Refusal
from novita_gpu.domain.money import price_limit
from novita_gpu.domain.offers import Market, Product, Rule, empty_key, rank
from novita_gpu.domain.regions import Cluster, Regions
from novita_gpu.domain.spec import BillingMode, Spec, Storage
from tests.domain.given import at, attempt, new

REGIONS = Regions(
    clusters=(
        Cluster(id="as-sgp-2", region="AS-SGP-02", name="AS-SGP-02", network_storage=True),
        Cluster(id="cn-hongkong-1", region="CN-HK-01", name="CN-HK-01"),
        Cluster(id="us-1", region="US-01", name="US-01 (Dallas)"),
        Cluster(id="us-2", region="US-01", name="US-01 (Reno)"),
    )
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
LAPTOP = replace(CHEAP, id="4090m", name="RTX 4090 24GB Laptop", on_demand_units=1, spot_units=1)


def market(*products: Product, **more: object) -> Market:
    return replace(Market(products=products, regions=REGIONS), **more)


def offers(*products: Product, **spec: object) -> tuple[Offer, ...]:
    return rank(replace(SPEC, **spec), market(*products), at(0)).offers


def ids(*products: Product, **spec: object) -> list[tuple[str, str]]:
    return [(o.product_id, o.region) for o in offers(*products, **spec)]


def test_region_order_goes_before_price() -> None:
    only_hk = replace(CHEAP, regions=("CN-HK-01",))
    only_sgp = replace(BIG, regions=("AS-SGP-02",))
    assert ids(only_hk, only_sgp) == [(BIG.id, "AS-SGP-02"), (CHEAP.id, "CN-HK-01")]


@pytest.mark.parametrize("named", [{"product_name": "RTX 4090 24GB"}, {"product_id": CHEAP.id}])
def test_names_match_whole(named: dict[str, str]) -> None:
    """N10: the cheaper laptop card has the wanted name as a part of its own."""
    spec: dict[str, object] = {"product_name": None, **named}
    assert {product for product, _ in ids(LAPTOP, CHEAP, **spec)} == {CHEAP.id}
    assert ids(LAPTOP, **spec) == []
    assert ids(CHEAP, product_name="RTX 4090") == []


def test_the_price_of_the_wanted_billing_mode_ranks() -> None:
    """N10"""
    assert ids(CHEAP, BIG, regions=("CN-HK-01",))[0][0] == CHEAP.id
    assert ids(CHEAP, BIG, regions=("CN-HK-01",), billing_mode=BillingMode.SPOT)[0][0] == BIG.id


def test_a_spot_price_above_the_one_on_demand_is_what_spot_costs() -> None:
    dear = replace(CHEAP, spot_units=50_000)
    assert [o.units_per_hour for o in offers(dear, billing_mode=BillingMode.SPOT, regions=("CN-HK-01",))] == [50_000]
    assert ids(dear, billing_mode=BillingMode.SPOT, max_units_per_hour=49_999) == []
    assert ids(dear, max_units_per_hour=35_000) != []


def test_at_one_price_more_memory_then_more_cpu_then_the_id() -> None:
    roomy, quick = replace(CHEAP, id="z", memory_per_gpu_gb=96), replace(CHEAP, id="y", cpu_per_gpu=32)
    twin = replace(CHEAP, id="4090.0")
    assert [p for p, _ in ids(CHEAP, quick, twin, roomy, regions=("CN-HK-01",))] == ["z", "y", "4090.0", CHEAP.id]


@pytest.mark.parametrize(
    ("product", "rule"),
    [
        (replace(CHEAP, on_demand_units=0), Rule.NO_PRICE),
        (replace(CHEAP, on_demand_units=None), Rule.NO_PRICE),
        (replace(CHEAP, billing_modes=("spot",)), Rule.BILLING_MODE),
        (replace(CHEAP, available=False), Rule.OUT_OF_STOCK),
        (replace(CHEAP, inventory="none"), Rule.OUT_OF_STOCK),
        (replace(CHEAP, free_gpus=0), Rule.TOO_FEW_GPUS),
        (replace(CHEAP, min_rootfs_gb=100), Rule.ROOTFS_SIZE),
        (replace(CHEAP, regions=("EU-DE-01",)), Rule.NOT_SOLD_HERE),
    ],
)
def test_what_does_not_fit_is_passed_over_with_its_reason(product: Product, rule: Rule) -> None:
    ranking = rank(SPEC, market(product), at(0))
    assert ranking.offers == ()
    assert [p.rule for p in ranking.passed_over] == [rule, rule]
    assert [p.region for p in ranking.passed_over] == ["AS-SGP-02", "CN-HK-01"]
    assert all(p.why in ranking.summary() for p in ranking.passed_over)


def test_never_dearer_than_agreed() -> None:
    assert ids(CHEAP, max_units_per_hour=price_limit(Decimal("0.35"))) != []
    assert ids(CHEAP, max_units_per_hour=price_limit(Decimal("0.34"))) == []
    assert ids(CHEAP, max_units_per_hour=price_limit(Decimal("0.69")), gpu_num=2) == []


def test_never_dearer_than_the_operator_allows() -> None:
    ranking = rank(SPEC, market(CHEAP, BIG, ceiling=35_000), at(0))
    assert {o.product_id for o in ranking.offers} == {CHEAP.id}
    assert rank(SPEC, market(BIG, ceiling=35_000), at(0)).is_for(Rule.PRICE_CEILING)
    assert not ranking.is_for(Rule.PRICE_CEILING)


def test_of_two_rows_with_one_id_the_dearer_counts() -> None:
    assert {o.units_per_hour for o in offers(replace(CHEAP, on_demand_units=1), CHEAP)} == {35_000}


@pytest.mark.parametrize("refusal", [Refusal.CAPACITY, Refusal.STUCK, Refusal.WITHDRAWN])
def test_a_refused_offer_is_not_tried_again(refusal: Refusal) -> None:
    tried = [attempt(state=AttemptState.REFUSED, refusal=refusal, message="insufficient resource")]
    ranking = rank(SPEC, market(CHEAP), at(0), tried=tried)
    assert [o.region for o in ranking.offers] == ["CN-HK-01"]
    assert "insufficient resource" in ranking.summary()
    assert ranking.choice().startswith(f"{CHEAP.id} in CN-HK-01 at 0.3500 USD per hour: the only offer")


def test_an_offer_refused_for_now_is_tried_again() -> None:
    tried = [attempt(state=AttemptState.REFUSED, refusal=Refusal.LATER)]
    assert rank(SPEC, market(CHEAP), at(0), tried=tried).offers[0].region == "AS-SGP-02"


def test_what_is_remembered_as_empty_comes_last_until_the_memory_ends() -> None:
    first = offers(CHEAP)[0]
    empty = {empty_key(first): at(180)}
    assert rank(SPEC, market(CHEAP, empty_until=empty), at(179)).offers[-1] == first
    assert rank(SPEC, market(CHEAP, empty_until=empty), at(180)).offers[0] == first


def test_ids_and_names_of_regions_mean_the_same() -> None:
    by_id = offers(CHEAP, regions=("cn-hongkong-1", "as-sgp-2"))
    assert by_id == offers(CHEAP, regions=("CN-HK-01", "AS-SGP-02"))
    assert offers(CHEAP, regions=("cn-hongkong-1", "CN-HK-01", "AS-SGP-02", "as-sgp-2")) == by_id


def test_a_region_of_several_clusters_means_all_of_them_and_an_id_the_one() -> None:
    everywhere = replace(CHEAP, regions=())
    assert [o.cluster_id for o in offers(everywhere, regions=("US-01",))] == ["us-1", "us-2"]
    assert [o.cluster_id for o in offers(everywhere, regions=("us-2",))] == ["us-2"]
    assert [o.cluster_id for o in offers(everywhere, regions=("us-2", "US-01"))] == ["us-2", "us-1"]
    assert [o.region for o in offers(replace(CHEAP, regions=("US-01",)), regions=("us-2",))] == ["US-01"]


def test_an_unknown_region_is_told_of() -> None:
    (passed,) = rank(replace(SPEC, regions=("XX-01",)), market(CHEAP), at(0)).passed_over
    assert (passed.region, passed.rule) == ("XX-01", Rule.NO_REGION)


def test_where_network_volumes_are_asked_for_only_clusters_that_hold_them_fit() -> None:
    volume = (Storage(id="v", mount_point="/network"),)
    assert ids(CHEAP, network_storages=volume) == [(CHEAP.id, "AS-SGP-02")]


def _product(index: int, units: int | None, spot: int | None, memory: int, regions: list[str], free: bool) -> Product:
    return replace(
        CHEAP,
        id=f"p{index}",
        name="RTX 4090 24GB" if index % 3 else "RTX 4090 24GB Laptop",
        on_demand_units=units,
        spot_units=spot,
        memory_per_gpu_gb=memory,
        regions=tuple(regions),
        available=free,
    )


PRODUCTS = st.builds(
    _product,
    st.integers(0, 5),
    st.none() | st.integers(-5, 100_000),
    st.none() | st.integers(0, 100_000),
    st.sampled_from([62, 96]),
    st.lists(st.sampled_from(["AS-SGP-02", "CN-HK-01", "EU-DE-01"]), unique=True),
    st.booleans(),
)
LISTED = st.lists(PRODUCTS, max_size=6, unique_by=lambda p: p.id)


def _spec(mode: BillingMode, limit: int | None, gpus: int, regions: list[str]) -> Spec:
    return replace(SPEC, billing_mode=mode, max_units_per_hour=limit, gpu_num=gpus, regions=tuple(regions))


SPECS = st.builds(
    _spec,
    st.sampled_from(BillingMode),
    st.none() | st.integers(1, 200_000),
    st.integers(1, 8),
    st.permutations(["AS-SGP-02", "CN-HK-01", "US-01"]),
)


@given(LISTED, SPECS)
def test_every_offer_is_allowed_and_every_allowed_one_is_offered(products: list[Product], spec: Spec) -> None:
    """N10: never dearer than the limit, never another product."""
    ranking = rank(spec, market(*products), at(0))
    limit = spec.max_units_per_hour
    for offer in ranking.offers:
        assert 0 < offer.units_per_hour <= (limit or offer.units_per_hour)
        assert offer.product_name == spec.product_name
        assert offer.region in spec.regions
        assert offer.billing_mode is spec.billing_mode
    allowed = {
        (p.id, cluster.id)
        for p in products
        for cluster in REGIONS.clusters
        if p.available
        and p.name == spec.product_name
        and 0 < p.units(spec.billing_mode) * spec.gpu_num <= (limit or 10**9)
        and p.is_in(cluster.region)
        and cluster.region in spec.regions
    }
    assert {(o.product_id, o.cluster_id) for o in ranking.offers} == allowed


@given(LISTED, SPECS, st.randoms(use_true_random=False))
def test_the_order_is_total_and_does_not_depend_on_how_the_cloud_lists(
    products: list[Product], spec: Spec, chance: Random
) -> None:
    shuffled, clusters = list(products), list(REGIONS.clusters)
    chance.shuffle(shuffled)
    chance.shuffle(clusters)
    other = Market(products=tuple(shuffled), regions=Regions(clusters=tuple(clusters)))
    ranking = rank(spec, market(*products), at(0))
    assert rank(spec, other, at(0)) == ranking
    assert len(set(ranking.offers)) == len(ranking.offers)
    by_region = [spec.regions.index(o.region) for o in ranking.offers]
    assert by_region == sorted(by_region)


@given(LISTED, SPECS)
def test_whatever_is_named_is_offered_or_passed_over_in_each_region(products: list[Product], spec: Spec) -> None:
    ranking = rank(spec, market(*products), at(0))
    for region in spec.regions:
        told = {o.product_id for o in ranking.offers if o.region == region}
        told |= {p.product_id for p in ranking.passed_over if p.region == region}
        here = {p.id for p in products if p.name == spec.product_name and p.is_in(region)}
        assert told == (here or {""})
