"""What must never happen, and is shown nowhere else. Named by number; `index` names all."""

import asyncio
from contextlib import suppress
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from novita_gpu.cloud.base import Lane
from novita_gpu.cloud.lanes import SLOTS
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.case import Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.gpu import GpuReading
from novita_gpu.domain.idle import due_now
from novita_gpu.domain.instance import Status, status
from novita_gpu.domain.spec import Activity, AutoStop
from novita_gpu.domain.steps import Measure, Rest
from novita_gpu.store import Store
from novita_gpu.store.base import Refused, Unavailable
from tests.domain.given import at, ready
from tests.plane import KEY, PRODUCT, Service, eventually
from tests.told import Told
from tests.valkey import new_prefix
from tests.webhooks.receiver import Receiver
from tests.world import Process, World

TOKEN = "token-of-a-receiver"
SECRET = "hunter2-hunter2-hunter2"
PRIVATE = "20001"  # of the account's own, with a registry credential


async def test_n3_an_intent_that_could_not_be_stored_calls_nobody(valkey_url: str) -> None:
    async def no_commits(name: str) -> None:
        if name == "commit":
            raise Unavailable("the disk is full")

    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        world.blade.meets = no_commits
        with pytest.raises(Unavailable):
            await world.process.go_on()
        assert "create" not in world.blade.names
        assert world.audit()["everCreated"] == 0


async def test_n10_a_price_that_rose_while_a_create_waited_for_its_place_is_not_paid(valkey_url: str) -> None:
    """All places are taken by slow creates; meanwhile the price passes what was agreed."""
    async with World(valkey_url, new_prefix()) as world:
        most = {"product_name": None, "product_id": "4090.16c62g", "max_price_per_hour": Decimal("0.40")}
        await world.create(**most)
        free, process = asyncio.Event(), world.process
        others = [asyncio.create_task(_hold(process, free)) for _ in range(SLOTS[Lane.SPENDING])]
        await asyncio.sleep(0)
        await process.store.view.load()
        buying = asyncio.create_task(process.reconciler.reconcile((await world.record()).id))
        for _ in range(100):  # the store answers so often that the pass has come as far as it can
            await world.outside.facts.fact("nothing")
        world.simulator.control.post("product", productId="4090.16c62g", price=99_000)
        world.turn(600)
        free.set()
        await asyncio.gather(buying, *others)
        assert world.audit()["everCreated"] == 0
        failed = await world.until(Status.FAILED)
        assert failed.failure
        assert failed.failure.code == "NO_OFFER"


async def _hold(process: Process, free: asyncio.Event) -> None:
    """A place among those who spend, until it is free."""
    async with process.cloud.permit(Lane.SPENDING):
        await free.wait()


