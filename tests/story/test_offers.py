"""The right GPU, in a region that has it, at a price that was agreed."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from novita_gpu.control.catalogue import PRODUCTS_TTL
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Status
from novita_gpu.domain.offers import EMPTY_FIRST
from novita_gpu.domain.spec import BillingMode
from tests.plane import PRODUCT, Service
from tests.valkey import new_prefix
from tests.world import CALLER, Process, World, order

SINGAPORE, HONGKONG, INDIA = "as-sgp-2", "cn-hongkong-1", "as-in-1"
ASKED = {"name": "trainer", "productName": PRODUCT, "imageUrl": "ubuntu:22.04"}


def only(service: Service, *product_ids: str) -> None:
    """Of the products of that name only these are left."""
    shelf = service.cloud.simulator.core.shelf
    for product in [p for p in shelf.products.values() if p.name == PRODUCT and p.id not in product_ids]:
        service.cloud.control.post("product", productId=product.id, withdrawn=True)


def told(events: list[Any], kind: str) -> list[str]:
    return [event["data"]["reason"] for event in events if event["type"] == kind]


async def test_from_empty_region_to_empty_region_with_one_create_and_an_event_a_step(service: Service) -> None:
    only(service, "4090.16c62g")
    service.stock(0, SINGAPORE)
    service.stock(0, HONGKONG)
    trainer = await service.ready()
    assert trainer["region"] == "AS-IN-01"
    assert [call["body"]["clusterId"] for call in service.calls("create")] == [SINGAPORE, HONGKONG, INDIA]
    events = await service.events()
    refused, chosen = told(events, "launch.offer_refused"), told(events, "launch.offer_chosen")
    assert ["AS-SGP-02" in refused[0], "CN-HK-01" in refused[1], len(refused)] == [True, True, 2]
    assert [line.split(" at ")[0] for line in chosen] == [
        "4090.16c62g in AS-SGP-02",
        "4090.16c62g in CN-HK-01",
        "4090.16c62g in AS-IN-01",
    ]
    assert "Passed over: AS-SGP-02: 4090.16c62g, attempt 1: insufficient resource" in chosen[2]
    assert service.audit()["everCreated"] == 1


async def test_all_empty_names_each_region_with_its_reason(service: Service) -> None:
    only(service, "4090.16c62g")
    service.cloud.control.post("stock", productId="4090.16c62g", gpus=0, shown="high")
    await service.create()
    failed = await service.until("failed")
    assert failed["error"]["code"] == "NO_OFFER"
    for region in ("AS-SGP-02", "CN-HK-01", "AS-IN-01"):
        assert f"{region}: 4090.16c62g, attempt" in failed["error"]["message"]
    assert service.count("create") == 3
    assert service.audit()["everCreated"] == 0


async def test_another_refusal_than_capacity_ends_it(service: Service) -> None:
    """The simulated product runs CUDA 12.8 at most."""
    await service.create(minCudaVersion="13.0")
    failed = await service.until("failed")
    assert (failed["error"]["code"], service.count("create")) == ("NOVITA_REJECTED", 1)


async def test_what_is_withdrawn_between_plan_and_create_is_passed_over_for_the_next(service: Service) -> None:
    plan = (await service.post("/instances/plan", ASKED)).json
    planned = plan["offers"][0]["productId"]
    service.cloud.control.post("product", productId=planned, withdrawn=True)
    trainer = await service.ready()
    assert trainer["productId"] != planned
    assert "product not found" in told(await service.events(), "launch.offer_refused")[0]
    after = (await service.post("/instances/plan", {**ASKED, "name": "next"})).json
    assert planned not in {offer["productId"] for offer in after["offers"]}
    assert service.audit()["everCreated"] == 1


async def test_the_last_one_withdrawn_is_no_offer_and_then_unknown(service: Service) -> None:
    only(service, "4090.16c62g")
    assert (await service.post("/instances/plan", ASKED)).json["offers"]
    service.cloud.control.post("product", productId="4090.16c62g", withdrawn=True)
    await service.create()
    assert (await service.until("failed"))["error"]["code"] == "NO_OFFER"
    answer = await service.post("/instances", {**ASKED, "name": "next"})
    assert (answer.status, answer.code) == (404, "PRODUCT_NOT_FOUND")


async def test_a_cheaper_card_whose_name_goes_on_is_another_card(service: Service) -> None:
    """N10: the laptop's name begins with the wanted one."""
    trainer = await service.ready()
    assert service.calls("create")[0]["body"]["productId"] != "4090m.16c32g"
    assert trainer["productName"] == PRODUCT
    partly = await service.post("/instances", {**ASKED, "name": "other", "productName": "RTX 4090"})
    assert (partly.status, partly.code) == (404, "PRODUCT_NOT_FOUND")
    assert "RTX 4090 24GB Laptop" in partly.json["error"]["message"]


