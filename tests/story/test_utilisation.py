"""How busy an instance is, as a caller sees it."""

from novita_gpu.contract.requests import AutoStopRequest
from novita_gpu.contract.utilisation import UtilisationQuery
from novita_gpu.control.utilisation import POINTS, Utilisation
from novita_gpu.domain.instance import Status
from tests.plane import Service
from tests.valkey import new_prefix
from tests.world import World


async def test_the_points_are_those_of_the_cloud_as_many_as_a_plot_needs(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create(auto_stop=AutoStopRequest(enabled=False))
        record = await world.until(Status.READY)
        for gpu in (20.0, 95.0):
            world.simulator.control.post("metrics", instanceId="*", gpu=gpu, gpuMemory=gpu / 2)
            await world.passes(minutes=60)
        utilisation = Utilisation(world.process.cloud, world.now)
        hour, day = [await utilisation.of(record, UtilisationQuery(hours=hours)) for hours in (1, 24)]
        assert len(hour.points) > POINTS / 2
        assert len(day.points) < POINTS
        assert {(point.gpu, point.gpu_memory) for point in day.points} >= {(20.0, 10.0), (95.0, 47.5)}
        assert {point.gpu for point in hour.points[60:]} == {95.0}
        world.turn(61)
        world.simulator.control.post("faults", kind="503", op="metrics", times=0)
        old = await utilisation.of(record, UtilisationQuery(hours=1))
        assert (old.points, old.until) == (hour.points, hour.until)
        assert old.stale


async def test_it_is_asked_of_the_cloud_once_a_minute_however_many_look(service: Service) -> None:
    await service.ready()
    told = [(await service.get("/instances/trainer/utilisation")).json for _ in range(20)]
    assert service.count("metrics") == 1
    assert all(one == told[0] for one in told)
    assert told[0]["instanceId"] == (await service.instance())["id"]
    await service.get("/instances/trainer/utilisation?hours=6")
    assert service.count("metrics") == 2
    (call,) = [one for one in service.calls("metrics") if "interval" in one["query"]]
    assert call["query"]["interval"] == "60"
    assert (await service.get("/cache/stats")).json["cacheManager"]["stats"]["utilisation"]["size"] == 2


async def test_n16_looking_at_it_is_no_use(service: Service) -> None:
    await service.ready()
    await service.get("/instances/trainer/utilisation")
    assert "lastUsedAt" not in await service.instance()


async def test_one_without_a_machine_has_no_points_and_asks_nobody(service: Service) -> None:
    await service.ready()
    await service.gone()
    answer = await service.get("/instances/trainer/utilisation")
    assert (answer.status, answer.json["points"]) == (200, [])
    assert service.count("metrics") == 0


async def test_t15_the_clouds_outage_is_told_as_that(service: Service) -> None:
    await service.ready()
    service.fault("503", "metrics")
    answer = await service.get("/instances/trainer/utilisation")
    assert answer.status in {502, 503, 504}
    assert (await service.get("/instances/nobody/utilisation")).code == "INSTANCE_NOT_FOUND"
    assert (await service.get("/instances/trainer/utilisation?hours=25")).code == "VALIDATION_ERROR"
