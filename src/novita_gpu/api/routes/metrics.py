"""Figures: for Prometheus, and as JSON. All read the same instruments and the same memory."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse
from prometheus_client import CollectorRegistry, generate_latest

from novita_gpu.api.desk import Parts, desk_of
from novita_gpu.api.exposition import Exposition, Known
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.contract import View, encode, time_text
from novita_gpu.contract.metrics import (
    CacheMetricsView,
    CacheSummary,
    JobsSummary,
    JobsView,
    JobTotalView,
    JobTypeView,
    MetricsAnswer,
    MetricsData,
    NovitaView,
    QueueView,
    RequestsView,
    SummaryAnswer,
    SummaryData,
    SystemSummary,
    TotalView,
)
from novita_gpu.control.caches import summary
from novita_gpu.observe import shipped
from novita_gpu.store import Store
from novita_gpu.store.base import Unavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TAG = "Health"
MB = 1_000_000


@get(
    "/metrics",
    operation=Operation(
        id="getMetricsText",
        summary="Figures for Prometheus",
        tag=TAG,
        scope=Scope.READ,
        answers={200: "text/plain"},
        may_open=True,
    ),
)
async def text(request: Request[Any, Any, Any]) -> ASGIResponse:
    parts = desk_of(request).parts
    known = CollectorRegistry()
    known.register(Exposition(await _known(parts)))
    body = generate_latest(known) + generate_latest(parts.figures.registry)
    return ASGIResponse(body=body, headers={"content-type": CONTENT_TYPE})


@get(
    "/api/metrics",
    operation=Operation(
        id="getMetrics",
        summary="Requests, jobs, memory, caches and calls to the cloud, of the process that answers",
        tag=TAG,
        scope=Scope.READ,
        answers={200: MetricsAnswer},
    ),
)
async def metrics(request: Request[Any, Any, Any]) -> ASGIResponse:
    parts = desk_of(request).parts
    data = MetricsData(
        requests=_requests(parts),
        jobs=_jobs(parts),
        system=parts.rates.system(),
        cache=_cache(parts),
        novita=_novita(parts),
    )
    return _json(MetricsAnswer(status="success", timestamp=time_text(parts.now()), data=data))


@get(
    "/api/metrics/summary",
    operation=Operation(
        id="getMetricsSummary",
        summary="The last minute in a few figures, of the process that answers",
        tag=TAG,
        scope=Scope.READ,
        answers={200: SummaryAnswer},
    ),
)
async def summarised(request: Request[Any, Any, Any]) -> ASGIResponse:
    parts = desk_of(request).parts
    system, cache = parts.rates.system(), _cache(parts)
    data = SummaryData(
        performance=parts.rates.performance(),
        jobs=JobsSummary(processing_rate_per_minute=round(parts.rates.jobs_a_second() * 60, 1)),
        system=SystemSummary(
            memory_usage_mb=round(system.memory.rss / MB, 1),
            cpu_usage_percent=system.cpu.usage,
            uptime_seconds=system.uptime,
        ),
        cache=CacheSummary(hit_rate_percent=round(cache.hit_ratio * 100, 2), total_size=cache.total_size),
    )
    return _json(SummaryAnswer(status="success", timestamp=time_text(parts.now()), data=data))


def _json(view: View) -> ASGIResponse:
    return ASGIResponse(body=encode(view), media_type="application/json")


async def _known(parts: Parts) -> Known:
    return Known(
        health=parts.health(True),
        records=parts.store.view.all(),
        totals=await _totals(parts.store),
        calls=parts.calls,
        caches=parts.caches.all(),
        view_lag=parts.store.view.lag,
        cpu_seconds=time.process_time(),
        shipped=shipped(),
        now=parts.now(),
    )


async def _totals(store: Store) -> Mapping[str, int] | None:
    """None while the store is away: an absent figure is no zero."""
    try:
        return await store.facts.counts()
    except Unavailable:
        return None


def _requests(parts: Parts) -> RequestsView:
    by_status: Counter[str] = Counter({f"{klass}xx": 0 for klass in "2345"})
    by_route: Counter[str] = Counter()
    for (method, route, status), many in parts.figures.requests().items():
        by_status[f"{status[0]}xx"] += many
        by_route[f"{method} {route}"] += many
    return RequestsView(
        total=TotalView(count=by_route.total(), rate=parts.rates.requests_a_second()),
        by_status=dict(by_status),
        by_route=dict(by_route),
    )


def _jobs(parts: Parts) -> JobsView:
    done, failed, queue = parts.figures.jobs(), parts.figures.failed_jobs(), parts.health(True).queue
    return JobsView(
        total=JobTotalView(processed=sum(done.values()), failed=sum(failed.values()), rate=parts.rates.jobs_a_second()),
        by_type={job: JobTypeView(processed=many, failed=failed.get(job, 0)) for job, many in done.items()},
        queue=QueueView(
            size=queue.size if queue else 0,
            oldest_age_ms=round(max(queue.oldest_age_seconds, queue.due_age_seconds) * 1000) if queue else 0,
            redelivered=parts.figures.redelivered_jobs(),
        ),
    )


def _cache(parts: Parts) -> CacheMetricsView:
    found = summary(parts.caches.all())
    return CacheMetricsView(hit_ratio=found.overall_hit_ratio, total_size=found.total_entries)


def _novita(parts: Parts) -> NovitaView:
    upstream = parts.health(True).upstream
    by_operation: dict[str, dict[str, int]] = {}
    for (operation, meaning), many in sorted(parts.calls.calls.items()):
        by_operation.setdefault(operation, {})[meaning] = many
    return NovitaView(
        calls=parts.calls.total(),
        errors=parts.calls.silent(),
        circuit=upstream.circuit if upstream else "closed",
        by_operation=by_operation,
    )


ROUTES = (text, metrics, summarised)
