"""The client against the simulated cloud: over real HTTP, and in process on a clock turned by hand."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from novita_gpu.cloud import simulator as sim
from novita_gpu.cloud.base import (
    Ambiguous,
    Cloud,
    CloudError,
    NotFound,
    Order,
    OutOfCapacity,
    OutOfMoney,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    WrongState,
)
from novita_gpu.cloud.metered import Metered
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, Request, Response, TooLate
from novita_gpu.domain.instance import CloudId
from novita_gpu.domain.spec import BillingMode, Spec

KEY = "sim-key"
HTTP, IN_PROCESS = "http", "in process"


class InProcess:
    """The transport's seam on `Simulator.handle`: no socket, no real time."""

    def __init__(self, simulator: sim.Simulator) -> None:
        self._simulator = simulator

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        if request.wanted is not None and not request.wanted():
            raise TooLate("too late")
        path = urlsplit(request.url).path
        try:
            answer = await self._simulator.handle(
                request.method, path, dict(request.query), dict(request.headers), request.body or b""
            )
        except (sim.ConnectionCut, sim.NoAnswer):
            raise NoAnswer("cut") from None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status, headers=headers, body=answer.body)

    async def close(self) -> None: ...


class World:
    """A simulator, and a client of it."""

    def __init__(self, simulator: sim.Simulator, cloud: Novita) -> None:
        self.simulator = simulator
        self.control = simulator.control
        self.novita = cloud
        self.cloud: Cloud = Metered(cloud)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.simulator.clock.now(), UTC)

    def turn(self, seconds: float) -> None:
        self.simulator.clock.advance(seconds)
        self.simulator.settle()

    async def launched(self) -> CloudId:
        machine = await self.cloud.create(self.order(), send_by=float("inf"))
        self.turn(60)
        return machine

    def order(self) -> Order:
        spec = Spec(regions=("US-CA-06",), image_url="docker.io/library/ubuntu:22.04")
        return Order(
            name="w1-d-i-1",
            marker="d/i/1",
            product_id="4090.16c62g",
            cluster_id="us-ca-6",
            billing_mode=BillingMode.SPOT,
            spec=spec,
        )

    def lay(self, **fault: object) -> None:
        self.control.post("faults", **fault)


@asynccontextmanager
async def the_world(form: str, settings: sim.SimulatorSettings | None = None, key: str = KEY) -> AsyncGenerator[World]:
    settings = settings or sim.SimulatorSettings(rate=0.0)
    if form == HTTP:
        async with sim.running(settings) as it:
            cloud = Novita(key, root=it.root + "/gpu-instance/openapi", calls_per_minute=0, sleep=_at_once)
            world = World(it.simulator, cloud)
            yield world
            await cloud.close()
        return
    simulator = sim.Simulator(settings)
    cloud = Novita(key, transport=InProcess(simulator), calls_per_minute=0, sleep=_at_once)
    yield World(simulator, cloud)


async def _at_once(seconds: float) -> None: ...


@pytest.fixture(params=[HTTP, IN_PROCESS])
async def world(request: pytest.FixtureRequest) -> AsyncGenerator[World]:
    async with the_world(request.param) as it:
        yield it


async def test_a_whole_life(world: World) -> None:
    cloud = world.cloud
    machine = await cloud.create(world.order(), send_by=float("inf"))
    look = await cloud.listing()
    assert look.complete
    assert [(row.id, row.marker, row.name) for row in look.rows] == [(machine, "d/i/1", "w1-d-i-1")]
    world.turn(60)
    detail = await cloud.get(machine)
    assert detail.row.seen.status == "running"
    assert detail.row.marker == "d/i/1"
    assert detail.row.region == "US-CA-06"
    assert detail.connection.ssh
    await cloud.stop(machine)
    world.turn(60)
    assert (await cloud.get(machine)).row.seen.status == "exited"
    await cloud.start(machine)
    world.turn(60)
    await cloud.restart(machine)
    world.turn(60)
    await cloud.delete(machine)
    world.turn(600)
    with pytest.raises(NotFound):
        await cloud.get(machine)
    assert (await cloud.listing()).rows == ()


async def test_only_documented_parameters_and_fields_are_sent(world: World) -> None:
    machine = await world.launched()
    cloud = world.cloud
    await cloud.clusters()
    await cloud.products(BillingMode.SPOT, "us-ca-6")
    await cloud.registry_auths()
    await cloud.balance()
    await cloud.jobs(type="saveImage", since=world.now())
    await cloud.metrics(machine, world.now() - timedelta(minutes=5), world.now())
    await cloud.save_image(machine, "registry/x:1")
    await cloud.listing()
    for template in await cloud.templates():
        assert (await cloud.template(template.id)).id == template.id
    assert [call.unknown for call in world.simulator.calls.calls if call.unknown] == []
    assert all(call.op for call in world.simulator.calls.calls)


async def test_prices_and_money(world: World) -> None:
    products = await world.cloud.products(BillingMode.SPOT)
    product = next(p for p in products if p.id == "4090.16c62g")
    assert (product.on_demand_units, product.spot_units) == (35000, 17500)
    assert "US-CA-06" in product.regions
    assert "US-CA-06" in {cluster.region for cluster in await world.cloud.clusters()}
    assert (await world.cloud.balance()).available_usd == Decimal(1000)


async def test_a_reclaim_is_seen_in_the_listing(world: World) -> None:
    machine = await world.launched()
    world.control.post("reclaim", instanceId=machine, noticeSeconds=3600)
    (row,) = (await world.cloud.listing()).rows
    assert row.seen.spot_status == "notified"
    assert row.seen.spot_reclaim_at is not None
    assert row.seen.spot_reclaim_at - world.now() == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=2))


