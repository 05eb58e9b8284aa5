"""Spot machines that are taken, on a clock turned by hand: seen at once, brought back once, given up in clear words."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.simulator.faults import Fault
from novita_gpu.contract import PatchInstance, WishBody
from novita_gpu.contract.requests import AutoStopRequest, RecoveryRequest
from novita_gpu.domain.dearer import in_all
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import Record, Status, Wish, status
from novita_gpu.domain.money import price_text
from novita_gpu.domain.spec import BillingMode
from tests.plane import Service
from tests.valkey import new_prefix
from tests.webhooks.receiver import Receiver
from tests.world import CALLER, NAME, World

SPOT_S = 10
NEVER = AutoStopRequest(enabled=False)


async def spot(world: World, **recovery: Any) -> Record:
    """A spot machine that is ready and has run for more than the hour in which none is taken."""
    await world.create(billing_mode=BillingMode.SPOT, recovery=RecoveryRequest(**recovery), auto_stop=NEVER)
    await world.until(Status.READY)
    await world.passes(minutes=61)
    return await world.record()


def machine_of(record: Record) -> str:
    assert record.machine
    return record.machine.id


def reclaim(world: World, record: Record, notice_s: float = 0.0) -> None:
    world.simulator.control.post("reclaim", instanceId=machine_of(record), noticeSeconds=notice_s)


async def of_type(world: World, type_: EventType) -> list[Event]:
    return [event for event in await world.events() if event.type is type_]


async def told(world: World) -> list[str]:
    return [event.type.value for event in await world.events()]


async def test_a_notice_is_told_of_at_once_with_the_time_left(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        began = world.now()
        reclaim(world, record, 3600)
        await world.passes(minutes=1)
        (notice,) = await of_type(world, EventType.RECLAIM_NOTIFIED)
        assert notice.at - began <= timedelta(seconds=SPOT_S + 2)
        assert 3585 <= int(notice.facts["secondsLeft"]) <= 3600
        assert status(await world.record()) is Status.READY
        await world.passes(minutes=30)
        assert len(await of_type(world, EventType.RECLAIM_NOTIFIED)) == 1


async def test_what_was_taken_is_migrated_at_once_and_says_what_was_lost(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        reclaim(world, record)
        world.turn(5.0)
        taken = world.now()
        back = await world.until(Status.READY)
        assert machine_of(back) == machine_of(record)
        (asked,) = world.received("migrate")
        assert asked["at"] - taken.timestamp() <= SPOT_S + 2
        (recovered,) = await of_type(world, EventType.RECOVERED)
        assert recovered.facts["by"] == "migrate"
        assert 0 < int(recovered.facts["secondsLost"]) < 60
        assert (back.name, back.id, back.recovering) == (record.name, record.id, None)
        assert "instance.migrating" in await told(world)
        assert world.audit()["everCreated"] == 1


async def test_what_cannot_be_migrated_comes_back_as_a_new_machine_elsewhere(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        assert record.machine
        world.simulator.faults.lay([insufficient("migrate")])
        reclaim(world, record)
        back = await recovered(world)
        assert back.machine
        assert back.machine.id != record.machine.id
        assert back.machine.offer.cluster_id != record.machine.offer.cluster_id
        await world.passes(minutes=2)
        assert [machine["id"] for machine in world.audit()["alive"]] == [back.machine.id]
        assert world.audit()["everCreated"] == 2
        assert (await of_type(world, EventType.RECOVERED))[0].facts["by"] == "recreate"


async def test_the_old_machine_is_kept_until_the_new_one_answers(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="recreate")
        world.simulator.control.post("health", health="502")
        reclaim(world, record)
        await world.passes(minutes=3)
        alive = {machine["id"] for machine in world.audit()["alive"]}
        assert machine_of(record) in alive
        assert len(alive) == 2
        assert world.received("delete") == []
        world.simulator.control.post("health", health="ok")
        back = await recovered(world)
        await world.passes(minutes=2)
        assert [machine["id"] for machine in world.audit()["alive"]] == [machine_of(back)]


@pytest.mark.parametrize("trouble", ["job fails", "job fails at once", "hangs", "empty body"])
async def test_a_migration_that_goes_wrong_ends_in_a_new_machine_and_only_one(valkey_url: str, trouble: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        if trouble == "job fails":
            world.simulator.control.post("jobs", times=1)
        elif trouble == "job fails at once":
            world.simulator.core.timing = replace(world.simulator.core.timing, migrating_s=0.0, job_pulling_s=0.0)
            world.simulator.control.post("jobs", times=1)
        elif trouble == "hangs":
            world.simulator.core.timing = replace(world.simulator.core.timing, migrating_s=7200.0)
        reclaim(world, record)
        for _ in range(6):
            await world.passes(minutes=8)
            if (await world.record()).recovering is None:
                break
        back = await world.until(Status.READY)
        await world.passes(minutes=10)
        by = (await of_type(world, EventType.RECOVERED))[-1].facts["by"]
        assert by == ("migrate" if trouble == "empty body" else "recreate")
        assert [machine["id"] for machine in world.audit()["alive"]] == [machine_of(back)]


async def test_n23_an_old_failure_does_not_speak_for_a_newer_success(valkey_url: str) -> None:
    """The cloud's list holds a failed migration of before; the new one succeeds."""
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        world.simulator.control.post("jobs", times=1)
        reclaim(world, record)
        first = await recovered(world)
        assert machine_of(first) != machine_of(record)
        await world.passes(minutes=120)
        reclaim(world, await world.record())
        await world.passes(minutes=40)
        back = await world.until(Status.READY)
        assert machine_of(back) == machine_of(first)
        assert [e.facts["by"] for e in await of_type(world, EventType.RECOVERED)] == ["recreate", "migrate"]


