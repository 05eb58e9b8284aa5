"""What a worker does: passes, looks at the cloud, the check for idle instances, deliveries."""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from novita_gpu.control.admission import hashed
from novita_gpu.control.adoption import Adoption
from novita_gpu.control.bell import NextLook
from novita_gpu.control.idle_check import IdleCheck
from novita_gpu.control.image import Imager
from novita_gpu.control.launch import Launcher
from novita_gpu.control.mutation import Mutator
from novita_gpu.control.probe import NetworkProber
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.safety_net import SafetyNet
from novita_gpu.control.sweep import Sweep
from novita_gpu.control.sync import Sync
from novita_gpu.control.sync_log import SyncLog
from novita_gpu.control.timed_sync import TimedSync
from novita_gpu.egress import guarded_session
from novita_gpu.placement import new_id, utc_now
from novita_gpu.policies import idle_policy_of, policy_of
from novita_gpu.webhooks import Fan, Receivers, Sender
from novita_gpu.wiring.ground import Ground, api_key
from novita_gpu.wiring.secret import webhook_secret


@dataclass(frozen=True, kw_only=True)
class Passes:
    reconciler: Reconciler
    sweep: Sweep
    sync: Sync
    timed_sync: TimedSync
    idle_check: IdleCheck


async def passes(ground: Ground, stack: AsyncExitStack) -> Passes:
    """All of them, known to the worker; they run where the worker does."""
    sweep = _sweep(ground)
    sync_log = SyncLog(ground.store, timedelta(minutes=ground.settings.sync_interval_minutes), utc_now)
    sync = _sync(ground, sweep, sync_log)
    made = Passes(
        reconciler=_reconciler(ground, stack),
        sweep=sweep,
        sync=sync,
        timed_sync=_timed_sync(ground, sync, sweep, sync_log),
        idle_check=_idle_check(ground),
    )
    _register(ground, made, await _drain(ground, stack))
    return made


def _register(ground: Ground, made: Passes, drain: Callable[[], Awaitable[datetime | None]]) -> None:
    async def listed(asked: bool) -> NextLook | None:
        return await made.timed_sync.look(asked=asked)

    async def trim() -> None:
        await ground.store.trim(utc_now() - timedelta(days=ground.settings.event_retention_days))

    ground.place.work.register(
        reconcile=made.reconciler.reconcile,
        sweep=listed,
        drain=drain,
        trim=trim,
        safety_net=SafetyNet(ground.store, ground.place.work, utc_now).check,
        begun=made.timed_sync.ask,
        idle_check=made.idle_check.run,
        idle_check_every=_check_every(ground),
        worked=ground.figures.worked,
    )


def _reconciler(ground: Ground, stack: AsyncExitStack) -> Reconciler:
    prober = NetworkProber(ground.probed)
    stack.push_async_callback(prober.close)
    store, cloud, journal, timeout = ground.store, ground.cloud, ground.journal, ground.mutation_timeout
    return Reconciler(
        store=store,
        cloud=cloud,
        launcher=Launcher(
            store,
            cloud,
            ground.catalogue,
            journal,
            deployment=ground.deployment,
            limits=ground.limits,
            now=utc_now,
            monotonic=time.monotonic,
            mutation_timeout=timeout,
        ),
        mutator=Mutator(
            store, cloud, journal, limits=ground.limits, now=utc_now, new_id=new_id, mutation_timeout=timeout
        ),
        imager=Imager(cloud, journal, now=utc_now, mutation_timeout=timeout),
        prober=prober,
        journal=journal,
        listening=ground.place.listening,
        bell=ground.place.work,
        policy=policy_of(ground.settings),
        moving=ground.settings.moving,
        now=utc_now,
        decided=ground.figures.decided,
    )


def _sweep(ground: Ground) -> Sweep:
    settings = ground.settings
    return Sweep(
        store=ground.store,
        cloud=ground.cloud,
        bell=ground.place.work,
        deployment=ground.deployment,
        account=hashed(api_key(settings)),
        moving=settings.moving,
        resting=settings.resting,
        spot=timedelta(seconds=settings.poll_spot_seconds),
        stretch=ground.novita.budget.looking_interval,
        now=utc_now,
        new_id=new_id,
        policy=policy_of(settings),
    )


def _sync(ground: Ground, sweep: Sweep, sync_log: SyncLog) -> Sync:
    store, cloud = ground.store, ground.cloud
    return Sync(
        store=store,
        cloud=cloud,
        sweep=sweep,
        sync_log=sync_log,
        adoption=Adoption(
            store, cloud, ground.catalogue, ground.journal, deployment=ground.deployment, now=utc_now, new_id=new_id
        ),
        bell=ground.place.work,
        policy=policy_of(ground.settings),
        deployment=ground.deployment,
        look_soon=ground.settings.moving,
        now=utc_now,
    )


def _timed_sync(ground: Ground, sync: Sync, sweep: Sweep, sync_log: SyncLog) -> TimedSync:
    return TimedSync(
        store=ground.store,
        sync=sync,
        sweep=sweep,
        sync_log=sync_log,
        bell=ground.place.work,
        owner=ground.process,
        moving=ground.settings.moving,
        now=utc_now,
    )


def _idle_check(ground: Ground) -> IdleCheck:
    settings = ground.settings
    return IdleCheck(
        store=ground.store,
        bell=ground.place.work,
        listening=ground.place.listening,
        policy=idle_policy_of(settings),
        every=_check_every(ground),
        threshold=timedelta(minutes=settings.auto_stop_idle_minutes),
        now=utc_now,
    )


def _check_every(ground: Ground) -> timedelta:
    return timedelta(minutes=ground.settings.auto_stop_check_minutes)


async def _drain(ground: Ground, stack: AsyncExitStack) -> Callable[[], Awaitable[datetime | None]]:
    """One round of deliveries: what registered endpoints are owed, then whatever is due."""
    sender, fan = await _sender(ground), Fan(ground.store)
    stack.push_async_callback(sender.aclose)

    async def drain() -> datetime | None:
        await fan.spread()
        return await sender.drain(utc_now())

    return drain


async def _sender(ground: Ground) -> Sender:
    settings, store = ground.settings, ground.store
    before = settings.webhook_secret_before
    signs = (await webhook_secret(settings, store), *((before.get_secret_value(),) if before else ()))
    return Sender(
        store.deliveries,
        lambda delivery: store.events.event(delivery.sequence),
        Receivers(store.endpoints, signs, utc_now, new_id),
        lambda: guarded_session(ground.networks, ports=ground.ports),
        utc_now,
        lambda: secrets.randbelow(1000) / 1000,
        sent=ground.figures.sent,
    )
