"""Our records beside what the cloud lists: which side knows what, and whether both say the same."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from novita_gpu.cloud.base import Cloud, CloudError, Listing
from novita_gpu.contract import ComprehensiveRow, InstanceView, SourcesView, instance_view, time_text
from novita_gpu.contract.comprehensive import Consistency
from novita_gpu.contract.views import AutoStopView, ConnectionView, ReadinessView
from novita_gpu.control.caches import CacheStats
from novita_gpu.control.remembered import Cached, Remembered
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import (
    COMING_UP_STATUSES,
    EXITED_STATUS,
    GOING_STATUSES,
    GONE_STATUS,
    InstanceId,
    Record,
    Status,
    Wish,
    is_moving,
)
from novita_gpu.domain.look import Row
from novita_gpu.domain.spec import Activity, BillingMode

# Calls to the cloud grow with time, not with callers. Too long: a caller sees what was just changed as unchanged.
REUSED_FOR = timedelta(seconds=2)
_GOING_DOWN = frozenset({"toStop", "stopping"})
_WISH_OF = {
    Status.STOPPED: Wish.STOPPED,
    Status.STOPPING: Wish.STOPPED,
    Status.DELETING: Wish.DELETED,
    Status.DELETED: Wish.DELETED,
}


class Listings:
    """The cloud's list for whoever asks: one call under way at a time, its answer good for `REUSED_FOR`."""

    def __init__(self, cloud: Cloud, now: Callable[[], datetime]) -> None:
        self._remembered = Remembered(cloud.listing, REUSED_FOR, now, ahead=False)
        self._cached = Cached(self._remembered.uses, lambda: (self._remembered,))
        self._now = now

    def stats(self) -> CacheStats:
        return self._cached.stats()

    def fault(self) -> str:
        return self._cached.fault()

    def forget(self, until: datetime) -> None:
        self._cached.forget(until)

    async def forget_kept(self) -> None: ...

    async def latest(self) -> tuple[Listing | None, str]:
        """A listing and what is wrong with it; None with the reason when the cloud is out of reach."""
        try:
            listing = (await self._remembered.fresh()).value
        except CloudError as error:
            return None, error.message
        return listing, "" if listing.complete else listing.fault or "the cloud's list could not be read whole"


def merge(
    records: Iterable[Record],
    listing: Listing | None,
    *,
    fault: str,
    heard: Callable[[InstanceId], Heard],
    idle: IdlePolicy,
    as_of: datetime,
    foreign: bool,
) -> tuple[ComprehensiveRow, ...]:
    """Every record, with its machine where the cloud lists it, and with `foreign` every other machine; newest first."""

    def ours(record: Record) -> ComprehensiveRow:
        row = rows.pop(record.machine.id, None) if record.machine else None
        view = instance_view(record, heard=heard(record.id), idle=idle, as_of=max(as_of, record.updated_at))
        return _ours(record, row, listing, fault, view)

    rows = {row.id: row for row in listing.rows} if listing else {}
    known = [ours(record) for record in records]
    theirs = [_foreign(r, listing, as_of) for r in rows.values() if r.seen.status != GONE_STATUS] if listing else []
    return tuple(sorted((*known, *(theirs if foreign else ())), key=lambda r: (r.created_at, r.id), reverse=True))


def count(rows: Sequence[ComprehensiveRow]) -> SourcesView:
    sources = [row.source for row in rows]
    return SourcesView(local=sources.count("local"), novita=sources.count("novita"), merged=sources.count("merged"))


def _ours(record: Record, row: Row | None, listing: Listing | None, fault: str, view: InstanceView) -> ComprehensiveRow:
    if row and listing:
        view = replace(view, novita_status=row.seen.status)
        synced = listing.ended_at
    else:
        synced = record.seen.at if record.seen else record.updated_at
    return _row(
        view,
        source="merged" if row else "local",
        data_consistency=_consistency(record, row, listing),
        last_synced_at=time_text(synced),
        sync_errors=(fault,) if fault and not row else None,
    )


def _consistency(record: Record, row: Row | None, listing: Listing | None) -> Consistency:
    """`local-newer`: ours changed after the look. `conflicted`: at rest, and the cloud says otherwise."""
    if listing is None or record.machine is None or (row is None and not listing.complete):
        return "consistent" if record.machine is None else "local-newer"
    since = record.looks_count_from
    if since is not None and listing.began_at < since:
        return "local-newer"
    if row is None:
        return "consistent" if record.deleted_at else "conflicted"
    if is_moving(record) or record.seen is None or record.seen.at < listing.began_at:
        return "consistent" if record.seen and record.seen.status == row.seen.status else "novita-newer"
    return "consistent" if record.seen.status == row.seen.status else "conflicted"


def _foreign(row: Row, listing: Listing, as_of: datetime) -> ComprehensiveRow:
    """A machine that no record has, shown with what the cloud says of it and nothing made up."""
    status = status_of(row.seen.status)
    return ComprehensiveRow(
        id=row.id,
        name=row.name,
        status=status,
        desired=_WISH_OF.get(status, Wish.RUNNING),
        novita_instance_id=row.id,
        novita_status=row.seen.status,
        product_id=row.product_id or None,
        product_name=row.product_name or row.product_id,
        gpu_num=row.gpu_num,
        cpu_num=row.cpu_num,
        memory_gb=row.memory_gb,
        rootfs_size=row.rootfs_size_gb or 0,
        region=row.region or None,
        cluster_id=row.cluster_id or None,
        billing_mode=BillingMode.SPOT if row.billing_mode == BillingMode.SPOT else BillingMode.ON_DEMAND,
        cost_usd="0.0000",
        image_url=row.image_url or None,
        envs=(),
        port_mappings=(),
        connection_details=ConnectionView(),
        readiness=ReadinessView(state="pending", endpoints=()),
        auto_stop=AutoStopView(enabled=False, idle_minutes=0, activity=Activity.HEARTBEAT),
        created_at=time_text(row.created_at or as_of),
        last_seen_at=time_text(listing.began_at),
        sequence=0,
        source="novita",
        data_consistency="consistent",
        last_synced_at=time_text(listing.ended_at),
    )


def status_of(word: str) -> Status:
    """The nearest public status of the cloud's word. An unknown word may bill, so it counts as running."""
    if word == GONE_STATUS:
        return Status.DELETED
    if word in GOING_STATUSES:
        return Status.DELETING
    if word == EXITED_STATUS:
        return Status.STOPPED
    if word in _GOING_DOWN:
        return Status.STOPPING
    if word == "migrating":
        return Status.MIGRATING
    if word in COMING_UP_STATUSES:
        return Status.CREATING if word in {"toCreate", "creating", "pulling"} else Status.STARTING
    return Status.RUNNING


def _row(
    view: InstanceView,
    *,
    source: str,
    data_consistency: Consistency,
    last_synced_at: str,
    sync_errors: tuple[str, ...] | None,
) -> ComprehensiveRow:
    more = {
        "source": source,
        "data_consistency": data_consistency,
        "last_synced_at": last_synced_at,
        "sync_errors": sync_errors,
    }
    return ComprehensiveRow(**msgspec.structs.asdict(view), **more)  # type: ignore[arg-type]
