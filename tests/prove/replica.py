"""One life of the service: the real control, cloud client and store, wired on seams that wait for their turn."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from novita_gpu.api.once import first_or_again
from novita_gpu.api.problems import Answered, answered
from novita_gpu.cloud.novita import Novita
from novita_gpu.contract import CreateInstance, Outcome, PatchInstance, StartInstance, WishBody, answer_of
from novita_gpu.contract.requests import AutoStopRequest, PortRequest, RecoveryRequest
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.commands import Caller, Commands, Defaults
from novita_gpu.control.elsewhere import Elsewhere
from novita_gpu.control.image import Imager
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import Launcher
from novita_gpu.control.listening import Listening
from novita_gpu.control.mutation import Mutator
from novita_gpu.control.order import Orders
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.sweep import Sweep
from novita_gpu.domain.case import Policy
from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.recovery import RecoveryPolicy
from novita_gpu.domain.spec import BillingMode
from novita_gpu.store import Store
from novita_gpu.store.api_keys import ApiKeys
from novita_gpu.store.base import Claim
from novita_gpu.store.deliveries import Deliveries
from novita_gpu.store.endpoints import Endpoints
from novita_gpu.store.events import Events
from novita_gpu.store.facts import Facts
from novita_gpu.store.feed import Feed
from novita_gpu.store.idempotency import Claims
from novita_gpu.store.keys import Keys
from novita_gpu.store.looks import Looks
from novita_gpu.store.records import Records
from novita_gpu.store.sessions import Sessions
from novita_gpu.store.view import View
from novita_gpu.store.windows import SharedWindows
from novita_gpu.store.wire import Wire
from tests.prove.apart import Slots, WorkSeam, fallback_on
from tests.prove.doorbell import Job
from tests.prove.schedule import Schedule, Wish
from tests.prove.seams import SHARED, BellSeam, CloudSeam, DoorSeam, Gate, Scene, StoreSeam
from tests.prove.turns import Life

DEPLOYMENT = "dep1"
MOVING, RESTING = timedelta(seconds=2), timedelta(seconds=60)
MUTATION_TIMEOUT = timedelta(seconds=5)
POLICY = Policy(
    settle=timedelta(seconds=4),
    launch_timeout=timedelta(minutes=3),
    recovery=RecoveryPolicy(pause=timedelta(minutes=1)),
)
REGIONS = ("AS-SGP-02", "CN-HK-01")
RECEIVER = "https://receiver.example/hook"


class Replica:
    """What one process has in its memory."""

    def __init__(
        self,
        scene: Scene,
        life: Life,
        prefix: str,
        new_id: Callable[[str], str],
        number: int = 0,
        slots: Slots | None = None,
    ) -> None:
        """The `number` stays over its lives. With `slots` it goes on in one of them when it loses the shared store."""

        def now() -> datetime:
            return datetime.fromtimestamp(scene.now(), UTC)

        self.life, self._scene, self._now, self._new_id = life, scene, now, new_id
        self.number = number
        store_gate, cloud_gate = Gate(scene, life, "store"), Gate(scene, life, "cloud")

        def opened(place: str) -> Store:
            wire = StoreSeam(store_gate, place, line=slots is not None)
            return store_on(wire, prefix, now, new_id, lambda seconds: store_gate.pause(seconds, "sleep"))

        self.store = opened(SHARED)
        line = Gate(scene, life, "line")
        self.place = WorkSeam(line, slots)
        facts = {"deployment": DEPLOYMENT}
        self.fallback = (
            fallback_on(line, self.store, slots, self.place, opened, facts, now, new_id, RECEIVER) if slots else None
        )
        self.is_open = slots is None
        self._cloud = Novita(
            "sim-key",
            transport=CloudSeam(cloud_gate),
            calls_per_minute=0,
            now=now,
            monotonic=scene.now,
            sleep=lambda seconds: cloud_gate.pause(seconds, "sleep"),
            random=Random(1),  # noqa: S311 - the same pauses at each run
            mutation_timeout=MUTATION_TIMEOUT,
        )
        bell = BellSeam(Gate(scene, life, "bell"), lambda: self.place.doorbell)
        journal = Journal(self.store, bell, new_id, RECEIVER)
        catalogue = Catalogue(self._cloud, self.store, now)
        limits = scene.limits
        launcher = Launcher(
            self.store,
            self._cloud,
            catalogue,
            journal,
            deployment=DEPLOYMENT,
            limits=limits,
            now=now,
            monotonic=scene.now,
            mutation_timeout=MUTATION_TIMEOUT,
        )
        self._reconciler = Reconciler(
            store=self.store,
            cloud=self._cloud,
            launcher=launcher,
            mutator=Mutator(
                self.store,
                self._cloud,
                journal,
                limits=limits,
                now=now,
                new_id=new_id,
                mutation_timeout=MUTATION_TIMEOUT,
            ),
            imager=Imager(self._cloud, journal, now=now, mutation_timeout=MUTATION_TIMEOUT),
            prober=DoorSeam(Gate(scene, life, "door")),
            journal=journal,
            listening=Listening(self.store, now),
            bell=bell,
            policy=POLICY,
            moving=MOVING,
            now=now,
        )
        self._sweep = Sweep(
            store=self.store,
            cloud=self._cloud,
            bell=bell,
            deployment=DEPLOYMENT,
            account="account",
            moving=MOVING,
            resting=RESTING,
            stretch=lambda _, wanted: wanted,
            now=now,
            new_id=new_id,
        )
        self._commands = Commands(
            store=self.store,
            orders=Orders(catalogue, REGIONS, now, limits),
            journal=journal,
            bell=bell,
            defaults=Defaults(),
            limits=limits,
            now=now,
            new_id=new_id,
            check_receiver=lambda _: None,
            look_soon=MOVING,
            elsewhere=Elsewhere(self._cloud, DEPLOYMENT),
        )

    async def open(self) -> None:
        """As `placement` does it: where the shared store does not answer it begins in a private one."""
        if self.fallback and not await self.fallback.is_there():
            url = await self.fallback.begin_away()
            await self.store.wire.turn_to(url)
            self.place.begins_at(url)
        self.is_open = True

    async def work(self, job: Job) -> None:
        """One job of the doorbell, as `work.Work` does it."""
        if job.asked is None:
            await self._reconciler.reconcile(InstanceId(job.subject))
        else:
            following, doorbell = await self._sweep.sweep(asked=job.asked), self.place.doorbell
            if doorbell:
                doorbell.follow(following)

    async def ask(self, wish: Wish) -> Answered:
        """One request, as the API serves it. What went wrong is an answer too."""
        claim = Claim(key=wish.key, fingerprint=f"{wish.verb} {wish.name}", token=self._new_id("clm"))
        caller = Caller(actor="admin", claim=claim if wish.key else None)

        async def run() -> Answered:
            try:
                return await self._act(wish, caller)
            except Exception as error:
                return self._refused(error)

        if not wish.key:
            return await run()
        try:
            return await first_or_again(self.store.claims, claim, run)
        except Exception as error:
            return self._refused(error)

    def _refused(self, error: Exception) -> Answered:
        return answered(error, request_id="req", now=self._now())

    async def _act(self, wish: Wish, caller: Caller) -> Answered:
        commands, name = self._commands, wish.name
        if wish.verb == "touch":
            _, at = await commands.touch(name, None)
            body = msgspec.json.encode({"at": at.timestamp()})
            return Answered(status=200, body=body, headers={})
        if wish.verb == "patch":
            await commands.patch(name, PatchInstance(webhook_url=f"{RECEIVER}/{int(wish.at)}"), caller)
            return Answered(status=200, body=b"{}", headers={})
        acts: dict[str, Callable[[], Awaitable[Outcome]]] = {
            "create": lambda: commands.create(ordered(name, self._scene.schedule), caller),
            "start": lambda: commands.start(name, StartInstance(), caller),
            "stop": lambda: commands.stop(name, WishBody(), caller),
            "restart": lambda: commands.restart(name, WishBody(), caller),
            "delete": lambda: commands.delete(name, WishBody(), caller),
        }
        outcome = await acts[wish.verb]()
        status, body = answer_of(outcome)
        return Answered(status=status, body=body, headers={}, kept=outcome.kept)


def ordered(name: str, schedule: Schedule) -> CreateInstance:
    minutes, spot = schedule.idle_minutes, schedule.spot
    return CreateInstance(
        name=name,
        product_name="RTX 4090 24GB",
        image_url="ubuntu:22.04",
        ports=(PortRequest(port=80, type="http"),),
        billing_mode=BillingMode.SPOT if spot else BillingMode.ON_DEMAND,
        auto_stop=AutoStopRequest(idle_minutes=minutes) if minutes else None,
        recovery=_recovery(schedule) if spot else None,
    )


def _recovery(schedule: Schedule) -> RecoveryRequest:
    return RecoveryRequest(
        on_reclaim=schedule.spot or None, save_image=schedule.image, image_repository="registry.example.com/team/saved"
    )


def store_on(
    wire: Wire,
    prefix: str,
    now: Callable[[], datetime],
    new_id: Callable[[str], str],
    pause: Callable[[float], Awaitable[None]],
) -> Store:
    """The store in one piece, on a given wire."""
    keys = Keys(prefix)
    records, feed, facts = Records(wire, keys, lambda: new_id("cmt")), Feed(wire, keys), Facts(wire, keys)
    api_keys = ApiKeys(wire, keys)
    return Store(
        keys=keys,
        wire=wire,
        records=records,
        events=Events(wire, keys),
        deliveries=Deliveries(wire, keys),
        endpoints=Endpoints(wire, keys),
        api_keys=api_keys,
        windows=SharedWindows(wire, keys),
        claims=Claims(wire, keys),
        sessions=Sessions(wire, keys),
        facts=facts,
        looks=Looks(wire, keys),
        feed=feed,
        view=View(records, feed, facts, api_keys, now=now, monotonic=lambda: now().timestamp(), pause=pause),
    )