async def test_a_price_of_nothing_is_no_bargain(service: Service) -> None:
    """N10"""
    service.cloud.control.post("product", productId="free", like="4090.16c62g", price=0)
    plan = (await service.post("/instances/plan", ASKED)).json
    assert "free" not in {offer["productId"] for offer in plan["offers"]}
    assert {p["rule"] for p in plan["passedOver"] if p.get("productId") == "free"} == {"no_price"}


async def test_spot_dearer_than_on_demand_costs_what_spot_costs(service: Service) -> None:
    only(service, "4090.16c62g")
    service.cloud.control.post("product", productId="4090.16c62g", spotPrice=50_000)
    limited = {**ASKED, "billingMode": "spot", "maxPricePerHour": "0.3500"}
    answer = await service.post("/instances", limited)
    assert (answer.status, answer.code) == (422, "PRICE_TOO_HIGH")
    assert (await service.create(billingMode="spot"))["pricePerHour"] == "0.5000"


@pytest.mark.parametrize("names", ["place", "code"])
async def test_regions_of_products_join_in_both_forms(service: Service, names: str) -> None:
    service.cloud.control.post("quirks", regionNames=names)
    plan = (await service.post("/instances/plan", {**ASKED, "regions": ["AS-IN-01", "us-ca-6"]})).json
    assert [offer["region"] for offer in plan["offers"][:1]] == ["AS-IN-01"]
    assert {offer["clusterId"] for offer in plan["offers"]} >= {INDIA, "us-ca-6"}


async def test_a_product_that_is_not_sold_so_is_told_of(service: Service) -> None:
    body = {**ASKED, "productName": None, "productId": "4090.32c125g", "billingMode": "spot"}
    answer = await service.post("/instances", {name: value for name, value in body.items() if value})
    assert (answer.status, answer.code) == (404, "PRODUCT_NOT_FOUND")
    assert "billing mode spot" in answer.json["error"]["message"]


async def test_ids_and_names_of_regions_are_both_understood(service: Service) -> None:
    by_id = await service.ready("by-id", region=HONGKONG)
    by_name = await service.ready("by-name", region="CN-HK-01")
    assert by_id["clusterId"] == by_name["clusterId"] == HONGKONG
    for word in (HONGKONG, "CN-HK-01"):
        listed = (await service.get(f"/instances?region={word}")).json
        assert {one["name"] for one in listed["instances"]} == {"by-id", "by-name"}
        assert (await service.get(f"/products?region={word}")).json["products"]


async def test_an_unknown_region_is_told_with_the_known_ones(service: Service) -> None:
    answer = await service.post("/instances", {**ASKED, "region": "MOON-01", "regions": ["AS-SGP-02", "MARS-02"]})
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    faults = {fault["field"]: fault["message"] for fault in answer.json["error"]["details"]}
    assert set(faults) == {"region", "regions[1]"}
    assert "AS-IN-01, AS-SGP-02, CN-HK-01" in faults["region"]
    products = await service.get("/products?region=MOON-01")
    assert (products.status, products.code) == (400, "VALIDATION_ERROR")