async def test_n21_what_a_person_stopped_is_never_recovered(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await spot(world)
        await world.stop()
        await world.until(Status.STOPPED)
        await world.passes(minutes=180)
        assert status(await world.record()) is Status.STOPPED
        assert world.received("migrate") == []
        assert await of_type(world, EventType.RECOVERED) == []


async def test_n21_what_auto_stop_stopped_is_never_recovered(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create(billing_mode=BillingMode.SPOT)
        await world.until(Status.READY)
        await world.passes(minutes=180)
        assert status(await world.record()) is Status.STOPPED
        assert world.received("migrate") == []


async def test_n21_an_on_demand_machine_that_somebody_stopped_in_the_console_is_left(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create(auto_stop=NEVER)
        record = await world.until(Status.READY)
        world.simulator.control.post("console", action="stop", instanceId=machine_of(record))
        stopped = await world.until(Status.STOPPED)
        assert stopped.wants is Wish.STOPPED
        assert len(await of_type(world, EventType.CHANGED_OUTSIDE)) == 1
        await world.passes(minutes=60)
        assert world.received("migrate") == []


async def test_a_spot_machine_that_exits_without_a_sign_is_taken_for_reclaimed(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        world.simulator.control.post("console", action="stop", instanceId=machine_of(record))
        await recovered(world)
        assert len(world.received("migrate")) == 1


async def test_within_an_hour_or_with_an_error_it_is_the_end_of_its_own_work(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create(billing_mode=BillingMode.SPOT, auto_stop=NEVER)
        record = await world.until(Status.READY)
        await world.passes(minutes=30)
        world.simulator.control.post("console", action="stop", instanceId=machine_of(record))
        stopped = await world.until(Status.STOPPED)
        assert "within the hour" in (stopped.reason or "")
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        world.simulator.control.post("crash", instanceId=machine_of(record), state="oom", message="out of memory")
        stopped = await world.until(Status.STOPPED)
        assert "out of memory" in (stopped.reason or "")
        assert world.received("migrate") == []


async def test_with_recovery_off_it_is_stopped_and_says_so(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="none")
        reclaim(world, record)
        stopped = await world.until(Status.STOPPED)
        assert "recovery is off" in (stopped.reason or "")


async def test_n22_a_region_that_takes_it_again_and_again_ends_in_failed_and_bills_nothing(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await spot(world)
        for _ in range(200):
            record = await world.record()
            if status(record) is Status.FAILED:
                break
            if status(record) is Status.READY:
                reclaim(world, record)
            await world.passes(minutes=5)
        record = await world.record()
        assert status(record) is Status.FAILED
        assert record.failure
        assert record.failure.code == "RECOVERY_LIMIT"
        assert "3 times within a day" in record.failure.message
        assert len(await of_type(world, EventType.RECOVERED)) == 3
        begun = [e.at for e in await of_type(world, EventType.RECOVERED)]
        assert begun[1] - begun[0] >= timedelta(minutes=29)
        assert begun[2] - begun[1] >= timedelta(minutes=59)
        assert all(machine["status"] == "exited" for machine in world.audit()["alive"])


async def test_while_it_waits_for_its_time_it_says_until_when_and_is_not_looked_at_more_often(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        reclaim(world, record)
        again = await recovered(world)
        reclaim(world, again)
        await world.passes(minutes=2)
        waits = await world.record()
        assert status(waits) is Status.MIGRATING
        assert "brought back at" in (waits.reason or "")
        before = len(world.received("list"))
        await world.passes(minutes=10)
        assert len(world.received("list")) - before <= 61
        assert status(await world.record()) is Status.MIGRATING


@pytest.mark.parametrize("wish", ["stop", "delete"])
@pytest.mark.parametrize("minutes", [0.1, 0.3, 0.6, 1.0, 3.0])
async def test_a_wish_in_the_midst_of_a_recovery_leaves_one_machine_or_none(
    valkey_url: str, wish: str, minutes: float
) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="recreate")
        world.simulator.control.post("health", health="502")
        reclaim(world, record)
        await world.passes(minutes=minutes)
        if wish == "stop":
            await world.process.commands.stop(NAME, WishBody(), CALLER)
            await world.until(Status.STOPPED)
        else:
            await world.delete()
            await world.until(Status.DELETED)
        await world.passes(minutes=10)
        alive = world.audit()["alive"]
        assert len(alive) == (1 if wish == "stop" else 0), alive
        assert all(machine["status"] == "exited" for machine in alive)


async def test_the_clouds_own_migration_and_ours_at_the_same_moment_make_one_machine(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        world.simulator.core.set_auto_migrate(machine_of(record), True, world.now().timestamp())
        reclaim(world, record)
        await recovered(world)
        await world.passes(minutes=5)
        assert len(world.audit()["alive"]) == 1


async def test_its_policy_can_be_changed_while_it_waits(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        reclaim(world, record)
        reclaim(world, await recovered(world))
        await world.passes(minutes=2)
        change = PatchInstance(recovery=RecoveryRequest(max_per_day=0))
        await world.process.commands.patch(NAME, change, CALLER)
        failed = await world.until(Status.FAILED)
        assert failed.failure
        assert failed.failure.code == "RECOVERY_LIMIT"


def insufficient(op: str) -> Any:
    return Fault(kind="insufficient", op=op, times=0)


async def recovered(world: World) -> Record:
    """The record once it is ready again after what has just happened to it."""
    before = len(await of_type(world, EventType.RECOVERED))
    for _ in range(60):
        await world.passes(minutes=0.5)
        if len(await of_type(world, EventType.RECOVERED)) > before:
            return await world.record()
    raise AssertionError((await world.record(), await told(world)))


@pytest.mark.parametrize("allowed", [True, False])
async def test_without_spot_anywhere_it_comes_back_on_demand_only_where_that_is_allowed(
    valkey_url: str, allowed: bool
) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="recreate", allow_on_demand=allowed)
        without_spot(world)
        reclaim(world, record)
        if not allowed:
            failed = await world.until(Status.FAILED)
            assert failed.failure
            assert failed.failure.code == "NO_OFFER"
            assert world.audit()["everCreated"] == 1
            return
        back = await recovered(world)
        assert back.machine
        assert back.machine.offer.billing_mode is BillingMode.ON_DEMAND
        assert any("comes back on demand" in (e.reason or "") for e in await of_type(world, EventType.OFFER_REFUSED))


def without_spot(world: World) -> None:
    """Every product is sold on demand alone."""
    core = world.simulator.core
    for product in list(core.shelf.products.values()):
        core.shelf.products[product.id] = replace(product, billing=("onDemand",))


async def test_its_webhook_is_told_what_was_lost(service: Service, receiver: Receiver) -> None:
    trainer = await service.ready(billingMode="spot", webhookUrl=receiver.url, recovery={"onReclaim": "recreate"})
    service.cloud.control.post("reclaim", instanceId=trainer["novitaInstanceId"], noticeSeconds=0)
    told: dict[str, Any] = {}
    while "instance.recovered" not in told:
        await receiver.arrived.acquire()
        told = {body["type"]: body["data"] for body in receiver.bodies}
    facts = told["instance.recovered"]["facts"]
    assert (facts["by"], int(facts["secondsLost"]) < 60) == ("recreate", True)
    assert told["instance.migrating"]["reason"] == "the cloud took its spot machine"
    back = await service.instance()
    assert back["novitaInstanceId"] != trainer["novitaInstanceId"]
    assert (back["id"], back["webhookUrl"], back["createdAt"]) == (
        trainer["id"],
        trainer["webhookUrl"],
        trainer["createdAt"],
    )
    status_ = (await service.get("/instances/migration/status")).json
    assert [one["instanceId"] for one in status_["last"]] == [trainer["id"]]


async def waiting(world: World, **recovery: Any) -> Record:
    """Taken for the second time of a day: it waits half an hour."""
    reclaim(world, await spot(world, **recovery))
    reclaim(world, await recovered(world))
    await world.passes(minutes=2)
    record = await world.record()
    assert status(record) is Status.MIGRATING
    return record


@pytest.mark.parametrize("way", ["migrate", "recreate"])
async def test_what_comes_back_by_itself_while_it_waits_is_taken_as_it_is(valkey_url: str, way: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await waiting(world, on_reclaim=way)
        before = world.audit()["everCreated"]
        world.simulator.control.post("console", action="migrate", instanceId=machine_of(record))
        back = await world.until(Status.READY)
        await world.passes(minutes=60)
        assert machine_of(back) == machine_of(record)
        assert world.audit()["everCreated"] == before
        assert status(await world.record()) is Status.READY


async def test_a_recovery_that_is_switched_off_while_it_waits_is_given_up(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await waiting(world)
        change = PatchInstance(recovery=RecoveryRequest(on_reclaim="none"))
        await world.process.commands.patch(NAME, change, CALLER)
        failed = await world.until(Status.FAILED)
        assert failed.failure
        assert failed.failure.code == "RECOVERY_OFF"


async def test_a_replacement_that_is_taken_before_it_answers_does_not_cost_the_first_machine(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        first = await spot(world, on_reclaim="recreate")
        world.simulator.control.post("health", health="502")
        reclaim(world, first)
        await world.passes(minutes=3)
        replacement = await world.record()
        assert machine_of(replacement) != machine_of(first)
        reclaim(world, replacement)
        await world.passes(minutes=3)
        alive = {machine["id"] for machine in world.audit()["alive"]}
        assert machine_of(first) in alive
        world.simulator.control.post("health", health="ok")
        await world.passes(minutes=40)
        back = await world.until(Status.READY)
        await world.passes(minutes=3)
        assert [machine["id"] for machine in world.audit()["alive"]] == [machine_of(back)]


async def test_without_capacity_for_spot_it_goes_on_demand_where_that_is_allowed(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="recreate", allow_on_demand=True)
        fault = Fault(kind="insufficient", op="create", times=0, match={"billingMode": "spot"})
        world.simulator.faults.lay([fault])
        reclaim(world, record)
        back = await recovered(world)
        assert back.machine
        assert back.machine.offer.billing_mode is BillingMode.ON_DEMAND


async def test_while_its_jobs_cannot_be_read_it_is_judged_without_them_after_ten_minutes(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        world.simulator.control.post("faults", kind="502", op="jobs", times=0)
        reclaim(world, record)
        await world.passes(minutes=9)
        assert status(await world.record()) is Status.READY
        await world.passes(minutes=6)
        assert (await world.record()).recovering is None
        assert status(await world.record()) is Status.READY
        assert len(await of_type(world, EventType.RECOVERED)) == 1


async def test_n22_a_replacement_that_is_removed_again_and_again_is_not_bought_for_ever(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        first = await spot(world, on_reclaim="recreate")
        world.simulator.control.post("health", health="502")
        reclaim(world, first)
        for _ in range(120):
            await world.passes(minutes=2)
            record = await world.record()
            if record.machine and machine_of(record) != machine_of(first):
                world.simulator.control.post("console", action="delete", instanceId=machine_of(record))
        record = await world.record()
        assert status(record) is Status.FAILED
        assert record.failure
        assert record.failure.code == "RECOVERY_LIMIT"
        assert world.audit()["everCreated"] == 1 + 3
        assert [machine["id"] for machine in world.audit()["alive"]] == [machine_of(first)]


async def test_a_replacement_that_somebody_moves_does_not_cost_the_first_machine(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        first = await spot(world, on_reclaim="recreate")
        world.simulator.control.post("health", health="502")
        reclaim(world, first)
        await world.passes(minutes=3)
        world.simulator.control.post("console", action="migrate", instanceId=machine_of(await world.record()))
        await world.passes(minutes=3)
        assert machine_of(first) in {machine["id"] for machine in world.audit()["alive"]}
        world.simulator.control.post("health", health="ok")
        back = await world.until(Status.READY)
        await world.passes(minutes=3)
        assert [machine["id"] for machine in world.audit()["alive"]] == [machine_of(back)]


async def test_what_runs_dearer_is_told_of_at_once_and_daily_with_its_hours(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="recreate", allow_on_demand=True)
        without_spot(world)
        reclaim(world, record)
        back = await recovered(world)
        (first,) = await of_type(world, EventType.DEARER)
        assert record.machine
        assert back.machine
        assert first.facts["pricePerHour"] == price_text(back.machine.offer.units_per_hour)
        assert first.facts["spotPricePerHour"] == price_text(record.machine.offer.units_per_hour)
        await world.passes(minutes=26 * 60)
        told_ = await of_type(world, EventType.DEARER)
        assert [event.facts["hours"] for event in told_] == ["0.0", "24.0"]
        await world.stop()
        await world.until(Status.STOPPED)
        await world.passes(minutes=26 * 60)
        assert len(await of_type(world, EventType.DEARER)) == 2
        hours = in_all((await world.record()).dearer, world.now()).total_seconds() / 3600
        assert 26 <= hours < 26.2


async def test_a_migration_that_never_ends_is_seen_as_one_and_made_up_for(valkey_url: str) -> None:
    """A job of somebody else's that says for ever that it runs, of a machine that has exited."""
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world)
        core = world.simulator.core
        core.timing = replace(core.timing, job_pulling_s=86_400.0)
        machine = core.machines[machine_of(record)]
        world.simulator.control.post("console", action="stop", instanceId=machine.id)
        core._new_job("autoInstanceMigrate", machine)  # pyright: ignore[reportPrivateUsage] -- a job that moves nothing
        await world.passes(minutes=2)
        assert status(await world.record()) is Status.MIGRATING
        await world.passes(minutes=35)
        back = await world.until(Status.READY)
        assert machine_of(back) != machine_of(record)
        await world.passes(minutes=5)
        assert [one["id"] for one in world.audit()["alive"]] == [machine_of(back)]


@pytest.mark.parametrize("wish", ["stop", "delete"])
async def test_a_former_machine_that_somebody_starts_is_stopped_before_stopped_is_said(
    valkey_url: str, wish: str
) -> None:
    async with World(valkey_url, new_prefix()) as world:
        record = await spot(world, on_reclaim="recreate")
        world.simulator.faults.lay([Fault(kind="429", op="create", times=0)])
        core = world.simulator.core
        core.quirks = replace(core.quirks, reclaimed_start="allowed")
        reclaim(world, record)
        await world.passes(minutes=0.5)
        assert (await world.record()).machine is None
        world.simulator.control.post("console", action="start", instanceId=machine_of(record))
        await world.passes(minutes=0.5)
        before = len(await told(world))
        if wish == "stop":
            await world.process.commands.stop(NAME, WishBody(), CALLER)
            await world.until(Status.STOPPED)
            assert (await told(world))[before:] == ["instance.stopping", "instance.stopped"]
            assert [one["status"] for one in world.audit()["alive"]] == ["exited"]
        else:
            await world.delete()
            await world.until(Status.DELETED)
            assert world.audit()["alive"] == []
