"""The seams of one process, each operation of which waits for its turn and meets the trouble that is meant for it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from novita_gpu.cloud import simulator as sim
from novita_gpu.cloud.transport import NoAnswer, NotSent, Request, Response, TooLate
from novita_gpu.domain.instance import EndpointHealth, InstanceId, PortMapping
from novita_gpu.domain.limits import Limits
from novita_gpu.domain.spec import HealthCheck
from novita_gpu.store.base import Unavailable
from novita_gpu.store.wire import ANSWER_WITHIN_S, Entry, Script, Wire, Word
from tests.prove.doorbell import Doorbell
from tests.prove.schedule import Hazard, Schedule, Trouble
from tests.prove.turns import Life, Turns

T = TypeVar("T")
# What an exchange with the cloud takes, in simulated seconds.
LATENCY_S = 0.1
# Scripts after which a reader of the feed may find something.
SHARED = "shared"
TELLING = frozenset({"commit", "touch", "append", "add"})


class Scene(Protocol):
    """What the seams of all processes share."""

    turns: Turns
    simulator: sim.Simulator
    elsewhere: sim.Simulator  # another account's cloud
    elsewhere_until: float
    doorbell: Doorbell
    places: dict[str, "Straight"]  # every store by its address
    told: int  # how often something was written that the feed tells of
    mortal: set[str]  # keys that end by themselves
    aged_to: float  # until when they have aged
    out: dict[str, float]  # until when a seam fails
    limits: Limits
    schedule: Schedule

    def now(self) -> float: ...
    def is_cut(self) -> bool: ...
    async def written(self, instance: str, place: str) -> None: ...


class Gate:
    """The way of one process's operations to one seam."""

    def __init__(self, scene: Scene, life: Life, seam: str) -> None:
        self.scene, self.life, self.seam = scene, life, seam

    async def take(self, name: str) -> Hazard | None:
        hazard = await self.scene.turns.take(self.life, self.seam, name)
        if hazard and hazard.trouble is Trouble.OUT:
            self.scene.out[self.seam] = self.scene.now() + hazard.seconds
        return hazard

    @property
    def is_out(self) -> bool:
        return self.scene.now() < self.scene.out.get(self.seam, 0.0)

    async def pause(self, seconds: float, name: str) -> None:
        if seconds > 0:
            await self.scene.turns.take(self.life, "clock", name, at=self.scene.now() + seconds)


# Commands that read or write what ends by itself.
MINDFUL = frozenset({"claim", "keep", "release", "commit", "GET"})
AGE = """
for _, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  if left > 0 then redis.call('PEXPIRE', key, math.max(0, left - ARGV[1])) end
end
"""


class Straight:
    """A client that waits for each answer in place: one command is under way at a time, so nobody waits in vain.

    redis-py's own connection without its pool and retries, which cost more than the server does.
    """

    def __init__(self, path: str, database: int = 0) -> None:
        self._redis = Redis(unix_socket_path=path, db=database, protocol=2)
        pool: Any = self._redis.connection_pool
        self._connection = pool.get_connection()
        self._shapes = cast("dict[Word, Callable[[Any], Any]]", self._redis.response_callbacks)

    async def execute_command(self, *words: Word) -> Any:
        return self.ask(*words)

    def ask(self, *words: Word) -> Any:
        self._connection.send_command(*words)
        answer = self._connection.read_response()
        shape = self._shapes.get(words[0])
        return shape(answer) if shape else answer

    def age(self, keys: Sequence[str], seconds: float) -> None:
        """Lets so much time pass for these keys: the server's clock does not follow the one turned by hand."""
        self.ask("EVAL", AGE, len(keys), *keys, round(seconds * 1000))

    def close(self) -> None:
        self._redis.connection_pool.release(self._connection)
        self._redis.close()


def straight_wire(straight: Straight) -> Wire:
    """The store's wire on it."""
    return Wire(cast("AsyncRedis", straight))


