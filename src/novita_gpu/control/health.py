"""Real checks with deadlines, made in the background; requests read the last result."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from novita_gpu.contract import (
    AutoStopHealth,
    DependencyView,
    HealthView,
    RedisView,
    ServicesView,
    SyncFoundView,
    SyncView,
    UpstreamView,
    time_text,
)
from novita_gpu.contract.health import Verdict
from novita_gpu.control.idle_check import FACT as CHECK
from novita_gpu.control.idle_check import LATE, IdleCheck, LastCheck, check_of, late_by
from novita_gpu.control.launch import HELD_FACT
from novita_gpu.control.ledger import ORPHANS, known_of
from novita_gpu.control.sync_log import FACT as SYNC
from novita_gpu.control.sync_log import LOCK, Synced, SyncState, state_of
from novita_gpu.domain.instance import Record, bills_in_vain
from novita_gpu.domain.look import SweepMark
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError
from novita_gpu.store.pace import LOCAL

DEADLINE = timedelta(seconds=3)
# Of what bills in vain so many are named.
NAMED = 5


class Upstream(Protocol):
    """The cloud client's own view of the cloud."""

    @property
    def circuit(self) -> Literal["closed", "open", "half-open"]: ...

    @property
    def retry_after(self) -> timedelta | None: ...


class Away(Protocol):
    """Which of two servers the store is on, since when, and why."""

    @property
    def mode(self) -> Literal["redis", "fallback"]: ...

    @property
    def since(self) -> datetime: ...

    @property
    def reason(self) -> str: ...


class Place(Protocol):
    """Where the store is."""

    @property
    def is_shared(self) -> bool: ...

    @property
    def fallback(self) -> Away | None: ...


class Checks(Value, frozen=True, kw_only=True):
    """What the last round of checks found."""

    at: datetime
    store: str | None = None  # why it is down
    store_ms: float = 0
    mark: SweepMark | None = None
    held: str | None = None  # why the cloud sells us nothing
    orphans: int = 0
    last_check: LastCheck | None = None
    sync: SyncState | None = None
    holder: str | None = None  # of the lock of the comparison with the cloud


