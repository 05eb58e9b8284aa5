"""What `/metrics` tells beside what this process counts itself: the cloud, instances, totals, health, caches.

Labels are of fixed sets, or of what the cloud sells. None grows with ids or paths.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from novita_gpu.cloud.metered import Meters
from novita_gpu.contract import HealthView
from novita_gpu.control.caches import CacheStats
from novita_gpu.control.costs import burn, saved_by
from novita_gpu.control.rates import rss
from novita_gpu.domain.dearer import in_all
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Record, Status, status
from novita_gpu.domain.money import usd_of_grains, usd_of_rate
from novita_gpu.domain.recovery import of_the_day
from novita_gpu.domain.tally import RECLAIMS, event_count, launched, lost
from novita_gpu.observe import Shipped

Verdicts = ("up", "degraded", "down", "disabled")
CIRCUITS = {"closed": 0, "half-open": 1, "open": 2}


@dataclass(frozen=True, kw_only=True)
class Known:
    """All that one answer is made of. `totals` None: the store is away, and an absent figure is no zero."""

    health: HealthView
    records: Sequence[Record]
    totals: Mapping[str, int] | None
    calls: Meters
    caches: Mapping[str, CacheStats]
    view_lag: float
    cpu_seconds: float
    shipped: Shipped | None
    now: datetime


class Exposition(Collector):
    def __init__(self, known: Known) -> None:
        self._known = known

    def collect(self) -> Iterator[Metric]:
        for part in (
            _instances,
            _money,
            _recovery,
            _totals,
            _cloud,
            _health,
            _queue,
            _auto_stop,
            _caches,
            _log,
            _process,
        ):
            yield from part(self._known)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"novita_gpu_{name}", text, value)


def _labelled(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"novita_gpu_{name}", text, labels=(label,))
    for key, value in values:
        family.add_metric((key,), value)
    return family


def _at(name: str, text: str, at: str | None) -> Iterator[Metric]:
    if at:
        yield _gauge(f"{name}_timestamp_seconds", text, datetime.fromisoformat(at).timestamp())


def _instances(it: Known) -> Iterator[Metric]:
    counts = Counter(status(record) for record in it.records if not record.deleted_at)
    living = ((each.value, counts[each]) for each in Status if each is not Status.DELETED)
    yield _labelled("instances", "Living instances by status.", "status", living)
    text = "Instances whose machine was taken, on their way back or waiting for their time."
    yield _gauge("recovering", text, counts[Status.MIGRATING])


def _money(it: Known) -> Iterator[Metric]:
    text = "What bills now, by what was last seen."
    yield _gauge("burn_usd_per_hour", text, float(usd_of_rate(burn(it.records))))
    text = "What stops for idleness have saved, of instances that are known still."
    saved = sum(saved_by(record, it.now) for record in it.records)
    yield _gauge("saved_usd", text, float(usd_of_grains(saved)))
    text = "Instances that run on demand though they were asked for as spot."
    yield _gauge("dearer_instances", text, sum(bool(record.dearer.since) for record in it.records))
    text = "How long instances have run so, of those that are known still."
    all_of_it = sum((in_all(record.dearer, it.now) for record in it.records), timedelta(0))
    yield _gauge("dearer_seconds", text, all_of_it.total_seconds())


def _recovery(it: Known) -> Iterator[Metric]:
    text = "Recoveries begun, of living instances, as far as their limit of a day counts them."
    living = [record for record in it.records if not record.deleted_at]
    yield _gauge("recoveries_of_a_day", text, sum(len(of_the_day(record, it.now)) for record in living))


def _totals(it: Known) -> Iterator[Metric]:
    """Of the store: the same from every replica, and kept over restarts."""
    if it.totals is None:
        return
    text = "Machines that were taken, or moved by others, though they were meant to run."
    yield CounterMetricFamily("novita_gpu_reclaims", text, it.totals.get(RECLAIMS, 0))
    events = CounterMetricFamily("novita_gpu_events", "What happened, by type.", labels=("type",))
    for type_ in EventType:
        events.add_metric((type_.value,), it.totals.get(event_count(type_), 0))
    yield events
    text = "How long an instance was lost before it answered again, by the way in which it came back."
    seconds = HistogramMetricFamily("novita_gpu_recovery_seconds", text, labels=("by",))
    for one in lost(it.totals):
        seconds.add_metric((one.by,), _buckets(one.within), one.seconds)
    yield seconds
    text = "From the wish to the first answer of its endpoints, by product and region."
    ready = HistogramMetricFamily("novita_gpu_time_to_ready_seconds", text, labels=("product", "region"))
    for one in launched(it.totals):
        ready.add_metric((one.product, one.region), _buckets(one.within), one.seconds)
    yield ready


def _buckets(within: Iterable[tuple[str, int]]) -> list[tuple[str, float]]:
    return [("+Inf" if bound == "inf" else bound, many) for bound, many in within]


def _cloud(it: Known) -> Iterator[Metric]:
    text = "Calls to the cloud, by operation and by what its answer meant."
    calls = CounterMetricFamily("novita_gpu_cloud_calls", text, labels=("operation", "meaning"))
    for (operation, meaning), count in sorted(it.calls.calls.items()):
        calls.add_metric((operation, meaning), count)
    yield calls
    text = "How long they took, retries included."
    seconds = SummaryMetricFamily("novita_gpu_cloud_call_duration_seconds", text, labels=("operation",))
    for operation, total in sorted(it.calls.seconds.items()):
        many = sum(count for (name, _), count in it.calls.calls.items() if name == operation)
        seconds.add_metric((operation,), many, total)
    yield seconds
    if it.calls.last_answer_at:
        text = "When the cloud last answered a call of this process."
        yield _gauge("cloud_last_answer_timestamp_seconds", text, it.calls.last_answer_at.timestamp())
    if upstream := it.health.upstream:
        text = "By kind of call: 0 closed, 1 half open, 2 open."
        circuits = ((kind, CIRCUITS[one.circuit]) for kind, one in upstream.circuits.items())
        yield _labelled("circuit_state", text, "kind", circuits)
        if upstream.clock_skew_ms is not None:
            text = "How far this machine's clock is ahead of the cloud's."
            yield _gauge("clock_skew_seconds", text, upstream.clock_skew_ms / 1000)


def _health(it: Known) -> Iterator[Metric]:
    text = "Whether the service is well: 2 healthy, 1 degraded, 0 unhealthy."
    yield _gauge("health", text, ("unhealthy", "degraded", "healthy").index(it.health.status))
    text = "Parts of the service: 1 for the verdict that holds."
    parts = GaugeMetricFamily("novita_gpu_health_check", text, labels=("check", "verdict"))
    for name, one in (it.health.dependencies or {}).items():
        for verdict in Verdicts:
            parts.add_metric((name, verdict), int(one.status == verdict))
    yield parts
    if sync := it.health.sync:
        text = "Machines with a marker of ours that no living instance has."
        yield _gauge("orphans", text, sync.orphans)
        yield from _at("last_listing", "End of the last listing of the cloud.", sync.last_listing)
        yield from _at("last_sync", "End of the last whole comparison with the cloud.", sync.last_sync)


def _queue(it: Known) -> Iterator[Metric]:
    """Of all processes, as last looked at."""
    if queue := it.health.queue:
        yield _gauge("queue_tasks", "Tasks that are due or in hand.", queue.size)
        text = "Of the oldest task that is in hand or waits for a hand."
        yield _gauge("queue_oldest_seconds", text, queue.oldest_age_seconds)
        text = "How long the first task for later is overdue."
        yield _gauge("queue_overdue_seconds", text, queue.due_age_seconds)
        text = "How long the first webhook is overdue."
        yield _gauge("deliveries_overdue_seconds", text, queue.delivery_age_seconds)
        yield from _at("worker_seen", "When a worker last said that it is there.", queue.worker_at)


def _auto_stop(it: Known) -> Iterator[Metric]:
    told = it.health.auto_stop
    if told is None:
        return
    text = "Instances that bill on though their stop or delete was asked for more than three times."
    yield _gauge("stops_in_vain", text, told.stops_in_vain)
    yield _gauge("auto_stop_late_seconds", "How long the check for idle instances is overdue.", told.late_seconds)
    yield from _at("auto_stop_last_check", "Begin of the last check.", told.last_check_at)
    yield from _at("auto_stop_next_check", "When the next is due.", told.next_check_at)


def _caches(it: Known) -> Iterator[Metric]:
    text = "Questions to what is remembered, by whether memory had the answer."
    asked = CounterMetricFamily("novita_gpu_cache_questions", text, labels=("cache", "result"))
    evicted = CounterMetricFamily("novita_gpu_cache_evictions", "Entries that made room for others.", labels=("cache",))
    for name, one in it.caches.items():
        asked.add_metric((name, "hit"), one.hits)
        asked.add_metric((name, "miss"), one.misses)
        evicted.add_metric((name,), one.evictions)
    yield asked
    yield evicted
    entries = ((name, one.size) for name, one in it.caches.items())
    yield _labelled("cache_entries", "Entries that are remembered.", "cache", entries)
    sizes = ((name, one.bytes) for name, one in it.caches.items())
    yield _labelled("cache_bytes", "Of these entries as they are encoded.", "cache", sizes)


def _log(it: Known) -> Iterator[Metric]:
    """Where lines go to Axiom."""
    if it.shipped is None:
        return
    text = "Lines of the log for Axiom, by what became of them."
    lines = CounterMetricFamily("novita_gpu_log_lines", text, labels=("outcome",))
    lines.add_metric(("sent",), it.shipped.sent)
    lines.add_metric(("dropped",), it.shipped.dropped)
    yield lines
    yield _gauge("log_lines_waiting", "Lines that wait for Axiom.", it.shipped.waiting)


def _process(it: Known) -> Iterator[Metric]:
    text = "How long the feed of changes was not heard: what is read may be so old."
    yield _gauge("view_lag_seconds", text, it.view_lag)
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory that the process has now.", rss())
    text = "User and system time of the process."
    yield CounterMetricFamily("process_cpu_seconds", text, it.cpu_seconds)
    text = "Begin of the process."
    yield GaugeMetricFamily("process_start_time_seconds", text, it.now.timestamp() - it.health.uptime)
