"""A store, a simulated cloud on a clock turned by hand, and passes that are made when a test says so."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.simulator import Clock, SimulatorSettings, Timing, running
from novita_gpu.cloud.simulator.app import Running
from novita_gpu.contract import SyncReport, SyncRequest
from novita_gpu.control.adoption import Adoption
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.commands import Caller
from novita_gpu.control.image import Imager
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import Launcher
from novita_gpu.control.listening import Listening
from novita_gpu.control.mutation import Mutator
from novita_gpu.control.probe import NetworkProber
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.sweep import Sweep
from novita_gpu.control.sync import Sync
from novita_gpu.control.sync_log import SyncLog
from novita_gpu.control.timed_sync import TimedSync
from novita_gpu.domain.case import Policy
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import AttemptState, CloudId, InstanceId, Machine, Record, Seen
from novita_gpu.domain.orphans import OrphanPolicy
from novita_gpu.egress import Networks
from novita_gpu.store import Store
from novita_gpu.store.base import Change
from novita_gpu.wiring import LOOPBACK
from tests.api.served import Rung
from tests.domain.given import OFFER, T0, attempt, stopped

MOVING, RESTING = timedelta(seconds=2), timedelta(seconds=60)
CALLER = Caller(actor="admin")


class Scene:
    def __init__(self, store: Store, simulator: Running) -> None:
        self.store, self.simulator, self.bell = store, simulator, Rung()
        self.now = T0
        self._ids = 0
        self.cloud = Novita(
            "sim-key",
            root=simulator.root,
            calls_per_minute=0,
            now=lambda: self.now,
            monotonic=self._seconds,
            sleep=_at_once,
        )
        self.prober = NetworkProber(Networks.parse(LOOPBACK))
        self.catalogue = Catalogue(self.cloud, store, lambda: self.now)
        self.journal = Journal(store, self.bell, self.new_id, None)
        self.policy = Policy()
        self.sync_log = SyncLog(store, timedelta(minutes=30), lambda: self.now)
        self.sweep = self.with_key("key-1")

    def with_key(self, account: str) -> Sweep:
        return Sweep(
            store=self.store,
            cloud=self.cloud,
            bell=self.bell,
            deployment="dep1",
            account=account,
            moving=MOVING,
            resting=RESTING,
            stretch=self.cloud.budget.looking_interval,
            now=lambda: self.now,
            new_id=self.new_id,
            policy=self.policy,
        )

    def removing(self) -> None:
        """From now on orphans are deleted unasked."""
        self.policy = Policy(orphans=OrphanPolicy(delete=True))
        self.sweep = self.with_key("key-1")

    async def sync(self, *, sweep: Sweep | None = None, **asked: Any) -> SyncReport:
        return await self.by_a_person(sweep).sync(SyncRequest(**asked), CALLER)

    def by_a_person(self, sweep: Sweep | None = None) -> Sync:
        return Sync(
            store=self.store,
            cloud=self.cloud,
            sweep=sweep or self.sweep,
            sync_log=self.sync_log,
            adoption=Adoption(
                self.store,
                self.cloud,
                self.catalogue,
                self.journal,
                deployment="dep1",
                now=lambda: self.now,
                new_id=self.new_id,
            ),
            bell=self.bell,
            policy=self.policy,
            deployment="dep1",
            look_soon=MOVING,
            now=lambda: self.now,
        )

    def timed(self, owner: str = "one") -> TimedSync:
        return TimedSync(
            store=self.store,
            sync=self.by_a_person(),
            sweep=self.sweep,
            sync_log=self.sync_log,
            bell=self.bell,
            owner=owner,
            moving=MOVING,
            now=lambda: self.now,
        )

    async def passes(self) -> None:
        """Over whoever was rung for, until nobody is."""
        reconciler = Reconciler(
            store=self.store,
            cloud=self.cloud,
            launcher=Launcher(
                self.store,
                self.cloud,
                self.catalogue,
                self.journal,
                deployment="dep1",
                now=lambda: self.now,
                monotonic=self._seconds,
            ),
            mutator=Mutator(self.store, self.cloud, self.journal, now=lambda: self.now, new_id=self.new_id),
            imager=Imager(self.cloud, self.journal, now=lambda: self.now),
            prober=self.prober,
            journal=self.journal,
            listening=Listening(self.store, lambda: self.now),
            bell=self.bell,
            policy=self.policy,
            moving=MOVING,
            now=lambda: self.now,
        )
        while self.bell.instances:
            rung, self.bell.instances = dict.fromkeys(self.bell.instances), []
            for instance in rung:
                await reconciler.reconcile(instance)

    def _seconds(self) -> float:
        return self.now.timestamp()

    async def swept(self) -> None:
        """A listing and all that follows from it."""
        await self.sweep.sweep(asked=True)
        await self.passes()

    def turn(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        self.simulator.control.post("clock", advance=seconds)
        return self.now

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_n{self._ids}"

    def machine(self, name: str, marker: str, **more: object) -> CloudId:
        """One that somebody makes in the console."""
        envs = [{"key": "NOVITA_GPU_MARKER", "value": marker}] if marker else []
        order = {"name": name, "productId": "4090.16c62g", "gpuNum": 1, "rootfsSize": 60, "kind": "gpu", "envs": envs}
        made: Any = self.simulator.control.post(
            "console", action="create", body={**order, "imageUrl": "ubuntu", **more}
        )
        return CloudId(made["id"])

    def alive(self) -> dict[str, str]:
        """The machines that there are, by id."""
        audit: Any = self.simulator.control.get("audit")
        return {machine["id"]: machine["status"] for machine in audit["alive"]}

    def calls(self, op: str) -> list[Any]:
        answer: Any = self.simulator.control.get("calls", op=op)
        return answer["calls"]

    def listings(self) -> int:
        return len(self.calls("list"))

    async def keep(self, record: Record) -> Record:
        return await self.store.records.commit(Change(before=None, after=record))

    async def lost(self, number: int, **more: object) -> Record:
        """An instance whose machine the cloud does not list."""
        known, marker = CloudId(f"{number:016x}"), f"dep1/lost{number}/1"
        machine = Machine(id=known, offer=OFFER, attempt=1, adopted_at=T0 - timedelta(seconds=400), ran=True)
        made = attempt(marker=marker, state=AttemptState.ADOPTED, machine=known)
        seen = Seen(at=T0 - timedelta(seconds=60), status="exited")
        record = stopped(id=InstanceId(f"ins_lost{number}"), name=f"lost-{number}", machine=machine, attempts=(made,))
        return await self.keep(replace(record, **{"seen": seen, **more}))

    def adopted(self, record: Record, machine: CloudId) -> Record:
        """The record with this machine, adopted long ago."""
        own = Machine(id=machine, offer=OFFER, attempt=1, adopted_at=T0 - timedelta(seconds=3600), ran=True)
        made = attempt(state=AttemptState.ADOPTED, machine=machine)
        return replace(record, machine=own, attempts=(made,))

    async def record(self, instance: str) -> Record:
        record = await self.store.records.load(InstanceId(instance))
        assert record
        return record

    async def events(self) -> list[EventType]:
        return [event.type for event in await self.store.events.read(0, 100)]


async def _at_once(_: float) -> None:
    """A pause between tries costs no time here."""


@asynccontextmanager
async def scene_on(store: Store) -> AsyncGenerator[Scene]:
    settings = SimulatorSettings(timing=Timing.instant(), rate=0)
    async with running(settings, clock=Clock(T0.timestamp())) as simulator:
        it = Scene(store, simulator)
        await store.view.load()
        yield it
        await it.prober.close()
        await it.cloud.close()
