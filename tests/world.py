"""One service on a clock turned by hand, that can be killed at any await of its store, its cloud or its bell.

Its doorbell lives in its memory, so a kill loses every ring: what goes on afterwards goes on because of what is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from novita_gpu.cloud import simulator as sim
from novita_gpu.cloud.metered import Metered
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, Request, Response, TooLate
from novita_gpu.contract import CreateInstance, StartInstance, WishBody
from novita_gpu.contract.requests import PortRequest
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.commands import Caller, Commands, Defaults
from novita_gpu.control.idle_check import IdleCheck
from novita_gpu.control.image import Imager
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import Launcher
from novita_gpu.control.listening import MARK_EVERY, Listening
from novita_gpu.control.mutation import Mutator
from novita_gpu.control.order import Orders
from novita_gpu.control.outages import Outages
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.sweep import Sweep
from novita_gpu.domain.case import Policy
from novita_gpu.domain.errors import Conflicting
from novita_gpu.domain.events import Event
from novita_gpu.domain.ids import ENTROPY_BYTES, ulid
from novita_gpu.domain.instance import EndpointHealth, InstanceId, PortMapping, Record, Status, status
from novita_gpu.domain.limits import UNLIMITED, Limits
from novita_gpu.domain.spec import AutoStop, HealthCheck
from novita_gpu.store import open_store
from novita_gpu.store.pace import LOCAL
from novita_gpu.store.wire import ANSWER_WITHIN_S, Script, Wire, Word, clients
from tests.prove.replica import store_on

T = TypeVar("T")
NAME = "trainer"
MOVING, RESTING = timedelta(seconds=2), timedelta(seconds=60)
MUTATION_TIMEOUT = timedelta(seconds=5)
CHECK_EVERY = timedelta(minutes=5)
POLICY = Policy(settle=timedelta(seconds=4))
CALLER = Caller(actor="admin")
# Of simulated time. A machine younger than five minutes that nobody saw going is not believed to be gone, so a delete
# whose answer died with the process takes that long.
PATIENCE = timedelta(minutes=8)


def order(name: str = NAME, **more: Any) -> CreateInstance:
    ports = (PortRequest(port=80, type="http"),)
    plain: dict[str, Any] = {"product_name": "RTX 4090 24GB", "image_url": "ubuntu:22.04", "ports": ports}
    return CreateInstance(name=name, **{**plain, **more})


class Killed(BaseException):
    """The process is gone. No handler of ours may catch it."""


async def nothing(_: str) -> None:
    """What an await meets when all is well."""


@dataclass
class Blade:
    """Counts what is awaited and kills before the awaits that it was set to.

    What is in memory dies with the process, so a cut after one await's effect is the cut before the next.
    """

    cuts: frozenset[int] = frozenset()
    names: list[str] = field(default_factory=list[str])
    meets: Callable[[str], Awaitable[object]] = nothing  # told of each await first; may turn the clock, or raise

    async def before(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        number = len(self.names)
        self.names.append(name)
        await self.meets(name)
        if number in self.cuts:
            raise Killed(f"{number}: before {name}, after {self.names[number - 1]}")
        return await effect()


class CutWire(Wire):
    """Every command to the store."""

    def __init__(self, url: str, blade: Blade) -> None:
        super().__init__(*clients(url))
        self._blade = blade

    async def _send(self, *words: Word, within_s: float = ANSWER_WITHIN_S) -> Any:
        return await self._blade.before(str(words[0]), lambda: super(CutWire, self)._send(*words, within_s=within_s))

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        name = script.name
        return await self._blade.before(name, lambda: super(CutWire, self)._run(script, keys, args))


class CutCloud:
    """Every request to the cloud. A `cloud.transport.Transport`."""

    def __init__(self, simulator: sim.Simulator, blade: Blade) -> None:
        self._simulator, self._blade = simulator, blade

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        path = urlsplit(request.url).path
        return await self._blade.before(path.rpartition("/")[2], lambda: self._sent(request, path))

    async def _sent(self, request: Request, path: str) -> Response:
        if request.wanted is not None and not request.wanted():
            raise TooLate("its time was over")
        query, headers, body = dict(request.query), dict(request.headers), request.body or b""
        try:
            answer = await self._simulator.handle(request.method, path, query, headers, body)
        except (sim.ConnectionCut, sim.NoAnswer):
            raise NoAnswer("cut") from None
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status, headers=told, body=answer.body)

    async def close(self) -> None: ...


class Knocking:
    """Asks the simulated doors. A `control.probe.Prober`."""

    def __init__(self, simulator: sim.Simulator) -> None:
        self._simulator = simulator

    async def probe(self, targets: Sequence[PortMapping], check: HealthCheck) -> list[EndpointHealth]:
        return [self._one(target) for target in targets]

    def _one(self, target: PortMapping) -> EndpointHealth:
        reply: Any = self._simulator.control.get("probe", endpoint=target.endpoint)
        healthy = bool(reply["accepts"]) and (target.type != "http" or (reply["status"] or 500) < 500)
        return EndpointHealth(port=target.port, endpoint=target.endpoint, healthy=healthy, status_code=reply["status"])


class Bells:
    """Rings and alarms in memory. A `control.bell.Bell`."""

    def __init__(self, blade: Blade, now: Callable[[], datetime]) -> None:
        self._blade, self._now = blade, now
        self.rung: dict[InstanceId, None] = {}
        self.waking: dict[InstanceId, datetime] = {}
        self.looks: list[datetime] = [now()]  # every process looks when it starts

    async def ring(self, instance: InstanceId) -> None:
        await self._blade.before("ring", lambda: self._done(lambda: self.rung.update({instance: None})))

    async def alarm(self, instance: InstanceId, at: datetime) -> None:
        await self._blade.before("alarm", lambda: self._done(lambda: self.waking.update({instance: at})))

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None:
        after = {**self.waking, **times} if anew else {**times, **self.waking}
        await self._blade.before("alarms", lambda: self._done(lambda: self.waking.update(after)))

    async def look(self, at: datetime) -> None:
        await self._blade.before("look", lambda: self._done(lambda: self.looks.append(at)))

    async def outbox(self) -> None: ...

    async def _done(self, act: Callable[[], object]) -> None:
        act()

    def due(self) -> list[InstanceId]:
        """Takes what is to be passed over now."""
        late = [instance for instance, at in self.waking.items() if at <= self._now()]
        due = list(dict.fromkeys([*self.rung, *late]))
        self.rung.clear()
        for instance in late:
            del self.waking[instance]
        return due


class Process:
    """One life of the service, from its start to its end. `announced` are the looks that listings announced."""

    def __init__(self, world: "World", blade: Blade) -> None:
        now, new_id = world.now, world.new_id
        self._now = now
        self.store = store_on(CutWire(world.url, blade), world.prefix, now, new_id, asyncio.sleep)
        self.cloud = Novita(
            "sim-key",
            transport=CutCloud(world.simulator, blade),
            calls_per_minute=0,
            now=now,
            monotonic=world.simulator.clock.now,
            sleep=world.sleep,
            random=Random(1),  # noqa: S311 - the same pauses at each run
            mutation_timeout=MUTATION_TIMEOUT,
        )
        self.metered = Metered(self.cloud, now=now, monotonic=world.simulator.clock.now)
        self.bells = Bells(blade, now)
        journal = Journal(self.store, self.bells, new_id, None, world.policy.idle)
        catalogue = self.catalogue = Catalogue(self.metered, self.store, now, world.limits.max_price)
        launcher = Launcher(
            self.store,
            self.metered,
            catalogue,
            journal,
            deployment="dep1",
            limits=world.limits,
            now=now,
            monotonic=world.simulator.clock.now,
            mutation_timeout=MUTATION_TIMEOUT,
        )
        self.listening = Listening(self.store, now)
        self.reconciler = Reconciler(
            store=self.store,
            cloud=self.metered,
            launcher=launcher,
            mutator=Mutator(
                self.store,
                self.metered,
                journal,
                limits=world.limits,
                now=now,
                new_id=new_id,
                mutation_timeout=MUTATION_TIMEOUT,
            ),
            imager=Imager(self.metered, journal, now=now, mutation_timeout=MUTATION_TIMEOUT),
            prober=Knocking(world.simulator),
            journal=journal,
            listening=self.listening,
            bell=self.bells,
            policy=world.policy,
            moving=MOVING,
            now=now,
        )
        self.sweep = Sweep(
            store=self.store,
            cloud=self.metered,
            bell=self.bells,
            deployment="dep1",
            account="account",
            moving=MOVING,
            resting=RESTING,
            stretch=lambda _, wanted: wanted,
            now=now,
            new_id=new_id,
        )
        self.commands = Commands(
            store=self.store,
            orders=Orders(catalogue, ("AS-SGP-02", "CN-HK-01"), now, world.limits),
            journal=journal,
            bell=self.bells,
            defaults=Defaults(idle=world.policy.idle),
            limits=world.limits,
            now=now,
            new_id=new_id,
            check_receiver=lambda _: None,
            look_soon=MOVING,
        )
        self.idle_check = IdleCheck(
            store=self.store,
            bell=self.bells,
            listening=self.listening,
            policy=world.policy.idle,
            every=CHECK_EVERY,
            threshold=AutoStop().idle,
            now=now,
            answer_within=timedelta(0),
        )
        self.outages = Outages(self.store, lambda: self.cloud.circuits, owner=new_id("process"), now=now, new_id=new_id)
        self.announced: list[datetime] = []
        self.safety_net = now() + LOCAL.safety_net

    async def end(self) -> None:
        await self.cloud.close()
        await self.store.close()

    async def go_on(self) -> None:
        """What is due now: listings, and passes until none is rung for."""
        if not self.store.view.loaded:
            await self.store.view.load()
        now = self._now()
        asked = [at for at in self.bells.looks if at <= now]
        announced = [at for at in self.announced if at <= now]
        self.bells.looks = [at for at in self.bells.looks if at > now]
        self.announced = [at for at in self.announced if at > now]
        if self.safety_net <= now:
            self.safety_net = now + LOCAL.safety_net
            announced.append(now)
        if asked or announced:
            following = await self.sweep.sweep(asked=bool(asked))
            if following:
                (self.bells.looks if following.asked else self.announced).append(following.at)
        while due := self.bells.due():
            for instance in due:
                await self.reconciler.reconcile(instance)
        await self.outages.check()

    def next_at(self) -> datetime:
        """When something is due. The safety net looks again and again, whatever was lost."""
        times = (*self.bells.looks, *self.bells.waking.values(), *self.announced, self.safety_net)
        return min(at for at in times if at > self._now())


class World:
    """The cloud, the clock and the store's contents outlive every process."""

    def __init__(
        self,
        url: str,
        prefix: str,
        cuts: Iterable[int] = (),
        *,
        policy: Policy = POLICY,
        limits: Limits = UNLIMITED,
    ) -> None:
        self.url, self.prefix, self.policy, self.limits = url, prefix, policy, limits
        timing = sim.Timing(list_lag_s=1.5, removed_listed_s=3.0, service_s=0.5)
        self.simulator = sim.Simulator(sim.SimulatorSettings(timing=timing, rate=0.0))
        self.blade = Blade(frozenset(cuts))
        self._numbers = count(1)
        self.kills: list[str] = []
        self.outside = open_store(url, prefix=prefix, now=self.now)  # where no blade cuts
        self._listening = Listening(self.outside, self.now)
        self._marked_at: datetime | None = None
        self.process = Process(self, self.blade)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.simulator.clock.now(), UTC)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{ulid(self.now(), next(self._numbers).to_bytes(ENTROPY_BYTES, 'big'))}"

    async def sleep(self, seconds: float) -> None:
        self.turn(seconds)

    def turn(self, seconds: float) -> None:
        self.simulator.clock.advance(seconds)
        self.simulator.settle()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.process.end()
        await self.outside.close()

    async def _reborn(self, killed: Killed) -> None:
        self.kills.append(str(killed))
        await self.process.end()
        self.turn(1.0)
        self.process = Process(self, self.blade)

    async def listen(self) -> None:
        """Somebody takes heartbeats now."""
        if self._marked_at is None or self.now() >= self._marked_at + MARK_EVERY:
            self._marked_at = self.now()
            await self._listening.mark()

    async def _surviving(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """The answer; None if the process was killed. A new one stands ready then."""
        try:
            return await act()
        except Killed as killed:
            await self._reborn(killed)
            return None

    async def _wished(self, wish: Callable[[Commands], Awaitable[object]]) -> None:
        """Asking again may find that the first time was heard."""

        async def ask(commands: Commands) -> object:
            try:
                return await wish(commands)
            except Conflicting as heard:
                assert self.kills
                return heard

        await self.asked(ask)

    async def asked(self, wish: Callable[[Commands], Awaitable[object]]) -> None:
        """A person asks, and asks again when the service dies on it."""
        while await self._surviving(lambda: wish(self.process.commands)) is None:
            pass

    async def create(self, **more: Any) -> None:
        await self._wished(lambda commands: commands.create(order(**more), CALLER))

    async def stop(self) -> None:
        await self.asked(lambda commands: commands.stop(NAME, WishBody(), CALLER))

    async def start(self) -> None:
        await self.asked(lambda commands: commands.start(NAME, StartInstance(), CALLER))

    async def restart(self) -> None:
        await self._wished(lambda commands: commands.restart(NAME, WishBody(), CALLER))

    async def delete(self, name: str = NAME) -> None:
        await self.asked(lambda commands: commands.delete(name, WishBody(), CALLER))

    async def until(self, wanted: Status, name: str = NAME) -> Record:
        """The record once its status is as wanted, within `PATIENCE` of simulated time."""
        ends = self.now() + PATIENCE
        while True:
            await self.listen()
            await self._surviving(self.process.go_on)
            record = await self.record(name)
            if status(record) is wanted:
                return record
            assert self.now() < ends, f"still {status(record)} and not {wanted}: {record.reason}; killed {self.kills}"
            self.turn((self.process.next_at() - self.now()).total_seconds())

    async def passes(self, *, minutes: float) -> None:
        """So much simulated time, with all that falls due in it."""
        ends = self.now() + timedelta(minutes=minutes)
        while self.now() < ends:
            await self.listen()
            await self._surviving(self.process.go_on)
            self.turn(max(0.0, (min(self.process.next_at(), ends) - self.now()).total_seconds()))
        await self._surviving(self.process.go_on)

    async def record(self, name: str = NAME) -> Record:
        """As stored, read past the blade."""
        owner = await self.outside.records.id_of_name(name)
        record = await self.outside.records.load(owner) if owner else None
        assert record
        return record

    async def events(self) -> list[Event]:
        return await self.outside.events.read(limit=1000)

    def received(self, op: str) -> list[Any]:
        """The calls of that kind which reached the cloud."""
        told: Any = self.simulator.control.get("calls", op=op)
        return told["calls"]

    def audit(self) -> Any:
        return self.simulator.control.get("audit")
