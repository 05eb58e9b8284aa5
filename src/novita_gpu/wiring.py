"""The only place that builds things from settings: cloud, store, passes and API of one process."""

import os
import secrets
import socket
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import ClientSession
from litestar import Litestar

from novita_gpu.api.app import build_app
from novita_gpu.api.desk import Parts
from novita_gpu.api.keyring import AdminKeyring
from novita_gpu.cloud.base import MUTATION_TIMEOUT
from novita_gpu.cloud.metered import Metered
from novita_gpu.cloud.novita import Novita
from novita_gpu.control.admission import admin_hash, hashed
from novita_gpu.control.adoption import Adoption
from novita_gpu.control.bell import NextLook
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.commands import Commands
from novita_gpu.control.costs import Costs
from novita_gpu.control.elsewhere import Elsewhere
from novita_gpu.control.explain import Explainer
from novita_gpu.control.health import Health
from novita_gpu.control.idle_check import IdleCheck
from novita_gpu.control.image import Imager
from novita_gpu.control.inventory import Inventory
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import Launcher
from novita_gpu.control.listening import Listening
from novita_gpu.control.mutation import Mutator
from novita_gpu.control.order import Orders
from novita_gpu.control.plan import Planner
from novita_gpu.control.probe import NetworkProber
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.recoveries import Recoveries
from novita_gpu.control.safety_net import SafetyNet
from novita_gpu.control.sweep import Sweep
from novita_gpu.control.sync import Sync
from novita_gpu.control.sync_log import SyncLog
from novita_gpu.control.timed_sync import TimedSync
from novita_gpu.domain.ids import deployment_id
from novita_gpu.egress import Networks, check_resolved, check_url, guarded_session
from novita_gpu.placement import Placed, new_id, placed, utc_now
from novita_gpu.policies import defaults_of, idle_policy_of, limits_of, pace_of, policy_of
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.store import Store
from novita_gpu.webhooks import Fan, Outbox, Receivers, Registry, Sender
from novita_gpu.work import Work

log = structlog.get_logger()

VERSION = "0.1.0"
LOOPBACK = "127.0.0.0/8,::1/128"


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Everything of one process, built and connected."""

    settings: Settings
    store: Store
    cloud: Metered
    work: Work
    commands: Commands
    reconciler: Reconciler
    sweep: Sweep
    timed_sync: TimedSync
    listening: Listening
    health: Health
    app: Litestar
    admin_key: str | None  # only if it was made just now
    keep_store: Callable[[], Coroutine[object, object, None]]  # for ever: our own server is started again when it dies


@asynccontextmanager
async def opened(settings: Settings, *, mutation_timeout: timedelta = MUTATION_TIMEOUT) -> AsyncGenerator[Plane]:
    """The plane of one process, without its worker and its listener. Raises `WrongSettings`."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(placed(settings, pace_of(settings)))
        await _bind(place.store, settings)
        plane = await _built(settings, place, stack, mutation_timeout)
        await place.remember()
        yield plane


async def _bind(store: Store, settings: Settings) -> None:
    """A store belongs to one cloud. Records of another would be taken for machines that are gone."""
    root = settings.novita_api_base_url.rstrip("/")
    kept = await store.facts.first("cloud-root", root)
    if kept != root:
        fault = f"this store belongs to {kept}; use another DATA_DIR or REDIS_URL for {root}"
        raise WrongSettings([("NOVITA_API_BASE_URL", fault)])


async def _deployment(store: Store, settings: Settings) -> str:
    """Made at first start; kept in the store and in the data folder, so that either survives the other's loss."""
    path = settings.data_dir / "deployment-id"
    known = settings.deployment_id or (path.read_text().strip() if path.exists() else "")
    kept = await store.facts.first("deployment", known or deployment_id(secrets.token_bytes(8)))
    if settings.deployment_id and kept != settings.deployment_id:
        raise WrongSettings([("DEPLOYMENT_ID", f"this store belongs to deployment {kept}")])
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(kept + "\n")
    return kept