async def test_n12_two_replicas_that_pass_at_once_buy_one_machine(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        other, instance = Process(world, world.blade), (await world.record()).id
        passes = [process.reconciler.reconcile(instance) for process in (world.process, other) for _ in range(5)]
        await asyncio.gather(*passes)
        await other.end()
        assert world.blade.names.count("create") == 1
        await world.until(Status.READY)
        assert world.audit()["everCreated"] == 1


async def test_n13_a_heartbeat_between_the_decision_and_its_commit_prevents_the_stop(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        await world.create()
        record = await world.until(Status.READY)
        assert record.ready_at
        world.turn(record.auto_stop.idle.total_seconds() + 1)
        beats: list[str] = []

        async def beat(name: str) -> None:
            if name == "commit" and not beats:
                beats.append(name)
                await world.outside.records.touch(record.id, world.now())

        world.blade.meets = beat
        await world.process.reconciler.reconcile(record.id)
        await world.process.go_on()
        assert beats
        assert status(await world.record()) is Status.READY
        assert world.received("stop") == []


@pytest.mark.parametrize("source", [Activity.GPU, Activity.ANY])
async def test_n15_what_cannot_be_read_never_stops_anything(source: Activity) -> None:
    """Never read, read in vain, or read too long ago: at any time, with and without a heartbeat long ago."""
    unreadable = (
        None,
        GpuReading(read_at=at(7 * 86_400), fault="the cloud does not answer"),
        GpuReading(read_at=at(7 * 86_400), quiet_from=at(62), quiet_to=at(86_400)),
        GpuReading(read_at=at(7 * 86_400), quiet_from=at(62), quiet_to=at(7 * 86_400), fault="the cloud is out"),
    )
    for gpu in unreadable:
        record = ready(auto_stop=AutoStop(activity=source))
        record = replace(record, run=replace(record.run, gpu=gpu))
        for minutes in range(0, 7 * 1440, 7):
            for heard in (Heard(), Heard(last=at(100))):
                now = at(7 * 86_400 + minutes * 60)
                step = decide(record, None, now, Policy(), heard=heard)
                assert isinstance(step, Rest | Measure), (gpu, step)
                assert due_now(record, heard, now) in {None, "measure"}


async def test_n25_a_process_that_slept_after_its_intent_sends_nothing(valkey_url: str) -> None:
    async with World(valkey_url, new_prefix()) as world:
        slept: list[str] = []

        async def sleep(name: str) -> None:
            if name == "create" and not slept:
                slept.append(name)
                world.turn(60)

        world.blade.meets = sleep
        await world.create()
        await world.until(Status.READY)
        first, second = (await world.record()).attempts
        assert (first.machine, second.machine is None) == (None, False)
        assert world.audit()["everCreated"] == 1
        assert len(world.received("create")) == 1


async def test_t3_an_outage_of_the_cloud_fails_nobody(service: Service) -> None:
    await service.ready()
    known = (await service.instance())["sequence"]
    service.fault("503", "*", times=0)
    failed = service.count("list")
    await eventually(lambda: service.count("list") >= failed + 5)
    during = await service.instance()
    assert (during["status"], during["sequence"]) == ("ready", known)
    service.cloud.control.post("faults/clear")
    await service.looked()
    assert (await service.instance())["sequence"] == known


async def test_t15_an_outage_is_not_told_as_not_found(service: Service) -> None:
    await service.ready()
    service.fault("503", "*", times=0)
    assert (await service.get("/instances/trainer")).status == 200
    async with asyncio.timeout(30):
        while (read := await service.get("/templates/102")).code != "CIRCUIT_BREAKER_OPEN":
            pass
    body = {"name": "second", "productName": PRODUCT, "templateId": "102"}
    answer = await service.post("/instances", body)
    assert (answer.status, answer.code) == (read.status, read.code) == (503, "CIRCUIT_BREAKER_OPEN")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await service.get("/instances")).json["total"] == 1


async def kept_in(store: Store) -> dict[str, str]:
    """Every key of the store, the work queue's too, with all that it holds."""
    words = {"hash": ("HGETALL",), "set": ("SMEMBERS",), "zset": ("ZRANGE", 0, -1), "stream": ("XRANGE", "-", "+")}
    found: dict[str, str] = {}
    for key in await store.wire.keys(store.keys.pattern):
        command, *more = words.get((await store.wire.ask("TYPE", key)).decode(), ("GET",))
        with suppress(Refused):  # gone, or of another type meanwhile
            found[key.decode()] = repr(await store.wire.ask(command, key, *more))
    return found


async def test_s6_planted_secrets_are_only_where_they_belong(service: Service, receiver: Receiver, told: Told) -> None:
    """From a private template on: in no log, event, webhook, answer or error, and in Redis in the record alone."""
    log = told(level="debug")
    made = (await service.post("/keys", {"name": "ci", "scopes": ["admin"]}, Idempotency_Key="once")).json["key"]
    envs = [{"key": "HF_TOKEN", "value": SECRET}]
    body = {"name": "trainer", "productName": PRODUCT, "templateId": PRIVATE, "envs": envs}
    body["webhookUrl"] = f"{receiver.url}?token={TOKEN}"
    assert (await service.post("/instances", body, key=made)).status == 201
    await service.until("ready")
    password = (await service.instance())["connectionDetails"]["sshPassword"]
    wrong = await service.post("/instances", {**body, "envs": [{"key": "a b", "value": SECRET}], "command": 7})
    await service.post("/instances/trainer/stop", key="ngpu_wrong_but_secret")
    await service.post("/instances/trainer/stop", key=made)
    await service.until("stopped")
    await receiver.wait_for(4)
    assert service.calls("create")[0]["body"]["envs"][0]["value"] == SECRET
    paths = ("/instances", "/instances/comprehensive", "/instances/trainer/explain", "/events?limit=1000", "/keys")
    paths += (f"/templates/{PRIVATE}", "/webhooks/deliveries", "/costs", "/instances/migration/status")
    texts = [(await service.get(path)).body.decode() for path in paths]
    texts += [wrong.body.decode(), msgspec.json.encode(receiver.bodies).decode(), log.getvalue()]
    lines = [line for text in texts for line in text.splitlines() if "aiohttp.access" not in line]  # the receiver's own
    assert not [line for line in lines if TOKEN in line]
    assert TOKEN in (await service.instance())["webhookUrl"], "who may operate sees where it goes"
    kept = await kept_in(service.plane.store)
    for secret in (SECRET, password, "pull-secret", KEY, made, "ngpu_wrong_but_secret", "sim-key"):
        assert not [text[:200] for text in texts if secret in text], secret
        places = {service.plane.store.keys.kind_of(key) for key, value in kept.items() if secret in key + value}
        assert places <= ({"record"} if secret in (SECRET, password) else set()), secret
    assert any(SECRET in value for value in kept.values()), "the search finds what is there"
    assert "access.refused" in log.getvalue()


async def test_l1_a_stop_does_not_wait_behind_slow_creates(service: Service) -> None:
    await service.ready()
    service.cloud.control.post("latency", op="create", seconds=4)
    await asyncio.gather(*(service.create(f"w-{number}") for number in range(30)))
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    (stop,) = service.calls("stop")
    before = [create for create in service.calls("create") if create["at"] < stop["at"]]
    assert 1 < len(before) < 1 + 30  # the others wait for a place, and the stop went past them
