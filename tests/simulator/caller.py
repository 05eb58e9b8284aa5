"""A caller of the simulated cloud in process: the same bytes as over HTTP, on a clock turned by hand."""

from dataclasses import dataclass
from typing import Any

import msgspec

from novita_gpu.cloud.simulator import Answer, Quirks, Simulator, SimulatorSettings, Timing

GPU = "/gpu-instance/openapi/v1"
ACCOUNT = "/openapi/v1"
KEY = {"Authorization": "Bearer sim-key", "User-Agent": "tests"}
ORDER: dict[str, Any] = {
    "name": "w1",
    "productId": "4090.16c62g",
    "gpuNum": 1,
    "rootfsSize": 60,
    "imageUrl": "docker.io/library/ubuntu:22.04",
    "ports": "8080/http, 9000/tcp",
    "clusterId": "us-ca-6",
    "kind": "gpu",
}


@dataclass(frozen=True)
class Said:
    """What the cloud answered."""

    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def headers(self) -> dict[str, str]:
        return self.answer.headers

    @property
    def body(self) -> bytes:
        return self.answer.body

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.answer.body)

    @property
    def reason(self) -> str:
        return self.json["reason"]


class Caller:
    """One account's caller."""

    def __init__(self, *, timing: Timing | None = None, quirks: Quirks | None = None, **others: Any) -> None:
        settings = SimulatorSettings(timing=timing or Timing(), quirks=quirks or Quirks(), **others)
        self.sim = Simulator(settings)
        self.control = self.sim.control

    def turn(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.sim.clock.advance(seconds)

    def quirks(self, **fields: object) -> None:
        """Change how the wire behaves."""
        self.control.post("quirks", **fields)

    async def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Said:
        """A GET under the instance root, or under the account root for a path that says so."""
        full = path if path.startswith("/openapi") else GPU + path
        texts = {name: str(value) for name, value in query.items()}
        return Said(await self.sim.handle("GET", full, texts, KEY if headers is None else headers, b""))

    async def post(self, path: str, **body: Any) -> Said:
        """A POST under the instance root."""
        return Said(await self.sim.handle("POST", GPU + path, {}, KEY, msgspec.json.encode(body)))

    async def order(self, **fields: Any) -> Said:
        """A create, from a good order with some fields changed."""
        return await self.post("/gpu/instance/create", **(ORDER | fields))

    async def create(self, **fields: Any) -> str:
        """A new machine's id."""
        said = await self.order(**fields)
        assert said.status == 200, said.body
        return said.json["id"]

    async def running(self, **fields: Any) -> str:
        """The id of a machine that runs, its services answering."""
        instance_id = await self.create(**fields)
        self.turn(10)
        assert await self.status(instance_id) == "running"
        return instance_id

    async def exited(self, **fields: Any) -> str:
        """The id of a machine that was stopped."""
        instance_id = await self.running(**fields)
        await self.act("stop", instance_id)
        self.turn(5)
        assert await self.status(instance_id) == "exited"
        return instance_id

    async def act(self, action: str, instance_id: str) -> Said:
        """start, stop, restart, delete or migrate."""
        return await self.post(f"/gpu/instance/{action}", instanceId=instance_id)

    async def one(self, instance_id: str) -> Any:
        """A machine as get shows it."""
        return (await self.get("/gpu/instance", instanceId=instance_id)).json

    async def status(self, instance_id: str) -> str:
        """Its status, by get."""
        return (await self.one(instance_id))["status"]

    async def rows(self, **query: Any) -> list[Any]:
        """The first page of the list."""
        asked: dict[str, Any] = {"pageSize": 100, "pageNum": 1} | query
        return (await self.get("/gpu/instances", **asked)).json["instances"]

    async def row(self, instance_id: str) -> Any:
        """A machine as the list shows it."""
        return next(row for row in await self.rows() if row["id"] == instance_id)

    def audit(self) -> Any:
        """What exists and what it cost."""
        return self.control.get("audit")