async def test_migration_leaves_a_job(world: World) -> None:
    machine = await world.launched()
    await world.cloud.stop(machine)
    world.turn(60)
    await world.cloud.migrate(machine)
    (job,) = await world.cloud.jobs(type="instanceMigrate")
    assert job.instance == machine


async def test_many_machines_are_listed_over_pages(world: World) -> None:
    world.control.post("quirks", maxPageSize=7)
    made = {await world.cloud.create(world.order(), send_by=float("inf")) for _ in range(30)}
    look = await world.cloud.listing()
    assert look.complete
    assert {row.id for row in look.rows} == made


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "500"}, Ambiguous),
        ({"kind": "500", "when": "after"}, Ambiguous),
        ({"kind": "502"}, Ambiguous),
        ({"kind": "html"}, Ambiguous),
        ({"kind": "cut"}, Ambiguous),
        ({"kind": "cut", "when": "after"}, Ambiguous),
        ({"kind": "empty"}, Ambiguous),
        ({"kind": "ambiguous_200_without_id", "when": "after"}, Ambiguous),
        ({"kind": "429", "retryAfter": 7}, Throttled),
        ({"kind": "insufficient"}, OutOfCapacity),
        ({"kind": "balance"}, OutOfMoney),
    ],
)
async def test_troubles_of_a_create(world: World, fault: dict[str, object], kind: type[CloudError]) -> None:
    world.lay(**fault)
    with pytest.raises(kind):
        await world.cloud.create(world.order(), send_by=float("inf"))
    assert len(world.simulator.calls.calls) == 1
    made = {row.marker for row in (await world.cloud.listing()).rows}
    assert made == ({"d/i/1"} if fault.get("when") == "after" else set())


@pytest.mark.parametrize("kind", ["500", "502", "503", "html", "cut", "429"])
async def test_troubles_of_a_read_are_got_over_or_said(world: World, kind: str) -> None:
    await world.launched()
    world.lay(kind=kind, times=2)
    assert len((await world.cloud.listing()).rows) == 1
    world.lay(kind=kind, times=3)
    with pytest.raises((Unreachable, Throttled)):
        await world.cloud.listing()


async def test_wrong_states_and_unknown_ids(world: World) -> None:
    machine = await world.launched()
    with pytest.raises(WrongState):
        await world.cloud.start(machine)
    for act in (world.cloud.start, world.cloud.stop, world.cloud.get):
        with pytest.raises(NotFound):
            await act(CloudId("ffffffffffffffff"))
    with pytest.raises(NotFound):
        await world.cloud.template("999999")


async def test_no_stock_no_money_and_a_bad_order(world: World) -> None:
    order = world.order()
    world.control.post("stock", gpus=0)
    with pytest.raises(OutOfCapacity):
        await world.cloud.create(order, send_by=float("inf"))
    world.control.post("stock", gpus=5)
    world.control.post("balance", usd=0)
    with pytest.raises(OutOfMoney):
        await world.cloud.create(order, send_by=float("inf"))


@pytest.mark.parametrize("status", [400, 404])
async def test_not_found_with_either_status(status: int) -> None:
    settings = sim.SimulatorSettings(rate=0.0, quirks=sim.Quirks(not_found_status=status))  # pyright: ignore[reportArgumentType]
    async with the_world(IN_PROCESS, settings) as world:
        with pytest.raises(NotFound):
            await world.cloud.get(CloudId("ffffffffffffffff"))


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key(status: int) -> None:
    settings = sim.SimulatorSettings(rate=0.0, quirks=sim.Quirks(unknown_key_status=status))  # pyright: ignore[reportArgumentType]
    async with the_world(IN_PROCESS, settings, key="sk_wrong") as world:
        with pytest.raises(Unauthorized):
            await world.cloud.listing()
        with pytest.raises(Unauthorized):
            await world.cloud.create(world.order(), send_by=float("inf"))


async def test_a_wrong_base_address_is_no_fact_about_machines() -> None:
    async with sim.running(sim.SimulatorSettings(rate=0.0)) as it:
        cloud = Novita(KEY, root=it.root + "/elsewhere", calls_per_minute=0)
        with pytest.raises(CloudError) as caught:
            await cloud.get(CloudId("ffffffffffffffff"))
        assert not isinstance(caught.value, NotFound)
        with pytest.raises(Rejected):
            await cloud.delete(CloudId("ffffffffffffffff"))
        await cloud.close()


async def test_empty_answers_to_actions(world: World) -> None:
    world.control.post("quirks", actionReply="empty")
    machine = await world.launched()
    await world.cloud.stop(machine)
    world.turn(60)
    await world.cloud.start(machine)


async def test_unknown_words_are_kept(world: World) -> None:
    machine = await world.launched()
    world.control.post("disguise", instanceId=machine, fields={"status": "hibernating", "billingMode": ""})
    (row,) = (await world.cloud.listing()).rows
    assert (row.seen.status, row.billing_mode) == ("hibernating", "")


async def test_use_of_the_gpu(world: World) -> None:
    machine = await world.launched()
    world.control.post("metrics", instanceId=machine, gpu=80, gpuMemory=40)
    world.turn(300)
    metrics = await world.cloud.metrics(machine, world.now() - timedelta(minutes=3), world.now())
    assert metrics.gpu[-1].percent == pytest.approx(80, abs=15)
    assert metrics.gpu_memory
