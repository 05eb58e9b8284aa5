"""Real checks with deadlines, made in the background; requests read the last result."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from novita_gpu.contract import (
    DependencyView,
    HealthView,
    RedisView,
    ServicesView,
    SyncView,
    UpstreamView,
    time_text,
)
from novita_gpu.contract.health import Verdict
from novita_gpu.control.launch import HELD_FACT
from novita_gpu.control.ledger import Ledger
from novita_gpu.domain.look import SweepMark
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import StoreError

EVERY = timedelta(seconds=5)
DEADLINE = timedelta(seconds=3)
# Listings are late by this much before anybody is told.
LATE = timedelta(seconds=30)


class Upstream(Protocol):
    """The cloud client's own view of the cloud."""

    @property
    def circuit(self) -> Literal["closed", "open", "half-open"]: ...

    @property
    def retry_after(self) -> timedelta | None: ...


class Checks(Value, frozen=True, kw_only=True):
    """What the last round of checks found."""

    at: datetime
    store: str | None = None  # why it is down
    store_ms: float = 0
    mark: SweepMark | None = None
    held: str | None = None  # why the cloud sells us nothing
    orphans: int = 0


class Health:
    def __init__(
        self,
        *,
        store: Store,
        upstream: Upstream,
        mode: Literal["redis", "embedded"],
        auto_stop: bool,
        version: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._upstream, self._auto_stop = store, upstream, auto_stop
        self._mode: Literal["redis", "embedded"] = mode
        self._version, self._now, self._began = version, now, now()
        self._checks = Checks(at=self._began, store="not checked yet")
        self._ledger = Ledger(store)

    async def watch(self) -> None:
        """Checks for ever."""
        while True:
            await self.check()
            await asyncio.sleep(EVERY.total_seconds())

    async def check(self) -> None:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                mark = await self._store.looks.mark()
                held = await self._store.facts.fact(HELD_FACT)
                orphans = sum(not one.lookalike for one in await self._ledger.known())
        except (StoreError, TimeoutError) as fault:
            self._checks = Checks(at=self._now(), store=str(fault) or "no answer")
            return
        elapsed_ms = round((time.perf_counter() - begun) * 1000, 1)
        self._checks = Checks(at=self._now(), store_ms=elapsed_ms, mark=mark, held=held, orphans=orphans)

    def view(self, detailed: bool) -> HealthView:
        """The verdicts; with `detailed` also the figures and reasons."""
        checks, now = self._checks, self._now()
        store: Verdict = "down" if checks.store else "up"
        cloud, cloud_why = self._cloud(checks, now)
        queue: Verdict = "down" if checks.store else ("degraded" if self._is_late(checks, now) else "up")
        services = ServicesView(
            novita_api=cloud,
            job_queue=queue,
            cache="up",
            migration_service="disabled",
            auto_stop=queue if self._auto_stop else "disabled",
            redis=store,
        )
        view = HealthView(
            status="unhealthy" if checks.store else ("healthy" if cloud == queue == "up" else "degraded"),
            timestamp=time_text(now),
            uptime=round((now - self._began).total_seconds(), 1),
            version=self._version,
            services=services,
        )
        return self._with_figures(view, checks, cloud, cloud_why) if detailed else view

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

    def _is_late(self, checks: Checks, now: datetime) -> bool:
        return checks.mark is None or now > checks.mark.next_at + LATE

    def _with_figures(self, view: HealthView, checks: Checks, cloud: Verdict, why: str | None) -> HealthView:
        mark, retry = checks.mark, self._upstream.retry_after
        dependencies = {
            "novitaApi": DependencyView(
                status=cloud, last_checked=time_text(mark.ended_at) if mark else None, detail=why
            ),
            "store": DependencyView(
                status="down" if checks.store else "up",
                response_time_ms=checks.store_ms,
                last_checked=time_text(checks.at),
                detail=checks.store,
            ),
        }
        return HealthView(
            **{name: getattr(view, name) for name in ("status", "timestamp", "uptime", "version", "services")},
            dependencies=dependencies,
            redis=RedisView(configured=self._mode == "redis", connected=not checks.store, mode=self._mode),
            sync=SyncView(
                last_sync=time_text(mark.ended_at) if mark else None, is_locked=False, orphans=checks.orphans
            ),
            upstream=UpstreamView(
                circuit=self._upstream.circuit,
                retry_after_ms=round(retry.total_seconds() * 1000) if retry else None,
            ),
        )