class Health:
    def __init__(
        self,
        *,
        store: Store,
        upstream: Upstream,
        place: Place,
        idle_check: IdleCheck,
        version: str,
        now: Callable[[], datetime],
        every: timedelta = LOCAL.health,
    ) -> None:
        self._every = every
        self._store, self._upstream, self._idle_check = store, upstream, idle_check
        self._place = place
        self._version, self._now, self._began = version, now, now()
        self._checks = Checks(at=self._began, store="not checked yet")

    async def watch(self) -> None:
        """Checks for ever."""
        while True:
            await self.check()
            await asyncio.sleep(self._every.total_seconds())

    async def check(self) -> None:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                mark = await self._store.looks.mark()
                held, synced, checked, orphans = await self._store.facts.several(HELD_FACT, SYNC, CHECK, ORPHANS)
                holder = await self._store.facts.holder(LOCK)
        except (StoreError, TimeoutError) as fault:
            self._checks = Checks(at=self._now(), store=str(fault) or "no answer")
            return
        elapsed_ms = round((time.perf_counter() - begun) * 1000, 1)
        self._checks = Checks(
            at=self._now(),
            store_ms=elapsed_ms,
            mark=mark,
            held=held,
            orphans=sum(not one.lookalike for one in known_of(orphans)),
            last_check=check_of(checked),
            sync=state_of(synced),
            holder=holder,
        )

    def view(self, detailed: bool) -> HealthView:
        """The verdicts; with `detailed` also the figures and reasons."""
        checks, now = self._checks, self._now()
        store, _ = self._store_verdict(checks)
        cloud, cloud_why = self._cloud(checks, now)
        auto_stop, auto_stop_why = self._auto_stop(checks, now)
        queue: Verdict = "down" if self._fault(checks) else ("degraded" if self._is_late(checks, now) else "up")
        every = (cloud, queue, auto_stop, store, self._sync(checks, now)[0])
        verdicts = {"degraded" if verdict in {"down", "degraded"} else verdict for verdict in every}
        services = ServicesView(
            novita_api=cloud,
            job_queue=queue,
            cache="up",
            migration_service=queue,
            auto_stop=auto_stop,
            redis=store,
        )
        view = HealthView(
            status="unhealthy" if self._fault(checks) else ("degraded" if "degraded" in verdicts else "healthy"),
            timestamp=time_text(now),
            uptime=round((now - self._began).total_seconds(), 1),
            version=self._version,
            services=services,
        )
        return self._with_figures(view, checks, cloud_why, auto_stop_why) if detailed else view

    def _store_verdict(self, checks: Checks) -> tuple[Verdict, str | None]:
        away, fault = self._away, self._fault(checks)
        if fault:
            return "down", fault
        return ("degraded", f"{away.reason}; a private one goes on") if away else ("up", None)

    def _fault(self, checks: Checks) -> str | None:
        """Why the store is down. What was found before it moved to another server is not true of that one."""
        place = self._place.fallback
        return None if place and place.since > checks.at else checks.store

    @property
    def _away(self) -> Away | None:
        away = self._place.fallback
        return away if away and away.mode == "fallback" else None

    def _redis(self, checks: Checks) -> RedisView:
        place, away = self._place, self._away
        return RedisView(
            configured=place.is_shared,
            connected=not self._fault(checks) and not away,
            mode="fallback" if away else "redis" if place.is_shared else "embedded",
            since=time_text(place.fallback.since) if place.fallback else None,
        )

    def _cloud(self, checks: Checks, now: datetime) -> tuple[Verdict, str | None]:
        if checks.held:
            return "degraded", f"creates are held: {checks.held}"
        if self._upstream.circuit != "closed":
            return "down", f"the circuit is {self._upstream.circuit}"
        if checks.mark is None:
            return "degraded", "no listing yet"
        if checks.mark.fault:
            return "degraded", checks.mark.fault
        return ("degraded", "listings are late") if self._is_late(checks, now) else ("up", None)

    def _auto_stop(self, checks: Checks, now: datetime) -> tuple[Verdict, str | None]:
        """The timer is alive, and what it stops comes to a stop."""
        if checks.store:
            return "down", None
        in_vain = self._in_vain()
        if in_vain:
            names = ", ".join(sorted(record.name for record in in_vain)[:NAMED])
            return "degraded", f"{len(in_vain)} bill on though they are asked to stop again and again: {names}"
        if not self._idle_check.on:
            return "disabled", None
        late = late_by(checks.last_check, now)
        if checks.last_check is None:
            return ("degraded", "no check yet") if now - self._began > LATE else ("up", None)
        return ("degraded", f"the check is {late.total_seconds():.0f} s late") if late > LATE else ("up", None)

    def _sync(self, checks: Checks, now: datetime) -> tuple[Verdict, str | None]:
        """It is made with a listing, so it may be late by one interval of these."""
        state = checks.sync
        if checks.store:
            return "down", None
        if state is None:
            return ("degraded", "no sync yet") if now - self._began > LATE else ("up", None)
        if state.errors:
            return "degraded", state.errors[0].message
        interval = timedelta(seconds=checks.mark.interval_s if checks.mark else 0)
        return ("degraded", "the sync is late") if now > state.next_at + interval + LATE else ("up", None)

    def _in_vain(self) -> list[Record]:
        return [record for record in self._store.view.all() if bills_in_vain(record)]

    def _is_late(self, checks: Checks, now: datetime) -> bool:
        return checks.mark is None or now > checks.mark.next_at + LATE

    def _with_figures(
        self, view: HealthView, checks: Checks, cloud_why: str | None, auto_stop_why: str | None
    ) -> HealthView:
        sync, sync_why = self._sync(checks, self._now())
        mark, retry, last = checks.mark, self._upstream.retry_after, checks.last_check
        dependencies = {
            "novitaApi": DependencyView(
                status=view.services.novita_api,
                last_checked=time_text(mark.ended_at) if mark else None,
                detail=cloud_why,
            ),
            "autoStop": DependencyView(
                status=view.services.auto_stop, last_checked=time_text(last.at) if last else None, detail=auto_stop_why
            ),
            "sync": DependencyView(
                status=sync,
                last_checked=time_text(checks.sync.tried_at) if checks.sync else None,
                detail=sync_why,
            ),
            "store": DependencyView(
                status=view.services.redis,
                response_time_ms=checks.store_ms,
                last_checked=time_text(checks.at),
                detail=self._store_verdict(checks)[1],
            ),
        }
        return HealthView(
            **{name: getattr(view, name) for name in ("status", "timestamp", "uptime", "version", "services")},
            dependencies=dependencies,
            redis=self._redis(checks),
            sync=_sync_view(checks),
            auto_stop=AutoStopHealth(
                last_check_at=time_text(last.at) if last else None,
                next_check_at=time_text(last.next_at) if last else None,
                late_seconds=round(late_by(last, self._now()).total_seconds(), 1),
                stops_in_vain=len(self._in_vain()),
            ),
            upstream=UpstreamView(
                circuit=self._upstream.circuit,
                retry_after_ms=round(retry.total_seconds() * 1000) if retry else None,
            ),
        )


def _sync_view(checks: Checks) -> SyncView:
    state, mark = checks.sync, checks.mark
    last = state.last if state else None
    return SyncView(
        last_sync=time_text(last.at) if last else None,
        is_locked=checks.holder is not None,
        locked_by=checks.holder,
        duration_ms=last.duration_ms if last else None,
        found=_found_view(last) if last else None,
        next_sync=time_text(state.next_at) if state else None,
        errors=state.errors if state else (),
        last_listing=time_text(mark.ended_at) if mark else None,
        orphans=checks.orphans,
    )


def _found_view(last: Synced) -> SyncFoundView:
    return SyncFoundView(**{name: getattr(last, name) for name in SyncFoundView.__struct_fields__})
