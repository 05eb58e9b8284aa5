"""Our records merged with what the cloud lists (section 2.4)."""

from typing import Annotated, Literal

from msgspec import Meta

from novita_gpu.contract.fields import Time
from novita_gpu.contract.views import InstanceView, View

Source = Literal["local", "novita", "merged"]
Consistency = Literal["consistent", "local-newer", "novita-newer", "conflicted"]


class ComprehensiveRow(InstanceView, frozen=True, kw_only=True):
    """An instance, where it is known from, and whether both sides say the same."""

    source: Source
    data_consistency: Consistency
    last_synced_at: Time
    sync_errors: tuple[str, ...] | None = None


class SourcesView(View, frozen=True, kw_only=True):
    local: int
    novita: int
    merged: int


class TimingView(View, frozen=True, kw_only=True):
    total_request_time_ms: float
    novita_api_time_ms: float
    local_data_time_ms: float
    merge_processing_time_ms: float
    cache_hit_ratio: Annotated[float, Meta(ge=0, le=1)]


class ComprehensiveView(View, frozen=True, kw_only=True):
    instances: tuple[ComprehensiveRow, ...]
    total: int
    sources: SourcesView
    performance: TimingView
    sync_errors: (
        Annotated[tuple[str, ...], Meta(description="Why the cloud's side is missing or not whole.")] | None
    ) = None