async def _built(settings: Settings, place: Placed, stack: AsyncExitStack, mutation_timeout: timedelta) -> Plane:
    store, work, listening = place.store, place.work, place.listening
    deployment = await _deployment(store, settings)
    key = settings.novita_api_key
    novita = Novita(
        key.get_secret_value() if key else "",
        root=settings.novita_api_base_url,
        calls_per_minute=settings.novita_calls_per_minute,
        mutation_timeout=mutation_timeout,
    )
    stack.push_async_callback(novita.close)
    cloud = Metered(novita)
    default_receiver = settings.webhook_url
    journal = Journal(store, work, new_id, default_receiver, idle_policy_of(settings))
    limits = limits_of(settings)
    catalogue = Catalogue(cloud, store, utc_now, limits.max_price)
    stack.push_async_callback(catalogue.close)
    launcher = Launcher(
        store,
        cloud,
        catalogue,
        journal,
        deployment=deployment,
        limits=limits,
        now=utc_now,
        monotonic=time.monotonic,
        mutation_timeout=mutation_timeout,
    )
    private, ports = Networks.parse(",".join(settings.webhook_allow_private)), frozenset(settings.webhook_ports)
    prober = NetworkProber(Networks.parse(LOOPBACK) if _is_loopback(settings.novita_api_base_url) else Networks())
    stack.push_async_callback(prober.close)
    reconciler = Reconciler(
        store=store,
        cloud=cloud,
        launcher=launcher,
        mutator=Mutator(
            store, cloud, journal, limits=limits, now=utc_now, new_id=new_id, mutation_timeout=mutation_timeout
        ),
        imager=Imager(cloud, journal, now=utc_now, mutation_timeout=mutation_timeout),
        prober=prober,
        journal=journal,
        listening=listening,
        bell=work,
        policy=policy_of(settings),
        moving=settings.moving,
        now=utc_now,
    )
    sweep = Sweep(
        store=store,
        cloud=cloud,
        bell=work,
        deployment=deployment,
        account=hashed(key.get_secret_value() if key else ""),
        moving=settings.moving,
        resting=settings.resting,
        spot=timedelta(seconds=settings.poll_spot_seconds),
        stretch=novita.budget.looking_interval,
        now=utc_now,
        new_id=new_id,
        policy=policy_of(settings),
    )
    sync_log = SyncLog(store, timedelta(minutes=settings.sync_interval_minutes), utc_now)
    sync = Sync(
        store=store,
        cloud=cloud,
        sweep=sweep,
        sync_log=sync_log,
        adoption=Adoption(store, cloud, catalogue, journal, deployment=deployment, now=utc_now, new_id=new_id),
        bell=work,
        policy=policy_of(settings),
        deployment=deployment,
        look_soon=settings.moving,
        now=utc_now,
    )
    timed_sync = TimedSync(
        store=store,
        sync=sync,
        sweep=sweep,
        sync_log=sync_log,
        bell=work,
        owner=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
        moving=settings.moving,
        now=utc_now,
    )
    sender = await _sender(settings, store, lambda: guarded_session(private, ports=ports))
    stack.push_async_callback(sender.aclose)

    fan = Fan(store)

    async def drain() -> datetime | None:
        await fan.spread()
        return await sender.drain(utc_now())

    async def listed(asked: bool) -> NextLook | None:
        return await timed_sync.look(asked=asked)

    async def trim() -> None:
        await store.trim(utc_now() - timedelta(days=settings.event_retention_days))

    check_every = timedelta(minutes=settings.auto_stop_check_minutes)
    idle_check = IdleCheck(
        store=store,
        bell=work,
        listening=listening,
        policy=idle_policy_of(settings),
        every=check_every,
        threshold=timedelta(minutes=settings.auto_stop_idle_minutes),
        now=utc_now,
    )
    work.register(
        reconcile=reconciler.reconcile,
        sweep=listed,
        drain=drain,
        trim=trim,
        safety_net=SafetyNet(store, work, utc_now).check,
        begun=timed_sync.ask,
        idle_check=idle_check.run,
        idle_check_every=check_every,
    )
    orders = Orders(catalogue, settings.default_regions, utc_now, limits)
    commands = Commands(
        store=store,
        orders=orders,
        journal=journal,
        bell=work,
        defaults=defaults_of(settings),
        limits=limits,
        now=utc_now,
        new_id=new_id,
        check_receiver=lambda receiver: check_url(receiver, private, ports),
        look_soon=settings.moving,
        elsewhere=Elsewhere(cloud, deployment),
    )
    costs = Costs(store.view, catalogue, limits, utc_now, timedelta(days=settings.deleted_retention_days))
    health = Health(
        store=store,
        upstream=novita,
        place=place,
        idle_check=idle_check,
        version=VERSION,
        now=utc_now,
        every=pace_of(settings).health,
    )
    given = settings.admin_api_key
    key_hash, made = await admin_hash(store.facts, given.get_secret_value() if given else None)

    async def check(receiver: str) -> None:
        await check_resolved(receiver, private, ports)

    async def look() -> None:
        await work.look(utc_now())

    app = build_app(
        Parts(
            commands=commands,
            sync=sync,
            inventory=Inventory(catalogue, settings.default_regions),
            planner=Planner(orders, costs, store.view, defaults_of(settings), limits, utc_now),
            costs=costs,
            outbox=_outbox(settings, store, work, check),
            registry=Registry(
                endpoints=store.endpoints, check=check, now=utc_now, new_id=new_id, new_secret=new_secret
            ),
            idle_check=idle_check,
            recoveries=Recoveries(
                store=store,
                cloud=cloud,
                bell=work,
                look=look,
                policy=policy_of(settings).recovery,
                default=defaults_of(settings).recovery,
                now=utc_now,
            ),
            explainer=Explainer(store, listening, policy_of(settings), utc_now),
            store=store,
            cloud=cloud,
            keyring=AdminKeyring(key_hash),
            look=look,
            health=health.view,
            now=utc_now,
            new_id=new_id,
            version=VERSION,
            idle=idle_policy_of(settings),
        )
    )
    return Plane(
        settings=settings,
        store=store,
        cloud=cloud,
        work=work,
        commands=commands,
        reconciler=reconciler,
        sweep=sweep,
        timed_sync=timed_sync,
        listening=listening,
        health=health,
        app=app,
        admin_key=made,
        keep_store=place.keep,
    )