async def test_a_hundred_creates_at_once_fetch_the_catalogue_once(
    service: Service, figure: Callable[[str], None]
) -> None:
    await asyncio.gather(*(service.create(f"w-{number}") for number in range(100)))
    calls = {op: service.count(op) for op in ("products", "clusters")}
    figure(f"100 creates at once: {calls}")
    assert calls == {"products": 1, "clusters": 1}


async def test_a_region_that_has_it_again_is_used_once_its_memory_is_over(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.control.post("stock", clusterId=SINGAPORE, gpus=0)
        await world.create()
        first = await world.until(Status.READY)
        assert first.offer
        assert first.offer.cluster_id == HONGKONG
        world.simulator.control.post("stock", clusterId=SINGAPORE, gpus=100)
        await world.create(name="at-once")
        assert await cluster_of(world, "at-once") == HONGKONG
        world.turn(EMPTY_FIRST.total_seconds())
        await world.create(name="later")
        assert await cluster_of(world, "later") == SINGAPORE


async def test_where_all_is_remembered_as_empty_it_is_tried_all_the_same(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        world.simulator.control.post("faults", kind="insufficient", op="create", times=0)
        await world.create()
        await world.until(Status.FAILED)
        world.simulator.control.post("faults/clear")
        world.simulator.control.post("stock", clusterId=SINGAPORE, gpus=0)
        await world.create(name="again")
        assert await cluster_of(world, "again") == HONGKONG
        asked = len(world.received("create"))
        await world.create(name="next")
        assert await cluster_of(world, "next") == HONGKONG  # it had some after all: no longer remembered as empty
        assert len(world.received("create")) == asked + 1


async def cluster_of(world: World, name: str) -> str:
    record = await world.until(Status.READY, name)
    assert record.machine
    return record.machine.offer.cluster_id


async def test_nothing_is_bought_at_a_price_that_is_out_of_date(valkey_url: str) -> None:
    """The catalogue does not answer and the price has risen meanwhile: the create waits."""
    async with World(valkey_url, new_prefix()) as world:
        await world.process.commands.create(order("first"), CALLER)
        await world.until(Status.READY, "first")
        world.turn(PRODUCTS_TTL.total_seconds())
        world.simulator.control.post("product", productId="4090.16c62g", price=90_000)
        world.simulator.control.post("product", productId="4090.16c96g.v2", price=90_000)
        world.simulator.control.post("faults", kind="503", op="products", times=40)
        outcome = await world.process.commands.create(order("dear", max_price_per_hour=Decimal("0.5")), CALLER)
        assert "nothing is bought by it" in outcome.accepted.message
        await world.passes(minutes=0.5)
        assert len(world.received("create")) == 1
        world.simulator.control.post("faults/clear")
        failed = await world.until(Status.FAILED, "dear")
        assert failed.failure
        assert failed.failure.code == "NO_OFFER"
        assert len(world.received("create")) == 1


async def test_a_refused_start_is_remembered_for_others_too(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        await world.until(Status.READY)
        await world.stop()
        await world.until(Status.STOPPED)
        world.simulator.control.post("stock", clusterId=SINGAPORE, productId="4090.16c62g", gpus=0)
        await world.start()
        await world.passes(minutes=0.5)
        assert EventType.START_REFUSED in [event.type for event in await world.events()]
        asked = len(world.received("create"))
        await world.create(name="other")
        await world.until(Status.READY, "other")
        assert {world.received("create")[asked]["body"][name] for name in ("clusterId", "productId")} != {
            SINGAPORE,
            "4090.16c62g",
        }


async def test_two_replicas_share_what_is_remembered(valkey_url: str) -> None:
    prefix = new_prefix()
    async with World(valkey_url, prefix) as world:
        world.simulator.control.post("stock", clusterId=SINGAPORE, gpus=0)
        await world.create()
        await world.until(Status.READY)
        other = Process(world, world.blade)
        market = await other.catalogue.market(BillingMode.ON_DEMAND)
        await other.end()
        assert {key.split("|")[1] for key in market.empty_until} == {SINGAPORE}
