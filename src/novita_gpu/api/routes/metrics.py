"""Figures for Prometheus: what is known anyway, without a call to cloud or store."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from novita_gpu.api.desk import desk_of
from novita_gpu.api.operation import Operation, Scope
from novita_gpu.contract import HealthView
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.domain.recovery import of_the_day

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Figures(Collector):
    """All of one answer. The names of labels are fixed: none grows with ids or paths."""

    def __init__(self, health: HealthView, records: Iterable[Record]) -> None:
        self._health, self._records = health, list(records)

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
        yield GaugeMetricFamily("novita_gpu_recoveries_of_a_day", text, self._recoveries())
        yield from self._auto_stop()

    def _recoveries(self) -> int:
        now = datetime.now(UTC)
        return sum(len(of_the_day(record, now)) for record in self._records if not record.deleted_at)

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
    ),
)
async def metrics(request: Request[Any, Any, Any]) -> ASGIResponse:
    parts = desk_of(request).parts
    registry = CollectorRegistry()
    registry.register(Figures(parts.health(True), parts.store.view.all()))
    return ASGIResponse(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE})


ROUTES = (metrics,)
