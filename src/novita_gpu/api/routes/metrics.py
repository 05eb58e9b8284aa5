"""Figures for Prometheus: what is known anyway, and the store's totals, in one read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from novita_gpu.api.desk import desk_of
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.contract import HealthView
from novita_gpu.domain.dearer import in_all
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.domain.recovery import of_the_day
from novita_gpu.domain.tally import RECLAIMS, event_count, lost
from novita_gpu.store import Store
from novita_gpu.store.base import Unavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Figures(Collector):
    """All of one answer. The names of labels are fixed: none grows with ids or paths."""

    def __init__(
        self, health: HealthView, records: Iterable[Record], totals: Mapping[str, int] | None, now: datetime
    ) -> None:
        self._health, self._records, self._totals, self._now = health, list(records), totals, now

    def collect(self) -> Iterator[Metric]:
        counts = Counter(status(record) for record in self._records if not record.deleted_at)
        instances = GaugeMetricFamily("novita_gpu_instances", "Living instances by status.", labels=("status",))
        for each in Status:
            if each is not Status.DELETED:
                instances.add_metric((each.value,), counts[each])
        yield instances
        if sync := self._health.sync:
            text = "Machines with a marker of ours that no living instance has."
            yield GaugeMetricFamily("novita_gpu_orphans", text, sync.orphans)
            if sync.last_listing:
                text = "End of the last listing of the cloud."
                at = datetime.fromisoformat(sync.last_listing).timestamp()
                yield GaugeMetricFamily("novita_gpu_last_listing_timestamp_seconds", text, at)
            if sync.last_sync:
                text = "End of the last whole comparison with the cloud."
                at = datetime.fromisoformat(sync.last_sync).timestamp()
                yield GaugeMetricFamily("novita_gpu_last_sync_timestamp_seconds", text, at)
        text = "Instances whose machine was taken, on their way back or waiting for their time."
        yield GaugeMetricFamily("novita_gpu_recovering", text, counts[Status.MIGRATING])
        text = "Recoveries begun, of living instances, as far as their limit of a day counts them."
        living = [record for record in self._records if not record.deleted_at]
        of_a_day = sum(len(of_the_day(record, self._now)) for record in living)
        yield GaugeMetricFamily("novita_gpu_recoveries_of_a_day", text, of_a_day)
        yield from self._of_recovery(self._totals) if self._totals is not None else ()
        yield from self._dearer()
        yield from self._auto_stop()

    def _of_recovery(self, totals: Mapping[str, int]) -> Iterator[Metric]:
        """Totals of the store: the same from every replica, and kept over restarts."""
        text = "Machines that were taken, or moved by others, though they were meant to run."
        yield CounterMetricFamily("novita_gpu_reclaims", text, totals.get(RECLAIMS, 0))
        events = CounterMetricFamily("novita_gpu_events", "What happened, by type.", labels=("type",))
        for type_ in EventType:
            events.add_metric((type_.value,), totals.get(event_count(type_), 0))
        yield events
        text = "How long an instance was lost before it answered again, by the way in which it came back."
        seconds = HistogramMetricFamily("novita_gpu_recovery_seconds", text, labels=("by",))
        for one in lost(totals):
            buckets = [("+Inf" if bound == "inf" else bound, many) for bound, many in one.within]
            seconds.add_metric((one.by,), buckets, one.seconds)
        yield seconds

    def _dearer(self) -> Iterator[Metric]:
        text = "Instances that run on demand though they were asked for as spot."
        is_so = [record for record in self._records if record.dearer.since]
        yield GaugeMetricFamily("novita_gpu_dearer_instances", text, len(is_so))
        text = "How long instances have run so, of those that are known still."
        all_of_it = sum((in_all(record.dearer, self._now) for record in self._records), timedelta(0))
        yield GaugeMetricFamily("novita_gpu_dearer_seconds", text, all_of_it.total_seconds())

    def _auto_stop(self) -> Iterator[Metric]:
        told = self._health.auto_stop
        if told is None:
            return
        text = "Instances that bill on though their stop or delete was asked for more than three times."
        yield GaugeMetricFamily("novita_gpu_stops_in_vain", text, told.stops_in_vain)
        text = "How long the check for idle instances is overdue."
        yield GaugeMetricFamily("novita_gpu_auto_stop_late_seconds", text, told.late_seconds)
        times = (
            ("last", "Begin of the last check.", told.last_check_at),
            ("next", "When the next is due.", told.next_check_at),
        )
        for which, text, at in times:
            if at:
                stamp = datetime.fromisoformat(at).timestamp()
                yield GaugeMetricFamily(f"novita_gpu_auto_stop_{which}_check_timestamp_seconds", text, stamp)


@get(
    "/metrics",
    operation=Operation(
        id="getMetricsText",
        summary="Figures for Prometheus",
        tag="Health",
        scope=Scope.READ,
        answers={200: "text/plain"},
        may_open=True,
    ),
)
async def metrics(request: Request[Any, Any, Any]) -> ASGIResponse:
    parts = desk_of(request).parts
    registry = CollectorRegistry()
    registry.register(Figures(parts.health(True), parts.store.view.all(), await _totals(parts.store), parts.now()))
    return ASGIResponse(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE})


async def _totals(store: Store) -> Mapping[str, int] | None:
    """None while the store is away: an absent figure is no zero."""
    try:
        return await store.facts.counts()
    except Unavailable:
        return None


ROUTES = (metrics,)