class StoreSeam(Wire):
    """Every command to the store. The connection is everybody's: no command is under way when a process dies.

    `line`: it is the one that may be cut from the shared store.
    """

    turns: int

    def __init__(self, gate: Gate, place: str = SHARED, *, line: bool = False) -> None:
        super().__init__(cast("AsyncRedis", gate.scene.places[place]))
        self._gate, self._place, self._line = gate, place, line

    async def close(self) -> None: ...

    async def turn_to(self, url: str) -> None:
        straight = cast("AsyncRedis", self._gate.scene.places[url])
        self._at(straight, straight)
        self._place = url
        self.turns += 1
        self.let_go()

    async def wait_for_entries(self, key: str, after: int, limit: int, block_ms: int) -> list[Entry]:
        scene, known, turns = self._gate.scene, self._gate.scene.told, self.turns
        until = scene.now() + block_ms / 1000
        await scene.turns.take(self._gate.life, "clock", "feed", at=until, when=lambda: scene.told > known)
        if turns != self.turns:
            raise Unavailable("it was turned to another server")
        return await self.entries(key, after, limit)

    async def _send(self, *words: Word, within_s: float = ANSWER_WITHIN_S) -> Any:
        if "PX" in words:
            self._gate.scene.mortal.add(str(words[1]))
        return await self._met(str(words[0]), lambda: super(StoreSeam, self)._send(*words, within_s=within_s))

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        name = script.name
        if name == "claim":
            self._gate.scene.mortal.add(keys[0])

        async def effect() -> Any:
            answer = await super(StoreSeam, self)._run(script, keys, args)
            if name in TELLING:
                self._gate.scene.told += 1
            if name == "commit" and answer[0] == b"done":
                await self._gate.scene.written(str(args[2]), self._place)
            return answer

        return await self._met(name, effect)

    async def _met(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        if not self._open.is_set():
            await self._held(name)
        turns, hazard = self.turns, await self._gate.take(name)
        trouble = hazard and hazard.trouble
        is_cut = self._line and self._place == SHARED and self._gate.scene.is_cut()
        if trouble is Trouble.LOST or self._gate.is_out or is_cut or turns != self.turns:
            self._on_fault()
            raise Unavailable("no answer")
        if name in MINDFUL:
            self._age()
        with self._gate.scene.turns.effect():
            answer = await effect()
        if trouble is Trouble.UNHEARD:
            self._on_fault()
            raise Unavailable("no answer")
        if hazard and trouble is Trouble.LATE:
            await self._gate.pause(hazard.seconds, f"{name} answered")
        if trouble is Trouble.TWICE:
            await self._gate.take(f"{name} again")
            with self._gate.scene.turns.effect():
                return await effect()
        return answer

    async def _held(self, name: str) -> None:
        """As `Wire.hold` says: as long as it would wait for its answer."""
        scene = self._gate.scene
        ends = scene.now() + ANSWER_WITHIN_S
        await scene.turns.take(self._gate.life, "clock", f"{name} held", at=ends, when=self._open.is_set)
        if not self._open.is_set():
            raise Unavailable("no answer in time")

    def _age(self) -> None:
        scene = self._gate.scene
        if scene.mortal and scene.now() > scene.aged_to:
            for straight in scene.places.values():
                straight.age(sorted(scene.mortal), scene.now() - scene.aged_to)
        scene.aged_to = scene.now()


class CloudSeam:
    """Every request to the cloud. A `cloud.transport.Transport`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @property
    def _simulator(self) -> sim.Simulator:
        scene = self._gate.scene
        return scene.elsewhere if scene.now() < scene.elsewhere_until else scene.simulator

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        path = urlsplit(request.url).path
        name = path.rpartition("/")[2]
        hazard = await self._gate.take(name)
        if request.wanted is not None and not request.wanted():
            raise TooLate("its time was over")
        if self._gate.is_out:
            await self._gate.pause(LATENCY_S, f"{name} answered")
            raise NotSent("out")
        trouble = hazard.trouble if hazard else None
        seconds = hazard.seconds if hazard else 0.0
        answer = await self._met(request, path, trouble, seconds)
        wait = seconds if trouble is Trouble.LATE else LATENCY_S
        if answer is None or wait >= deadline_seconds:
            await self._gate.pause(deadline_seconds, f"{name} given up")
            raise NoAnswer("cut")
        await self._gate.pause(wait, f"{name} answered")
        return answer

    async def _met(self, request: Request, path: str, trouble: Trouble | None, seconds: float) -> Response | None:
        """What comes back of it; None: nothing ever."""
        control = self._simulator.control
        match trouble:
            case Trouble.LOST:
                return None
            case Trouble.FAILED:
                return Response(status=500, body=b'{"code":500,"message":"internal error"}')
            case Trouble.BUSY:
                return Response(status=429, headers={"retry-after": "2"}, body=b"{}")
            case Trouble.FULL:
                control.post("faults", kind="insufficient")
            case Trouble.LATER:
                control.post("faults", kind="late", seconds=seconds)
            case Trouble.STALE:
                control.post("listing", staleSeconds=seconds)
            case Trouble.TWICE:
                await self._sent(request, path)
            case _:
                pass
        answer = await self._sent(request, path)
        match trouble:
            case Trouble.UNHEARD:
                return None
            case Trouble.SPOILED:
                return Response(status=500, body=b'{"code":500,"message":"internal error"}')
            case Trouble.PAGE:
                return Response(status=200, headers={"content-type": "text/html"}, body=b"<!DOCTYPE html><html></html>")
            case Trouble.SHORT if answer:
                return _short(answer)
            case _:
                return answer

    async def _sent(self, request: Request, path: str) -> Response | None:
        query, headers, body = dict(request.query), dict(request.headers), request.body or b""
        try:
            answer = await self._simulator.handle(request.method, path, query, headers, body)
        except (sim.ConnectionCut, sim.NoAnswer):
            return None
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status, headers=told, body=answer.body)

    async def close(self) -> None: ...


def _short(answer: Response) -> Response:
    """The listing without its last row, its total as it was."""
    fields = msgspec.json.decode(answer.body, type=dict[str, Any]) if answer.status == 200 else {}
    rows = fields.get("instances")
    if not rows:
        return answer
    return Response(status=200, headers=answer.headers, body=msgspec.json.encode({**fields, "instances": rows[:-1]}))


class DoorSeam:
    """Asks the simulated doors. A `control.probe.Prober`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def probe(self, targets: Sequence[PortMapping], check: HealthCheck) -> list[EndpointHealth]:
        hazard = await self._gate.take("probe")
        return [self._one(target, sick=hazard is not None and hazard.trouble is Trouble.SICK) for target in targets]

    def _one(self, target: PortMapping, *, sick: bool) -> EndpointHealth:
        reply: Any = self._gate.scene.simulator.control.get("probe", endpoint=target.endpoint)
        accepts = bool(reply["accepts"]) and not sick
        healthy = accepts and (target.type != "http" or (reply["status"] or 500) < 500)
        return EndpointHealth(port=target.port, endpoint=target.endpoint, healthy=healthy, status_code=reply["status"])


class BellSeam:
    """Rings of one process. A `control.bell.Bell`. `at`: the doorbell where its work is now, None: nobody hears it."""

    def __init__(self, gate: Gate, at: Callable[[], Doorbell | None]) -> None:
        self._gate, self._doorbell = gate, at

    async def ring(self, instance: InstanceId) -> None:
        await self._met("ring", lambda doorbell: doorbell.ring(instance))

    async def alarm(self, instance: InstanceId, at: datetime) -> None:
        await self._met("alarm", lambda doorbell: doorbell.alarm(instance, at.timestamp()))

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None:
        def ring(doorbell: Doorbell) -> None:
            for instance, at in times.items():
                doorbell.alarm(instance, at.timestamp(), anew=anew)

        await self._met("alarms", ring)

    async def look(self, at: datetime) -> None:
        await self._met("look for", lambda doorbell: doorbell.look(at.timestamp()))

    async def outbox(self) -> None: ...

    async def _met(self, name: str, ring: Callable[[Doorbell], None]) -> None:
        """A ring never fails; one that is lost is heard by nobody."""
        hazard, doorbell = await self._gate.take(name), self._doorbell()
        trouble = hazard and hazard.trouble
        if self._gate.is_out or trouble is Trouble.LOST or doorbell is None:
            return
        if hazard and trouble in {Trouble.LATE, Trouble.TWICE}:
            doorbell.later(hazard.seconds, lambda: ring(doorbell))
        if trouble is not Trouble.LATE:
            ring(doorbell)
