"""What it costs: agreed before, counted while it runs, equal to the cloud's own books."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from novita_gpu.domain.bill import Spent, spent
from novita_gpu.domain.instance import Record, Status
from novita_gpu.domain.money import usd_of_grains
from tests.plane import PRODUCT, Service
from tests.valkey import new_prefix
from tests.world import NAME, World

ASKED = {"name": "trainer", "productName": PRODUCT, "imageUrl": "ubuntu:22.04"}
CENT = Decimal("0.01")


async def test_a_plan_says_what_create_would_do_and_changes_nothing(service: Service) -> None:
    """N18"""
    before = await service.plane.store.wire.keys(service.plane.store.keys.pattern)
    plan = (await service.post("/instances/plan", {**ASKED, "rootfsSize": 160})).json
    first = plan["offers"][0]
    assert (first["region"], first["productId"], first["pricePerHour"]) == ("AS-SGP-02", "4090.16c62g", "0.3500")
    assert plan["why"].startswith("4090.16c62g in AS-SGP-02 at 0.3500 USD per hour: the first of 6 offers")
    assert {one["region"] for one in plan["passedOver"]} == {"AS-SGP-02", "CN-HK-01", "AS-IN-01"}
    assert plan["spend"] == {
        "perHour": "0.3708",
        "perDay": "8.9000",
        "perMonth": "267.0000",
        "diskPerDay": "0.5000",
    }
    assert plan["balance"]["availableUsd"] == "1000.0000"
    assert plan["balance"]["hoursLeft"] == 2696.6
    assert "refusal" not in plan
    assert {call["op"] for call in service.calls()} <= {"clusters", "products", "balance", "list"}
    assert (await service.get("/instances")).json["total"] == 0
    after = await service.plane.store.wire.keys(service.plane.store.keys.pattern)
    kinds = {service.plane.store.keys.kind_of(key.decode()) for key in set(after) - set(before)}
    # The catalogue, what listings leave, and the listings to come.
    assert kinds <= {"fact", "claim", "mark", "rows", "markers", "work"}


async def test_a_plan_is_what_create_then_does(service: Service) -> None:
    plan = (await service.post("/instances/plan", ASKED)).json
    assert "readyInSeconds" not in plan
    trainer = await service.ready()
    first = plan["offers"][0]
    assert [trainer[name] for name in ("region", "clusterId", "productId", "pricePerHour")] == [
        first[name] for name in ("region", "clusterId", "productId", "pricePerHour")
    ]
    again = (await service.post("/instances/plan", {**ASKED, "name": "next"})).json
    assert 0 < again["readyInSeconds"] < 30
    taken = (await service.post("/instances/plan", ASKED)).json
    assert taken["refusal"]["code"] == "INSTANCE_ALREADY_EXISTS"


async def test_a_plan_without_an_offer_says_why_in_each_region(service: Service) -> None:
    service.stock(0)
    answer = await service.post("/instances/plan", ASKED)
    assert (answer.status, answer.json["offers"], answer.json["refusal"]["code"]) == (200, [], "NO_OFFER")
    assert {one["rule"] for one in answer.json["passedOver"]} == {"out_of_stock"}


async def test_a_plan_is_told_from_memory_while_the_cloud_is_out(service: Service) -> None:
    await service.post("/instances/plan", ASKED)
    service.fault("503", "*", times=0)
    plan = (await service.post("/instances/plan", {**ASKED, "name": "other"})).json
    assert plan["offers"]
    assert plan["balance"]["availableUsd"] == "1000.0000"


async def test_costs_of_all_are_the_clouds_own_ledger(service: Service) -> None:
    await asyncio.gather(*(service.ready(name, rootfsSize=60 + 100 * place) for place, name in enumerate("abc")))
    await service.post("/instances/a/stop")
    await service.until("stopped", of="a")
    await service.gone("b")
    await service.looked()
    costs = (await service.get("/costs")).json
    assert {row["status"] for row in costs["instances"]} == {"stopped", "deleted", "ready"}
    assert abs(Decimal(costs["costUsd"]) - Decimal(service.audit()["totalCostUsd"])) <= CENT
    assert Decimal(costs["burnPerHour"]) == Decimal("0.3917")  # c: 0.35 and the disk of 200 GB above the free ones
    assert costs["limits"] == {"instances": 2, "reservedPerHour": "0.3917"}
    assert costs["balance"]["hoursLeft"] > 2000
    assert "uncertainUsd" in costs["rule"]
    assert sum(Decimal(row["costUsd"]) for row in costs["instances"]) - Decimal(costs["costUsd"]) < CENT


async def test_costs_of_a_stretch_of_time(service: Service) -> None:
    await service.ready()
    trainer = await service.instance()
    empty = (await service.get(f"/costs?until={trainer['createdAt']}")).json
    assert (empty["costUsd"], empty["instances"]) == ("0.0000", [])
    for query, field in (("since=2030-01-01T00:00:00Z", "since"), ("until=2100-01-01T00:00:00Z", "until")):
        answer = await service.get(f"/costs?{query}")
        assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
        assert answer.json["error"]["details"][0]["field"] == field


async def test_history_tells_what_ran_and_what_it_cost_an_hour(service: Service) -> None:
    history = f"/costs/history?since={(await service.ready(rootfsSize=160))['createdAt']}&points=400"

    async def levels() -> list[tuple[int, str]]:
        return [(point["running"], point["burnPerHour"]) for point in (await service.get(history)).json["points"]]

    before = await levels()
    assert (len(before), before[-1]) == (400, (1, "0.3708"))
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    assert (await levels())[-1] == (0, "0.0208")  # its disk still costs
    assert (await service.get("/costs?limit=0")).json["instances"] == []
    assert (await service.get("/costs/history?since=2020-01-01T00:00:00Z")).code == "VALIDATION_ERROR"


async def _wait(world: World, chance: Random) -> None:
    await world.passes(minutes=chance.choice((0.2, 3, 45)))


async def _stop(world: World, chance: Random) -> None:
    await world.stop()
    await world.until(Status.STOPPED)
    await _wait(world, chance)


async def _start(world: World, chance: Random) -> None:
    await world.start()
    await world.until(Status.READY)
    await _wait(world, chance)


async def _restart(world: World, chance: Random) -> None:
    await world.restart()
    await world.until(Status.READY)


LIVES: Sequence[Sequence[Callable[[World, Random], Any]]] = (
    (),
    (_stop,),
    (_stop, _start),
    (_restart, _stop, _start, _stop),
    (_stop, _start, _stop, _start, _restart),
)


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_its_life_its_cost_is_the_clouds_to_the_cent(
    valkey_url: str, seed: int, figure: Callable[[str], None]
) -> None:
    """To the cent where the cloud tells the time; in all within what the figure itself says it may be off."""
    chance = Random(seed)  # noqa: S311 - the same life at each run
    async with World(valkey_url, new_prefix()) as world:
        await world.create(rootfs_size=chance.choice((60, 100, 500)), gpu_num=chance.choice((1, 8)))
        await world.until(Status.READY)
        await _wait(world, chance)
        for step in LIVES[seed]:
            await step(world, chance)
        check(world, await world.record())
        await world.delete()
        deleted = await world.until(Status.DELETED)
        part = check(world, deleted)
        figure(f"life {seed}: {usd_of_grains(part.total):.4f} USD, may be off by {usd_of_grains(part.doubt):.4f}")


def check(world: World, record: Record) -> Spent:
    """Beside the books of the simulated cloud."""
    part = spent(record.bill, world.now())
    books = Decimal(world.audit()["totalCostUsd"])
    off = abs(usd_of_grains(part.total) - books)
    assert off <= usd_of_grains(part.doubt) + CENT / 100, (off, usd_of_grains(part.doubt))
    changes = len(record.bill.charges) + 1
    rate = max((c.rate.compute for c in record.bill.charges), default=record.bill.rate.compute)
    look_s = 4  # the interval of listings while something moves, twice: one may come late
    assert part.doubt <= changes * rate * look_s * 10**6
    assert record.name == NAME
    return part
