"""The operator's limits: nobody overspends, alone or together with others."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.contract import StartInstance
from novita_gpu.domain.errors import Refused
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Status, status
from novita_gpu.domain.limits import Limits, reserved
from novita_gpu.domain.money import compute_rate
from tests.plane import PRODUCT, serving
from tests.valkey import new_prefix
from tests.world import CALLER, NAME, Process, World, order

START = StartInstance()
ASKED = {"productName": PRODUCT, "imageUrl": "ubuntu:22.04"}
CHEAP = 35_000
# One product alone, so that what is reserved is its price.
PLAIN: dict[str, Any] = {"product_name": None, "product_id": "4090.16c62g"}


async def test_too_many_instances_are_refused_with_the_figures(valkey_url: str, prefix: str, tmp_path: Path) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, max_instances=2) as service:
        await asyncio.gather(service.create("a"), service.create("b"))
        answer = await service.post("/instances", {**ASKED, "name": "c"})
        assert (answer.status, answer.code) == (422, "LIMIT_REACHED")
        details = answer.json["error"]["details"]
        assert (details["maxInstances"], details["instances"]) == (2, 3)
        plan = (await service.post("/instances/plan", {**ASKED, "name": "c"})).json
        assert plan["refusal"]["code"] == "LIMIT_REACHED"
        assert plan["limits"]["instances"] == 2
        await service.until("ready", of="a")
        await service.gone("a")
        await service.create("c")


async def test_of_twenty_at_once_as_many_are_taken_as_may_run_together(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    """What is reserved is the dearest offer that may come of it; the answer says all figures."""
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, max_burn_usd_per_hour="1.5") as service:
        bodies = [{**ASKED, "name": f"w-{number}"} for number in range(20)]
        answers = await asyncio.gather(*(service.post("/instances", body) for body in bodies))
        statuses = [answer.status for answer in answers]
        assert statuses.count(201) >= 2
        assert 0.35 * statuses.count(201) <= 1.5
        refused = next(answer for answer in answers if answer.status == 422)
        assert refused.code == "LIMIT_REACHED"
        details = refused.json["error"]["details"]
        assert (details["maxBurnUsdPerHour"], details["askedUsdPerHour"]) == ("1.5000", "0.6700")
        assert sum(service.audit()["billedAtOnce"].values()) * 0.35 <= 1.5


async def test_a_machine_above_the_operators_price_is_never_bought(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, max_price_usd_per_hour="0.40") as service:
        answer = await service.post("/instances", {**ASKED, "name": "two", "gpuNum": 2})
        assert (answer.status, answer.code) == (422, "LIMIT_REACHED")
        assert answer.json["error"]["details"]["maxPriceUsdPerHour"] == "0.4000"
        assert (await service.create())["pricePerHour"] == "0.3500"
        plan = (await service.post("/instances/plan", {**ASKED, "name": "other"})).json
        assert {offer["pricePerHour"] for offer in plan["offers"]} == {"0.3500"}
        assert "price_ceiling" in {one["rule"] for one in plan["passedOver"]}


async def test_a_start_that_would_be_too_much_is_refused_and_changes_nothing(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, max_burn_usd_per_hour="0.69") as service:
        await service.ready("a")
        await service.post("/instances/a/stop")
        await service.until("stopped", of="a")
        await service.ready("b")
        before = await service.instance("a")
        refused = await service.post("/instances/a/start")
        assert (refused.status, refused.code) == (422, "LIMIT_REACHED")
        assert refused.json["error"]["details"] == {
            "askedUsdPerHour": "0.3500",
            "instances": 2,
            "reservedUsdPerHour": "0.7000",
            "maxBurnUsdPerHour": "0.6900",
        }
        assert await service.instance("a") == before
        assert service.count("start") == 0
        await service.gone("b")
        assert (await service.post("/instances/a/start")).status == 202
        await service.until("ready", of="a")


def burning(machines: float, price: int = CHEAP) -> Limits:
    return Limits(max_burn=int(compute_rate(price) * machines))


async def test_after_a_limit_was_lowered_launches_wait_with_a_reason_until_there_is_room(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        for name in ("a", "b"):
            await world.process.commands.create(order(name, **PLAIN), CALLER)
        world.limits = burning(1)
        await world.process.end()
        world.process = Process(world, world.blade)
        await world.passes(minutes=2)
        statuses = {name: status(await world.record(name)) for name in ("a", "b")}
        assert sorted(statuses.values()) == [Status.CREATING, Status.READY]
        assert world.audit()["everCreated"] == 1
        waits = next(name for name, it in statuses.items() if it is Status.CREATING)
        runs = next(name for name, it in statuses.items() if it is Status.READY)
        waiting = await world.record(waits)
        assert waiting.reason
        assert "MAX_BURN_USD_PER_HOUR" in waiting.reason
        told = [event for event in await world.events() if event.type is EventType.LIMIT_REACHED]
        assert [event.instance_id for event in told] == [waiting.id]
        await world.delete(runs)
        await world.until(Status.READY, waits)
        assert world.audit()["everCreated"] == 2
        assert sum(world.audit()["billedAtOnce"].values()) == 2
        assert not [event for event in await world.events() if event.type is EventType.FAILED]


async def test_a_start_waits_for_room_that_went_between_the_wish_and_its_pass(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create(**PLAIN)
        await world.until(Status.READY)
        await world.stop()
        await world.until(Status.STOPPED)
        await world.process.commands.start(NAME, START, CALLER)
        world.limits = Limits(max_burn=compute_rate(CHEAP) - 1)
        await world.process.end()
        world.process = Process(world, world.blade)
        await world.passes(minutes=2)
        waiting = await world.record()
        assert status(waiting) is Status.STARTING
        assert reserved(waiting) == 0
        assert world.received("start") == []
        world.limits = burning(1)
        await world.process.end()
        world.process = Process(world, world.blade)
        await world.until(Status.READY)
        assert len(world.received("start")) == 1


async def test_a_start_above_the_price_that_is_allowed_now_is_refused(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create(**PLAIN)
        await world.until(Status.READY)
        await world.stop()
        stopped = await world.until(Status.STOPPED)
        world.limits = Limits(max_price=CHEAP - 1)
        await world.process.end()
        world.process = Process(world, world.blade)
        with pytest.raises(Refused) as refused:
            await world.process.commands.start(NAME, START, CALLER)
        assert refused.value.code == "LIMIT_REACHED"
        assert await world.record() == stopped


async def test_what_waits_for_room_too_long_fails_and_says_why(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.process.commands.create(order(NAME, **PLAIN), CALLER)
        world.limits = Limits(max_burn=0)
        world.policy = replace(world.policy, launch_timeout=timedelta(minutes=5))
        await world.process.end()
        world.process = Process(world, world.blade)
        failed = await world.until(Status.FAILED)
        assert failed.failure
        assert failed.failure.code == "LAUNCH_TIMEOUT"
        assert "MAX_BURN_USD_PER_HOUR" in failed.failure.message
        assert world.audit()["everCreated"] == 0
