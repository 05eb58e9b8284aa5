"""Metrics (section 2.8): of the process that answers, unless a field says that it is of all."""

from typing import Annotated, Literal

from msgspec import Meta, field

from novita_gpu.contract.fields import Time
from novita_gpu.contract.views import View

Circuit = Literal["closed", "open", "half-open"]
RATE = Meta(description="A second, over the last minute.")


class TotalView(View, frozen=True, kw_only=True):
    count: Annotated[int, Meta(description="Since the process began.")]
    rate: Annotated[float, RATE]


class RequestsView(View, frozen=True, kw_only=True):
    total: TotalView
    by_status: Annotated[dict[str, int], Meta(description="By class: 2xx, 3xx, 4xx, 5xx.")]
    by_route: Annotated[dict[str, int], Meta(description="By method and the template of the route.")]


class JobTotalView(View, frozen=True, kw_only=True):
    processed: int
    failed: int
    rate: Annotated[float, RATE]


class JobTypeView(View, frozen=True, kw_only=True):
    processed: int
    failed: int


class QueueView(View, frozen=True, kw_only=True):
    """Of all processes, as last looked at."""

    size: Annotated[int, Meta(description="Tasks that are due or in hand.")]
    oldest_age_ms: Annotated[int, Meta(description="Of the oldest of these.")]
    redelivered: Annotated[int, Meta(description="Begun again here, as their worker had gone.")]


class JobsView(View, frozen=True, kw_only=True):
    total: JobTotalView
    by_type: dict[str, JobTypeView]
    queue: QueueView


class MemoryView(View, frozen=True, kw_only=True):
    rss: Annotated[int, Meta(description="Bytes.")]


class CpuView(View, frozen=True, kw_only=True):
    usage: Annotated[float, Meta(description="Percent of one core, over the last minute.")]
    load_average: Annotated[tuple[float, ...], Meta(description="Of the machine, over 1, 5 and 15 minutes.")]


class SystemView(View, frozen=True, kw_only=True):
    memory: MemoryView
    cpu: CpuView
    uptime: Annotated[float, Meta(description="Seconds.")]


class CacheMetricsView(View, frozen=True, kw_only=True):
    hit_ratio: Annotated[float, Meta(description="0 to 1, since the process began; 1 before the first question.")]
    total_size: Annotated[int, Meta(description="Entries.")]


class NovitaView(View, frozen=True, kw_only=True):
    calls: int
    errors: Annotated[
        int, Meta(description="Calls without an answer, or refused for the key. Any other refusal is an answer.")
    ]
    circuit: Circuit
    by_operation: dict[str, dict[str, int]]


class MetricsData(View, frozen=True, kw_only=True):
    requests: RequestsView
    jobs: JobsView
    system: SystemView
    cache: CacheMetricsView
    novita: NovitaView


class PerformanceView(View, frozen=True, kw_only=True):
    """Over the last minute. Requests that are held until something happens count as requests, not as time."""

    requests_per_minute: float
    average_response_time_ms: float
    p99_response_time_ms: Annotated[float, Meta(description="The bound of a histogram that 99 of 100 are within.")]
    error_rate_percent: Annotated[float, Meta(description="Answers of 500 and above.")]


class JobsSummary(View, frozen=True, kw_only=True):
    processing_rate_per_minute: float


class SystemSummary(View, frozen=True, kw_only=True):
    memory_usage_mb: Annotated[float, Meta(description="1 MB is 1,000,000 bytes.")] = field(name="memoryUsageMB")
    cpu_usage_percent: float
    uptime_seconds: float


class CacheSummary(View, frozen=True, kw_only=True):
    hit_rate_percent: float
    total_size: int


class SummaryData(View, frozen=True, kw_only=True):
    performance: PerformanceView
    jobs: JobsSummary
    system: SystemSummary
    cache: CacheSummary


class MetricsAnswer(View, frozen=True, kw_only=True):
    status: Literal["success"]
    timestamp: Time
    data: MetricsData


class SummaryAnswer(View, frozen=True, kw_only=True):
    status: Literal["success"]
    timestamp: Time
    data: SummaryData
