"""What answers callers: commands, queries, health, and the application made of them."""

from dataclasses import dataclass
from datetime import timedelta

from litestar import Litestar

from novita_gpu.api.app import WATCHED, build_app
from novita_gpu.api.desk import Parts
from novita_gpu.api.keyring import StoredKeyring
from novita_gpu.control.admission import admin_hash
from novita_gpu.control.commands import Commands
from novita_gpu.control.costs import Costs
from novita_gpu.control.elsewhere import Elsewhere
from novita_gpu.control.explain import Explainer
from novita_gpu.control.inventory import Inventory
from novita_gpu.control.key_book import KeyBook
from novita_gpu.control.order import Orders
from novita_gpu.control.plan import Planner
from novita_gpu.control.recoveries import Recoveries
from novita_gpu.egress import check_resolved, check_url
from novita_gpu.placement import new_id, utc_now
from novita_gpu.policies import defaults_of, idle_policy_of, policy_of, settings_view
from novita_gpu.ui import PAGES
from novita_gpu.webhooks import Outbox, Registry
from novita_gpu.wiring.admission import admission
from novita_gpu.wiring.gauges import Gauges
from novita_gpu.wiring.ground import VERSION, Ground
from novita_gpu.wiring.passes import Passes
from novita_gpu.wiring.secret import new_secret


@dataclass(frozen=True, kw_only=True)
class Service:
    commands: Commands
    app: Litestar
    keyring: StoredKeyring
    admin_key: str | None  # only if it was made just now


async def service(ground: Ground, passes: Passes, gauges: Gauges, *, whole: bool) -> Service:
    """Not `whole`: it says how the process is, and no more."""
    settings = ground.settings
    given = settings.admin_api_key
    key_hash, made = await admin_hash(ground.store.facts, given.get_secret_value() if given else None)
    orders = Orders(ground.catalogue, settings.default_regions, utc_now, ground.limits)
    commands, keyring = _commands(ground, orders), StoredKeyring(key_hash, ground.store.api_keys, utc_now)
    parts = _parts(ground, passes, gauges, orders, commands, keyring)
    app = build_app(parts, PAGES) if whole else build_app(parts, routes=WATCHED)
    return Service(commands=commands, app=app, keyring=keyring, admin_key=made)


def _commands(ground: Ground, orders: Orders) -> Commands:
    return Commands(
        store=ground.store,
        orders=orders,
        journal=ground.journal,
        bell=ground.place.work,
        defaults=defaults_of(ground.settings),
        limits=ground.limits,
        now=utc_now,
        new_id=new_id,
        check_receiver=lambda receiver: check_url(receiver, ground.networks, ground.ports),
        look_soon=ground.settings.moving,
        elsewhere=Elsewhere(ground.cloud, ground.deployment),
    )


def _parts(
    ground: Ground, passes: Passes, gauges: Gauges, orders: Orders, commands: Commands, keyring: StoredKeyring
) -> Parts:
    settings, store, limits = ground.settings, ground.store, ground.limits
    kept_for = timedelta(days=settings.deleted_retention_days)
    costs = Costs(store.view, ground.catalogue, limits, utc_now, kept_for)
    outbox, registry = _webhooks(ground)
    return Parts(
        commands=commands,
        sync=passes.sync,
        inventory=Inventory(ground.catalogue, settings.default_regions),
        planner=Planner(orders, costs, store.view, defaults_of(settings), limits, utc_now),
        costs=costs,
        utilisation=ground.utilisation,
        outbox=outbox,
        registry=registry,
        key_book=KeyBook(store, utc_now, new_id),
        idle_check=passes.idle_check,
        recoveries=_recoveries(ground),
        explainer=Explainer(store, ground.place.listening, policy_of(settings), utc_now),
        store=store,
        cloud=ground.cloud,
        keyring=keyring,
        **admission(settings, store),
        look=ground.look,
        health=gauges.health.view,
        unready=gauges.health.unready,
        figures=ground.figures,
        rates=gauges.rates,
        caches=gauges.caches,
        calls=ground.cloud.meters,
        now=utc_now,
        new_id=new_id,
        version=VERSION,
        idle=idle_policy_of(settings),
        settings=settings_view(settings),
        slow_request=timedelta(milliseconds=settings.slow_request_ms),
    )


def _webhooks(ground: Ground) -> tuple[Outbox, Registry]:
    store = ground.store

    async def check(receiver: str) -> None:
        await check_resolved(receiver, ground.networks, ground.ports)

    outbox = Outbox(
        store=store,
        default_receiver=ground.settings.webhook_url,
        check=check,
        ring=ground.place.work.outbox,
        now=utc_now,
        new_id=new_id,
    )
    return outbox, Registry(endpoints=store.endpoints, check=check, now=utc_now, new_id=new_id, new_secret=new_secret)


def _recoveries(ground: Ground) -> Recoveries:
    return Recoveries(
        store=ground.store,
        cloud=ground.cloud,
        bell=ground.place.work,
        look=ground.look,
        policy=policy_of(ground.settings).recovery,
        default=defaults_of(ground.settings).recovery,
        now=utc_now,
    )
