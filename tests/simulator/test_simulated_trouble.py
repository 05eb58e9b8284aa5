"""Faults laid in the way, the record of calls, and what others do behind our back."""

from copy import deepcopy
from typing import Any

import pytest
from caller import Caller

from novita_gpu.cloud.simulator import ConnectionCut, NoAnswer, Simulator, SimulatorSettings, Timing


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
async def test_a_cut_comes_before_or_after_the_effect(cloud: Caller, when: str, made: int) -> None:
    cloud.control.post("faults", op="create", kind="cut", when=when)
    with pytest.raises(ConnectionCut):
        await cloud.order()
    assert cloud.audit()["everCreated"] == made
    assert (await cloud.order()).status == 200


async def test_a_hang_never_answers(cloud: Caller) -> None:
    cloud.control.post("faults", op="create", kind="hang", when="after")
    with pytest.raises(NoAnswer):
        await cloud.order()
    assert cloud.audit()["everCreated"] == 1


async def test_a_late_create_is_never_answered_and_comes_about_later(cloud: Caller) -> None:
    cloud.control.post("faults", op="create", kind="late", seconds=30)
    with pytest.raises(NoAnswer):
        await cloud.order(name="late")
    cloud.turn(29)
    assert await cloud.rows() == []
    cloud.turn(1)
    (row,) = await cloud.rows()
    assert (row["name"], row["createdAt"]) == ("late", "1780000030")


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("500", 500, "UNKNOWN"),
        ("503", 503, "UNKNOWN"),
        ("429", 429, "RATE_LIMIT_EXCEEDED"),
        ("insufficient", 400, "INSUFFICIENT_RESOURCE"),
        ("balance", 400, "BALANCE_NOT_ENOUGH"),
    ],
)
async def test_a_fault_answers_as_the_cloud_would(cloud: Caller, kind: str, status: int, reason: str) -> None:
    cloud.control.post("faults", op="create", kind=kind)
    said = await cloud.order()
    assert (said.status, said.reason, said.json["code"]) == (status, reason, status)
    assert cloud.audit()["everCreated"] == 0


async def test_a_429_may_say_when_to_come_back(cloud: Caller) -> None:
    cloud.control.post("faults", op="list", kind="429", retryAfter=7)
    assert (await cloud.get("/gpu/instances")).headers["Retry-After"] == "7"
    cloud.control.post("faults", op="list", kind="429")
    assert "Retry-After" not in (await cloud.get("/gpu/instances")).headers


async def test_a_page_of_html_an_empty_body_and_a_200_without_id(cloud: Caller) -> None:
    cloud.control.post("faults", op="list", kind="html")
    page = await cloud.get("/gpu/instances")
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (502, "text/html")
    cloud.control.post("faults", op="list", kind="empty")
    empty = await cloud.get("/gpu/instances")
    assert (empty.status, empty.body) == (200, b"")
    cloud.control.post("faults", op="create", kind="ambiguous_200_without_id", when="after")
    assert (await cloud.order()).json == {}
    assert cloud.audit()["everCreated"] == 1


async def test_a_fault_meets_so_many_calls_after_so_many_others(cloud: Caller) -> None:
    cloud.control.post("faults", op="list", kind="500", times=2, skip=1)
    assert [(await cloud.get("/gpu/instances")).status for _ in range(4)] == [200, 500, 500, 200]


async def test_a_fault_for_ever_ends_when_it_is_cleared(cloud: Caller) -> None:
    cloud.control.post("faults", kind="500", times=0)
    assert {(await cloud.get("/products")).status for _ in range(5)} == {500}
    cloud.control.post("faults/clear")
    assert (await cloud.get("/products")).status == 200


async def test_one_page_of_the_list_can_be_unreadable(cloud: Caller) -> None:
    cloud.control.post("faults", op="list", kind="html", times=0, match={"pageNum": "2"})
    assert [(await cloud.get("/gpu/instances", pageNum=page)).status for page in (1, 2, 3)] == [200, 502, 200]


async def test_a_fault_may_be_meant_for_one_machine(cloud: Caller) -> None:
    one, other = await cloud.running(), await cloud.running()
    cloud.control.post("faults", op="stop", kind="500", match={"instanceId": other})
    assert (await cloud.act("stop", one)).status == 200
    assert (await cloud.act("stop", other)).status == 500


async def test_latency_holds_a_call_for_real_seconds_without_any_sleep_of_the_core() -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    sim = Simulator(SimulatorSettings(keys=frozenset({"k"})), pause=pause)
    sim.control.post("latency", seconds=0.2)
    sim.control.post("latency", op="clusters", seconds=1.5)
    sim.control.post("faults", op="clusters", kind="slow", seconds=9)
    for name in ("products", "clusters"):
        await sim.handle("GET", f"/gpu-instance/openapi/v1/{name}", {}, {"Authorization": "Bearer k"}, b"")
    assert waits == [0.2, 1.5, 9]


