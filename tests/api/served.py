"""A whole API on a loopback port, with hands on what stands behind it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import Any

import aiohttp
import msgspec
import uvicorn
from litestar import Litestar
from msgspec.structs import replace
from redis.asyncio import Redis

from novita_gpu.api.app import build_app
from novita_gpu.api.cors import Cors
from novita_gpu.api.desk import Desk, Opening, Parts
from novita_gpu.api.keyring import StoredKeyring
from novita_gpu.api.limiter import Limiter
from novita_gpu.api.operation import Principal, Scope
from novita_gpu.api.origin import Proxies
from novita_gpu.api.pages import Pages
from novita_gpu.api.protocol import BoundedHttp
from novita_gpu.cloud.metered import Metered
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.simulator import SimulatorSettings
from novita_gpu.cloud.simulator.app import Running, running
from novita_gpu.contract import HealthView, ServicesView, time_text
from novita_gpu.control.admission import hashed
from novita_gpu.control.adoption import Adoption
from novita_gpu.control.caches import Caches
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.commands import Commands, Defaults
from novita_gpu.control.costs import Costs
from novita_gpu.control.explain import Explainer
from novita_gpu.control.idle_check import IdleCheck
from novita_gpu.control.inventory import Inventory
from novita_gpu.control.journal import Journal
from novita_gpu.control.key_book import KeyBook
from novita_gpu.control.listening import Listening
from novita_gpu.control.order import Orders
from novita_gpu.control.plan import Planner
from novita_gpu.control.rates import Rates
from novita_gpu.control.recoveries import Recoveries
from novita_gpu.control.sweep import Sweep
from novita_gpu.control.sync import Sync
from novita_gpu.control.sync_log import SyncLog
from novita_gpu.control.utilisation import Utilisation
from novita_gpu.domain.case import Policy
from novita_gpu.domain.errors import Refused
from novita_gpu.domain.events import Cause
from novita_gpu.domain.ids import ENTROPY_BYTES, ulid
from novita_gpu.domain.instance import InstanceId, Record
from novita_gpu.domain.limits import UNLIMITED
from novita_gpu.figures import Figures
from novita_gpu.store import Store, open_store
from novita_gpu.webhooks import Outbox, Registry
from tests.webhooks.receiver import SECRET

KEYS = {scope: f"ngpu_{scope}_0123456789abcdef" for scope in Scope}
IMAGE = "docker.io/library/ubuntu:22.04"
LEAST: dict[str, Any] = {"name": "trainer-1", "productName": "RTX 4090 24GB", "imageUrl": IMAGE}


class Ring:
    """Keys known by heart, beside those that were made."""

    def __init__(self, made: StoredKeyring | None = None) -> None:
        self._made = made
        self.revoked: set[Scope] = set()
        self.mark = ""

    async def principal(self, key: str) -> Principal | None:
        scope = next((scope for scope, known in KEYS.items() if known == key), None)
        return self.named(f"key_{scope}") if scope else await self._made.principal(key) if self._made else None

    def named(self, key_id: str) -> Principal | None:
        scope = next((scope for scope in KEYS if key_id == f"key_{scope}"), None)
        if scope is None:
            return self._made.named(key_id) if self._made else None
        if scope in self.revoked:
            return None
        return Principal(id=key_id, name=f"{scope}-key", scopes=frozenset({scope}), mark=self.mark)


@dataclass
class Rung:
    """Hears the bells; nobody comes."""

    instances: list[InstanceId] = field(default_factory=list[InstanceId])
    looks: list[datetime] = field(default_factory=list[datetime])
    outboxes: int = 0
    alarmed: dict[InstanceId, datetime] = field(default_factory=dict[InstanceId, datetime])
    kept: dict[InstanceId, datetime] = field(default_factory=dict[InstanceId, datetime])

    async def ring(self, instance: InstanceId) -> None:
        self.instances.append(instance)

    async def alarm(self, instance: InstanceId, at: datetime) -> None: ...

    async def alarms(self, times: Mapping[InstanceId, datetime], *, anew: bool) -> None:
        (self.alarmed if anew else self.kept).update(times)

    async def look(self, at: datetime) -> None:
        self.looks.append(at)

    async def outbox(self) -> None:
        self.outboxes += 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass(frozen=True, kw_only=True)
class Served:
    root: str
    valkey: str
    store: Store
    simulator: Running
    bell: Rung
    journal: Journal
    app: Litestar
    desk: Desk
    http: aiohttp.ClientSession

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: Scope | str | None = Scope.ADMIN,
        raw: bytes | BytesIO | AsyncIterable[bytes] | None = None,
        **headers: str,
    ) -> Answer:
        """One request. `headers` are spelled with underscores."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            told.setdefault("Authorization", f"Bearer {KEYS.get(key, key)}")  # pyright: ignore[reportArgumentType, reportCallIssue]
        data = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        if data is not None:
            told.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.root + path, data=data, headers=told, allow_redirects=False) as got:
            return Answer(
                status=got.status, headers={k.lower(): v for k, v in got.headers.items()}, body=await got.read()
            )

    async def get(self, path: str, **how: Any) -> Answer:
        return await self.ask("GET", path, **how)

    async def post(self, path: str, body: object = None, **how: Any) -> Answer:
        return await self.ask("POST", path, body, **how)

    async def created(self, name: str = "trainer-1", **more: object) -> Record:
        answer = await self.post("/api/instances", {**LEAST, "name": name, **more})
        assert answer.status == 201, answer.body
        return await self.record(answer.json["instanceId"])

    async def record(self, instance: str) -> Record:
        record = await self.store.records.load(InstanceId(instance))
        assert record
        return record

    async def commands_done(self) -> int:
        """How many commands the store's server has done."""
        redis = Redis.from_url(self.valkey)  # pyright: ignore[reportUnknownMemberType]
        try:
            return int((await redis.info("stats"))["total_commands_processed"])  # pyright: ignore[reportUnknownMemberType]
        finally:
            await redis.aclose()

    async def becomes(self, record: Record, other: Record) -> Record:
        """Commits what a pass would: `other` under the record's id, name and revision."""
        kept = {name: getattr(record, name) for name in ("id", "name", "revision", "created_at", "operation")}
        now = datetime.now(UTC)
        change = self.journal.change(record, replace(other, **kept), Cause(actor="control"), now)
        return await self.journal.write(change)