async def _sender(settings: Settings, store: Store, session: Callable[[], ClientSession]) -> Sender:
    default = await _webhook_secret(settings, store)
    before = settings.webhook_secret_before
    return Sender(
        store.deliveries,
        lambda delivery: store.events.event(delivery.sequence),
        Receivers(store.endpoints, (default, before.get_secret_value()) if before else (default,), utc_now, new_id),
        session,
        utc_now,
        lambda: secrets.randbelow(1000) / 1000,
    )


def _outbox(settings: Settings, store: Store, work: Work, check: Callable[[str], Awaitable[None]]) -> Outbox:
    return Outbox(
        store=store,
        default_receiver=settings.webhook_url,
        check=check,
        ring=work.outbox,
        now=utc_now,
        new_id=new_id,
    )


def new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


async def _webhook_secret(settings: Settings, store: Store) -> str:
    """The operator's, else one made at first start: receivers find it in the data folder."""
    if settings.webhook_secret:
        return settings.webhook_secret.get_secret_value()
    secret = await store.facts.first("webhook-secret", new_secret())
    keep_secret(settings.data_dir / "webhook-secret", secret)
    return secret


def keep_secret(path: Path, secret: str) -> None:
    """In a file that only we can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")


def _is_loopback(root: str) -> bool:
    host = urlsplit(root).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
