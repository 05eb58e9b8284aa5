"""The catalogue as callers see it: prices, stock and regions, what was met empty, and how old it is."""

from datetime import timedelta

import pytest

from novita_gpu.cloud.base import Unreachable
from novita_gpu.contract.catalogue import ProductsQuery, ProductView
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.inventory import Inventory
from novita_gpu.control.launch import remember_empty
from novita_gpu.domain.errors import Invalid, Missing
from novita_gpu.domain.spec import BillingMode
from tests.control.scene import Scene
from tests.domain.given import OFFER

DEFAULT = ("AS-SGP-02", "CN-HK-01", "as-in-1")


@pytest.fixture
def inventory(scene: Scene) -> Inventory:
    return Inventory(scene.catalogue, DEFAULT)


async def product(inventory: Inventory, product_id: str, **query: str) -> ProductView | None:
    asked = ProductsQuery(region=query.get("region"))
    return next((p for p in (await inventory.products(asked)).products if p.id == product_id), None)


async def test_a_product_shows_its_price_in_each_billing_mode_it_is_sold_in(inventory: Inventory) -> None:
    found = await product(inventory, "4090.16c62g")
    assert found
    assert [(p.billing_mode, p.price_per_gpu_hour, p.available) for p in found.prices] == [
        (BillingMode.ON_DEMAND, "0.3500", True),
        (BillingMode.SPOT, "0.1750", True),
    ]
    assert {r.region for r in found.prices[0].regions} == {"US-CA-06", "AS-SGP-02", "CN-HK-01", "AS-IN-01", "EU-DE-01"}
    only_on_demand = await product(inventory, "4090.32c125g")
    assert only_on_demand
    assert [p.billing_mode for p in only_on_demand.prices] == [BillingMode.ON_DEMAND]


async def test_of_one_region_the_stock_is_that_regions(scene: Scene, inventory: Inventory) -> None:
    scene.simulator.control.post("stock", productId="4090.16c62g", clusterId="as-in-1", gpus=0)
    there = await product(inventory, "4090.16c62g", region="AS-IN-01")
    by_id = await product(inventory, "4090.16c62g", region="as-in-1")
    anywhere = await product(inventory, "4090.16c62g")
    assert there
    assert anywhere
    assert there == by_id
    assert (there.prices[0].available, there.prices[0].inventory) == (False, "none")
    assert [r.region for r in there.prices[0].regions] == ["AS-IN-01"]
    assert anywhere.prices[0].available
    stock = {r.region: (r.available, r.inventory) for r in anywhere.prices[0].regions}
    assert stock == {
        "AS-SGP-02": (True, "high"),
        "CN-HK-01": (True, "high"),
        "AS-IN-01": (False, "none"),
        "US-CA-06": (None, None),
        "EU-DE-01": (None, None),
    }
    assert await product(inventory, "4090d.16c62g", region="AS-IN-01") is None


async def test_what_was_met_empty_is_shown_until_when(scene: Scene, inventory: Inventory) -> None:
    await remember_empty(scene.store, OFFER, scene.now)
    found = await product(inventory, OFFER.product_id)
    assert found
    shown = {r.region: r.empty_until for r in found.prices[0].regions if r.empty_until}
    assert shown == {"AS-SGP-02": "2026-01-01T00:03:00.000Z"}
    assert all(r.empty_until is None for r in found.prices[1].regions)
    region = (await inventory.regions()).regions[0]
    (empty,) = region.empty
    assert (region.id, empty.product_id, empty.gpu_num, empty.until) == (
        "as-sgp-2",
        OFFER.product_id,
        1,
        "2026-01-01T00:03:00.000Z",
    )
    scene.turn(181)
    assert (await inventory.regions()).regions[0].empty == ()


async def test_regions_come_in_their_priority_whether_given_by_name_or_id(inventory: Inventory) -> None:
    listed = (await inventory.regions()).regions
    assert [(r.id, r.name, r.priority) for r in listed] == [
        ("as-sgp-2", "AS-SGP-02", 1),
        ("cn-hongkong-1", "CN-HK-01", 2),
        ("as-in-1", "AS-IN-01", 3),
        ("eu-de-1", "EU-DE-01", None),
        ("us-ca-6", "US-CA-06", None),
    ]
    assert (listed[2].display_name, listed[2].network_storage) == ("AS-IN-01 (India)", False)
    assert "RTX 4090D 24GB" in listed[1].products
    assert "RTX 4090D 24GB" not in listed[0].products


async def test_an_unknown_region_is_told_with_the_known_ones(inventory: Inventory) -> None:
    with pytest.raises(Invalid) as wrong:
        await inventory.products(ProductsQuery(region="MOON"))
    assert "AS-IN-01" in wrong.value.faults[0].message


async def test_templates_show_no_secret(scene: Scene, inventory: Inventory) -> None:
    """S6: values of the environment, the command and credentials stay behind."""
    listed = (await inventory.templates()).templates
    private = next(t for t in listed if t.channel == "private")
    one = await inventory.template(private.id)
    assert (one.template.envs, one.template.registry_auth) == (("WORKER_MODE",), "registry.example.com")
    assert one.template.description
    assert "queue" not in repr(listed) + repr(one)
    stored = [await scene.store.facts.fact(f"catalogue:{name}") for name in ("auths", "templates")]
    assert "pull-secret" not in repr(stored)
    with pytest.raises(Missing):
        await inventory.template("999999")


async def test_while_the_cloud_is_out_the_old_catalogue_is_told_as_old(scene: Scene, inventory: Inventory) -> None:
    fresh = [await inventory.products(ProductsQuery()), await inventory.regions(), await inventory.templates()]
    assert not any(answer.stale for answer in fresh)
    scene.simulator.control.post("faults", kind="503", op="*", times=0)
    scene.turn(3600)
    for before, answer in zip(
        fresh,
        [await inventory.products(ProductsQuery()), await inventory.regions(), await inventory.templates()],
        strict=True,
    ):
        assert answer.stale
        assert answer.fault
        assert answer.as_of == before.as_of


async def test_a_process_that_starts_while_the_cloud_is_out_has_what_another_kept(
    scene: Scene, inventory: Inventory
) -> None:
    await inventory.products(ProductsQuery())
    scene.simulator.control.post("faults", kind="503", op="*", times=0)
    scene.now += timedelta(hours=1)
    there = await inventory.products(ProductsQuery(region="as-sgp-2"))
    assert (there.stale, bool(there.products)) == (True, True)
    assert all(place.available is None for one in there.products for price in one.prices for place in price.regions)
    other = Inventory(Catalogue(scene.cloud, scene.store, lambda: scene.now), DEFAULT)
    assert (await other.products(ProductsQuery())).stale
    with pytest.raises(Unreachable):
        await other.templates()