async def test_every_call_is_written_down_with_what_became_of_it(cloud: Caller) -> None:
    cloud.control.post("faults", op="stop", kind="cut")
    instance_id = await cloud.running()
    with pytest.raises(ConnectionCut):
        await cloud.act("stop", instance_id)
    log: Any = cloud.control.get("calls")
    create, *_, stop = log["calls"]
    assert (create["op"], create["body"]["name"], create["status"], create["unknown"]) == ("create", "w1", 200, [])
    assert (stop["op"], stop["body"], stop["status"], stop["fault"]) == ("stop", {"instanceId": instance_id}, 0, "cut")
    assert log["counts"] == {"create": 1, "get": 1, "stop": 1}
    last: Any = cloud.control.get("calls", last="1")
    assert last["calls"] == [stop]
    cloud.control.post("calls/clear")
    after: Any = cloud.control.get("calls")
    assert after == {"calls": [], "counts": {}}


async def test_a_person_at_the_console_acts_without_a_call(cloud: Caller) -> None:
    ours = await cloud.running()
    cloud.control.post("console", action="stop", instanceId=ours)
    cloud.turn(5)
    assert await cloud.status(ours) == "exited"
    body = {"name": "theirs", "productId": "5090.16c96g", "gpuNum": 1, "rootfsSize": 60, "imageUrl": "x", "kind": "gpu"}
    cloud.control.post("console", action="create", body=body)
    assert [row["name"] for row in await cloud.rows()] == ["theirs", "w1"]
    cloud.control.post("console", action="delete", instanceId=ours)
    cloud.turn(5)
    assert [row["name"] for row in await cloud.rows()] == ["theirs"]
    calls: Any = cloud.control.get("calls")
    assert set(calls["counts"]) == {"create", "get", "list"}


async def test_endpoints_answer_a_while_after_running(cloud: Caller) -> None:
    instance_id = await cloud.create()
    cloud.turn(6)
    http, tcp = (port["endpoint"] for port in (await cloud.one(instance_id))["portMappings"])
    core, now = cloud.sim.core, cloud.sim.clock.now
    assert core.reply(http, now()) == (True, 502)
    assert not core.reply(tcp, now()).accepts
    cloud.turn(1)
    assert core.reply(http + "/health", now()) == (True, 200)
    assert core.reply(tcp, now()).accepts
    await cloud.act("stop", instance_id)
    cloud.turn(5)
    assert not core.reply(http, now()).accepts


@pytest.mark.parametrize(("health", "status"), [("502", 502), ("404", 404), ("silent", None), ("ok", 200)])
async def test_services_can_be_ill_one_or_all(cloud: Caller, health: str, status: int | None) -> None:
    ill, well = await cloud.running(), await cloud.running()
    cloud.control.post("health", instanceId=ill, health=health)

    async def reply(instance_id: str) -> int | None:
        endpoint = (await cloud.one(instance_id))["portMappings"][0]["endpoint"]
        return cloud.sim.core.reply(endpoint, cloud.sim.clock.now()).status

    assert (await reply(ill), await reply(well)) == (status, 200)
    cloud.control.post("health", health="503")
    assert (await reply(ill), await reply(well)) == (status, 503)


async def test_one_seed_and_one_order_of_calls_make_one_history() -> None:
    async def history(seed: int) -> Any:
        cloud = Caller(timing=Timing(jitter=0.3), seed=seed)
        await cloud.act("stop", await cloud.running())
        cloud.turn(60)
        return cloud.control.get("machines")

    assert await history(7) == await history(7)
    assert await history(7) != await history(8)


async def test_a_simulator_can_be_split_in_two(cloud: Caller) -> None:
    instance_id = await cloud.running()
    other = deepcopy(cloud)
    await other.act("delete", instance_id)
    other.turn(60)
    assert await other.rows() == []
    assert await cloud.status(instance_id) == "running"


async def test_a_misspelt_command_is_refused(cloud: Caller) -> None:
    for name, body in (("stock", b'{"gpu": 1}'), ("stonk", b"{}"), ("faults", b'{"kind": "odd"}'), ("stock", b"[")):
        assert cloud.control.answer("POST", name, {}, body).status == 400


async def test_the_state_tells_clock_stock_and_machines(cloud: Caller) -> None:
    instance_id = await cloud.running()
    state: Any = cloud.control.get("state")
    assert state["now"] == 1_780_000_010
    assert [machine["id"] for machine in state["instances"]] == [instance_id]
    assert {"productId": "4090.16c62g", "clusterId": "us-ca-6", "gpus": 511} in state["stock"]
