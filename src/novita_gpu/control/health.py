"""Real checks with deadlines, made in the background; requests read the last result."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.circuit import KINDS, Condition
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
from novita_gpu.contract.health import CircuitView, QueueHealth, Verdict
from novita_gpu.control.caches import Caches
from novita_gpu.control.idle_check import IdleCheck, late_by, next_check
from novita_gpu.control.outages import Outages
from novita_gpu.control.rates import Rates
from novita_gpu.control.signs import SELDOM, Away, Calls, Place, Reading, Signs, Upstream, Waiting
from novita_gpu.control.sync_log import Synced
from novita_gpu.control.verdicts import LATE, Facts, Finding, judged, worst
from novita_gpu.domain.instance import bills_in_vain
from novita_gpu.store.base import StoreError
from novita_gpu.store.pace import LOCAL
from novita_gpu.store.view import View

log = structlog.get_logger()

DEADLINE = timedelta(seconds=3)
# So many words of a worker in a row may be lost.
WORDS = 3


class Health:
    """`unready` and `view` are answered from memory."""

    def __init__(
        self,
        *,
        reading: Reading,
        view: View,
        upstream: Upstream,
        calls: Calls,
        place: Place,
        idle_check: IdleCheck,
        outages: Outages,
        rates: Rates,
        caches: Caches,
        version: str,
        now: Callable[[], datetime],
        every: timedelta = LOCAL.health,
    ) -> None:
        self._reading, self._records, self._upstream, self._calls = reading, view, upstream, calls
        self._place, self._idle_check, self._outages = place, idle_check, outages
        self._rates, self._caches = rates, caches
        self._version, self._now, self._began, self._every = version, now, now(), every
        self._signs = self._unread("not checked yet")

    async def watch(self) -> None:
        """Checks for ever."""
        while True:
            await self.check()
            await asyncio.sleep(self._every.total_seconds())

    async def check(self) -> None:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                signs = await self._reading.read()
        except (StoreError, TimeoutError) as fault:
            self._signs = self._unread(str(fault) or "no answer")
            return
        except Exception:  # an edge: health that ends with its first bug tells nothing ever after
            log.exception("health.not_read")
            self._signs = self._unread("what it holds cannot be read; the log says why")
            return
        self._signs = replace(signs, store_ms=round((time.perf_counter() - begun) * 1000, 1))
        self._outages.found(signs.outages)
        self._caches.follow(signs.cleared)

    def _unread(self, fault: str) -> Signs:
        now = self._now()
        return Signs(at=now, store=fault, waiting=Waiting(at=now))

    def unready(self) -> str:
        """Why no request should come here now; empty when they should. Reads go on while the store is out."""
        if not self._records.loaded:
            return "the records are not in memory yet"
        if self._records.lag > LATE.total_seconds() and not self._fault:
            return "the records in memory are old"
        return ""

    def view(self, detailed: bool) -> HealthView:
        """The verdicts; with `detailed` also the figures and reasons."""
        facts = self._facts()
        findings = judged(facts)
        verdicts: dict[str, Verdict] = {name: finding.status for name, finding in findings.items()}
        work = worst(verdicts[name] for name in ("queue", "workers", "sweep"))
        view = HealthView(
            status=_status(facts, findings),
            timestamp=time_text(facts.now),
            uptime=round((facts.now - self._began).total_seconds(), 1),
            version=self._version,
            services=ServicesView(
                novita_api=verdicts["novitaApi"],
                job_queue=work,
                cache=verdicts["cache"],
                migration_service=work,
                auto_stop=verdicts["autoStop"],
                redis=verdicts["store"],
            ),
        )
        return self._with_figures(view, facts, findings) if detailed else view

    def _facts(self) -> Facts:
        calls = self._calls
        return Facts(
            now=self._now(),
            began=self._began,
            signs=self._signs,
            fault=self._fault,
            away=self._away,
            circuits=self._upstream.circuits,
            elsewhere=self._outages.elsewhere(self._signs.outages),
            answered_at=calls.last_answer_at,
            unanswered_at=calls.unanswered_at,
            unanswered=calls.unanswered,
            answer_ms=round(calls.last_seconds * 1000, 1) if calls.last_answer_at else None,
            skew=self._upstream.skew,
            auto_stop_on=self._idle_check.on,
            in_vain=[record.name for record in self._records.all() if bills_in_vain(record)],
            worker_late=WORDS * SELDOM * self._every,
            stale=self._caches.stale(),
            view_lag=timedelta(seconds=self._records.lag if self._records.loaded else 0),
        )

    @property
    def _fault(self) -> str | None:
        """Why the store is down. What was found before it moved to another server is not true of that one."""
        place = self._place.fallback
        return None if place and place.since > self._signs.at else self._signs.store

    @property
    def _away(self) -> Away | None:
        away = self._place.fallback
        return away if away and away.mode == "fallback" else None

    def _with_figures(self, view: HealthView, facts: Facts, findings: Mapping[str, Finding]) -> HealthView:
        retry = self._upstream.retry_after
        return replace(
            view,
            reasons=tuple(f"{name}: {one.why}" for name, one in findings.items() if one.why),
            performance=self._rates.performance(),
            system=self._rates.system(),
            dependencies={name: _dependency(one) for name, one in findings.items()},
            redis=self._redis(),
            sync=_sync_view(facts.signs),
            queue=_queue_view(facts.signs),
            auto_stop=_auto_stop_view(facts),
            upstream=UpstreamView(
                circuit=self._upstream.circuit,
                retry_after_ms=_ms(retry),
                circuits={KINDS[one.lane]: _circuit_view(one) for one in facts.circuits},
                last_answer_at=time_text(facts.answered_at) if facts.answered_at else None,
                clock_skew_ms=_ms(facts.skew),
            ),
        )

    def _redis(self) -> RedisView:
        place, away = self._place, self._away
        return RedisView(
            configured=place.is_shared,
            connected=not self._fault and not away,
            mode="fallback" if away else "redis" if place.is_shared else "embedded",
            since=time_text(place.fallback.since) if place.fallback else None,
        )


def _status(facts: Facts, findings: Mapping[str, Finding]) -> Literal["healthy", "degraded", "unhealthy"]:
    """Without its store it does nothing for anybody; all else it does less well."""
    if facts.fault:
        return "unhealthy"
    return "degraded" if any(one.status in {"degraded", "down"} for one in findings.values()) else "healthy"


def _dependency(finding: Finding) -> DependencyView:
    return DependencyView(
        status=finding.status,
        response_time_ms=finding.ms,
        last_checked=time_text(finding.at) if finding.at else None,
        detail=finding.why,
    )


def _circuit_view(one: Condition) -> CircuitView:
    return CircuitView(
        circuit=one.state,
        retry_after_ms=_ms(one.retry_after),
        out_for_ms=_ms(one.out_for),
        fault=one.fault or None,
    )


def _queue_view(signs: Signs) -> QueueHealth:
    waiting = signs.waiting

    def late(since: datetime | None) -> float:
        return max(0.0, round((waiting.at - since).total_seconds(), 1)) if since else 0.0

    return QueueHealth(
        size=waiting.queue.size,
        oldest_age_seconds=late(waiting.queue.oldest_at),
        due_age_seconds=late(waiting.queue.due_at),
        delivery_age_seconds=late(waiting.delivery_due),
        worker_at=time_text(signs.worker.at) if signs.worker else None,
        worker=signs.worker.by if signs.worker else None,
    )


def _auto_stop_view(facts: Facts) -> AutoStopHealth:
    last = facts.signs.last_check
    due = next_check(last, on=facts.auto_stop_on)
    return AutoStopHealth(
        last_check_at=time_text(last.at) if last else None,
        next_check_at=time_text(due) if due else None,
        late_seconds=round(late_by(due, facts.now).total_seconds(), 1),
        stops_in_vain=len(facts.in_vain),
    )


def _sync_view(signs: Signs) -> SyncView:
    state, mark = signs.sync, signs.mark
    last = state.last if state else None
    return SyncView(
        last_sync=time_text(last.at) if last else None,
        is_locked=signs.holder is not None,
        locked_by=signs.holder,
        duration_ms=last.duration_ms if last else None,
        found=_found_view(last) if last else None,
        next_sync=time_text(state.next_at) if state else None,
        errors=state.errors if state else (),
        last_listing=time_text(mark.ended_at) if mark else None,
        orphans=signs.orphans,
    )


def _found_view(last: Synced) -> SyncFoundView:
    return SyncFoundView(**{name: getattr(last, name) for name in SyncFoundView.__struct_fields__})


def _ms(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds() * 1000)