def health(detailed: bool) -> HealthView:
    services = ServicesView(
        novita_api="up", job_queue="up", cache="up", migration_service="up", auto_stop="up", redis="up"
    )
    view = HealthView(
        status="healthy", timestamp=time_text(datetime.now(UTC)), uptime=1.0, version="test", services=services
    )
    return replace(view, reasons=("store: out",)) if detailed else view


def refuse_private(url: str) -> None:
    if "169.254." in url:
        raise Refused("WEBHOOK_URL_REFUSED", "This address leads into a private network.")


async def resolve_none(url: str) -> None:
    refuse_private(url)


_numbers = count(1)
NO_DEFAULTS = Defaults()


def new_id(prefix: str) -> str:
    return f"{prefix}_{ulid(datetime.now(UTC), next(_numbers).to_bytes(ENTROPY_BYTES, 'big'))}"


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def served(
    valkey: str,
    *,
    defaults: Defaults = NO_DEFAULTS,
    protocol: type[Any] = BoundedHttp,
    pages: Pages | None = None,
    **parts: Any,
) -> AsyncGenerator[Served]:
    """The API for as long as the block runs, with `pages` beside it. `parts` take the place of what it is built of."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running(SimulatorSettings()))
        cloud = Metered(Novita("sim-key", root=simulator.root, calls_per_minute=100_000))
        stack.push_async_callback(cloud.close)
        store = open_store(valkey, prefix=f"t{next(_numbers)}x{time.time_ns()}")
        stack.push_async_callback(store.close)
        await store.view.load()
        await stack.enter_async_context(_task(store.view.follow()))
        bell = Rung()
        journal = Journal(store, bell, new_id, None)
        catalogue = Catalogue(cloud, store, now)
        regions = ("AS-SGP-02", "CN-HK-01", "US-CA-06")
        orders, costs = Orders(catalogue, regions, now), Costs(store.view, catalogue, UNLIMITED, now)
        commands = Commands(
            store=store,
            orders=orders,
            journal=journal,
            bell=bell,
            defaults=defaults,
            now=now,
            new_id=new_id,
            check_receiver=refuse_private,
            look_soon=timedelta(seconds=1),
        )

        policy = Policy()
        sweep = Sweep(
            store=store,
            cloud=cloud,
            bell=bell,
            deployment="dep1",
            account="account",
            moving=timedelta(seconds=1),
            resting=timedelta(seconds=60),
            stretch=lambda _, wanted: wanted,
            now=now,
            new_id=new_id,
            policy=policy,
        )
        sync = Sync(
            store=store,
            cloud=cloud,
            sweep=sweep,
            sync_log=SyncLog(store, timedelta(minutes=30), now),
            adoption=Adoption(store, cloud, catalogue, journal, deployment="dep1", now=now, new_id=new_id),
            bell=bell,
            policy=policy,
            deployment="dep1",
            look_soon=timedelta(seconds=1),
            now=now,
        )

        listening = Listening(store, now)
        await listening.mark()
        idle = defaults.idle
        idle_check = IdleCheck(
            store=store,
            bell=bell,
            listening=listening,
            policy=idle,
            every=timedelta(minutes=5),
            threshold=timedelta(minutes=20),
            now=now,
            answer_within=timedelta(0),
        )

        figures = Figures()
        caches = Caches(store.facts, now)
        for name, cache in catalogue.caches().items():
            caches.add(name, cache)
        utilisation = Utilisation(cloud, now)
        stack.push_async_callback(utilisation.close)
        caches.add("utilisation", utilisation.cache)

        async def look() -> None:
            await bell.look(now())

        built: dict[str, Any] = {
            "commands": commands,
            "sync": sync,
            "inventory": Inventory(catalogue, regions),
            "planner": Planner(orders, costs, store.view, defaults, UNLIMITED, now),
            "costs": costs,
            "utilisation": utilisation,
            "outbox": Outbox(
                store=store, default_receiver=None, check=resolve_none, ring=bell.outbox, now=now, new_id=new_id
            ),
            "registry": Registry(
                endpoints=store.endpoints, check=resolve_none, now=now, new_id=new_id, new_secret=lambda: SECRET
            ),
            "key_book": KeyBook(store, now, new_id),
            "idle_check": idle_check,
            "recoveries": Recoveries(
                store=store,
                cloud=cloud,
                bell=bell,
                look=look,
                policy=policy.recovery,
                default=defaults.recovery,
                now=now,
            ),
            "explainer": Explainer(store, listening, policy, now),
            "idle": idle,
            "store": store,
            "cloud": cloud,
            "keyring": Ring(StoredKeyring(hashed("no key of this test"), store.api_keys, now)),
            "limiter": Limiter(0),
            "proxies": Proxies(),
            "opening": Opening(),
            "cors": Cors(),
            "look": look,
            "health": health,
            "unready": str,
            "figures": figures,
            "rates": Rates(figures),
            "caches": caches,
            "calls": cloud.meters,
            "now": now,
            "new_id": new_id,
            "version": "test",
            **parts,
        }
        app = build_app(Parts(**built), pages)
        root = await stack.enter_async_context(answering(app, protocol))
        http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        yield Served(
            root=root,
            valkey=valkey,
            store=store,
            simulator=simulator,
            bell=bell,
            journal=journal,
            app=app,
            desk=app.state["desk"],
            http=http,
        )


@asynccontextmanager
async def answering(app: Any, http: type[Any] = BoundedHttp) -> AsyncGenerator[str]:
    """The application behind uvicorn, on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            http=http,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            ws="none",
            proxy_headers=False,
        )
    )
    async with _task(server.serve(), gently=lambda: setattr(server, "should_exit", True)):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.001)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _task(work: Awaitable[Any], gently: Callable[[], object] | None = None) -> AsyncGenerator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        if gently:
            gently()
        else:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    """Gives way until it holds; the test's time-out is the deadline."""
    while not holds():  # noqa: ASYNC110 - what is waited for is not ours to signal
        await asyncio.sleep(0.001)
