"""The simulator over real sockets: its API, its control face, and the ports of its machines."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from caller import ORDER

from novita_gpu.cloud.simulator import Running, SimulatorSettings, Timing, running

HEADERS = {"Authorization": "Bearer sim-key"}


class Wire:
    """A simulator on loopback, its clock turned by hand, and an HTTP client."""

    def __init__(self, it: Running, session: aiohttp.ClientSession) -> None:
        self.it = it
        self.session = session
        self.api = f"{it.root}/gpu-instance/openapi/v1"

    async def post(self, url: str, **body: Any) -> Any:
        async with self.session.post(url, json=body, headers=HEADERS) as said:
            return await said.json(content_type=None)

    async def get(self, url: str, **query: str) -> Any:
        async with self.session.get(url, params=query, headers=HEADERS) as said:
            return await said.json(content_type=None)

    async def command(self, name: str, **fields: Any) -> Any:
        return await self.post(f"{self.it.root}/_sim/{name}", **fields)

    async def create(self, **fields: Any) -> str:
        return (await self.post(f"{self.api}/gpu/instance/create", **(ORDER | fields)))["id"]

    async def endpoints(self, instance_id: str) -> list[str]:
        one = await self.get(f"{self.api}/gpu/instance", instanceId=instance_id)
        return [port["endpoint"] for port in one["portMappings"]]

    async def status(self, endpoint: str) -> int:
        async with self.session.get(endpoint) as said:
            return said.status


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with running(SimulatorSettings(rate=0)) as it, aiohttp.ClientSession() as session:
        yield Wire(it, session)


async def knock(endpoint: str) -> bytes:
    """What a tcp port says first; `ConnectionRefusedError` where nothing listens."""
    host, _, port = endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    said = await reader.readline() if port != "0" else b""
    writer.close()
    await writer.wait_closed()
    return said


async def test_it_speaks_http_with_status_headers_and_body(wire: Wire) -> None:
    async with wire.session.get(f"{wire.api}/products") as said:
        assert said.status == 400
        assert said.content_type == "application/json"
        assert (await said.json())["reason"] == "MISSING_API_KEY"


async def test_an_http_port_is_502_until_its_service_answers(wire: Wire) -> None:
    instance_id = await wire.create()
    await wire.command("clock", advance=6)
    http, _ = await wire.endpoints(instance_id)
    assert http.startswith("http://127.0.0.1:")
    assert await wire.status(f"{http}/health") == 502
    await wire.command("clock", advance=1)
    assert await wire.get(f"{http}/health") == {"instanceId": instance_id, "port": 8080}


async def test_a_tcp_port_refuses_until_its_service_answers(wire: Wire) -> None:
    instance_id = await wire.create()
    await wire.it.turn(6)
    _, tcp = await wire.endpoints(instance_id)
    with pytest.raises(ConnectionRefusedError):
        await knock(tcp)
    await wire.it.turn(1)
    host, _, port = tcp.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()


async def test_sshd_greets_at_the_address_of_the_command(wire: Wire) -> None:
    instance_id = await wire.create()
    await wire.it.turn(10)
    one = await wire.get(f"{wire.api}/gpu/instance", instanceId=instance_id)
    command = one["connectComponentSSH"]["sshCommand"].split()
    assert command[:2] == ["ssh", "-p"]
    assert (await knock(f"127.0.0.1:{command[2]}")).startswith(b"SSH-2.0")


async def test_ports_close_with_the_machine_and_move_at_the_next_start(wire: Wire) -> None:
    instance_id = await wire.create()
    await wire.it.turn(10)
    before = await wire.endpoints(instance_id)
    await wire.post(f"{wire.api}/gpu/instance/stop", instanceId=instance_id)
    await wire.it.turn(10)
    assert await wire.endpoints(instance_id) == ["", ""]
    with pytest.raises(aiohttp.ClientConnectorError):
        await wire.status(before[0])
    await wire.post(f"{wire.api}/gpu/instance/start", instanceId=instance_id)
    await wire.it.turn(10)
    assert await wire.status((await wire.endpoints(instance_id))[0]) == 200


async def test_a_service_can_be_ill_or_silent_over_the_wire(wire: Wire) -> None:
    instance_id = await wire.create()
    await wire.it.turn(10)
    http, _ = await wire.endpoints(instance_id)
    await wire.command("health", instanceId=instance_id, health="503")
    assert await wire.status(http) == 503
    await wire.command("health", instanceId=instance_id, health="silent")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await wire.status(http)


async def test_a_cut_tears_the_connection_after_the_effect(wire: Wire) -> None:
    await wire.command("faults", op="create", kind="cut", when="after")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await wire.create()
    assert (await wire.get(f"{wire.it.root}/_sim/audit"))["everCreated"] == 1


async def test_a_hang_holds_the_connection_open(wire: Wire) -> None:
    await wire.command("faults", op="list", kind="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await wire.get(f"{wire.api}/gpu/instances")


async def test_faults_can_be_laid_as_a_list(wire: Wire) -> None:
    faults = [{"op": "create", "kind": "500"}, {"op": "list", "kind": "429", "retryAfter": 2}]
    async with wire.session.post(f"{wire.it.root}/_sim/faults", json=faults) as said:
        assert await said.json() == {"waiting": 2}


async def test_two_hundred_creates_at_once_are_two_hundred_machines(wire: Wire) -> None:
    ids = await asyncio.gather(*(wire.create(name=f"n{n}", ports="80/http") for n in range(200)))
    assert len(set(ids)) == 200
    page = await wire.get(f"{wire.api}/gpu/instances", pageSize="100", pageNum="2")
    assert (len(page["instances"]), page["total"]) == (100, 200)


async def answers_in_time(tcp: str) -> bool:
    """Knock until the port opens; nothing but the simulator's own clock can open it."""
    host, _, port = tcp.rpartition(":")
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                continue
            writer.close()
            await writer.wait_closed()
            return True


async def test_on_a_running_clock_machines_come_up_and_answer_by_themselves() -> None:
    timing = msgspec.structs.replace(Timing.fast(), service_s=0.2)
    async with running(SimulatorSettings(timing=timing)) as it, aiohttp.ClientSession() as session:
        wire = Wire(it, session)
        instance_id = await wire.create()
        async with asyncio.timeout(10):
            while not (await wire.endpoints(instance_id))[0]:
                pass
        http, tcp = await wire.endpoints(instance_id)
        assert await wire.status(http) == 502
        assert await answers_in_time(tcp)
        assert await wire.get(http) == {"instanceId": instance_id, "port": 8080}


async def test_a_standing_clock_can_be_set_running_over_the_wire(wire: Wire) -> None:
    instance_id = await wire.create()
    await wire.it.turn(6)
    _, tcp = await wire.endpoints(instance_id)
    await wire.command("clock", rate=50)
    assert await answers_in_time(tcp)
