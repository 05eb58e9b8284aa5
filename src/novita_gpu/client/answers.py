"""What the service answers, as values. Read leniently: unknown fields are passed over, unknown words stay as they are.

Times are UTC, money is USD as Decimal, sizes are GB. A field that was not answered is None or empty.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import field

from novita_gpu.hidden import SECRET, Discreet, Secret


class Part(Discreet, frozen=True, kw_only=True, rename="camel"):
    """A value within an answer."""


class Answer(Part, frozen=True, kw_only=True):
    """A whole answer. `raw` is its JSON as it came, also with what this version does not know."""

    raw: Annotated[bytes, SECRET] = field(default=b"", name="$raw")


class Failure(Part, frozen=True, kw_only=True):
    code: str = ""
    message: str = ""
    at: datetime | None = None


class PortMapping(Part, frozen=True, kw_only=True):
    port: int = 0
    type: str = ""
    endpoint: str = ""
    healthy: bool | None = None


class ConnectionDetails(Part, frozen=True, kw_only=True):
    """The password only comes with a single get, and only for a key that may operate."""

    ssh: str | None = None
    ssh_password: Secret | None = None
    jupyter: str | None = None
    web_terminal: str | None = None


class Endpoint(Part, frozen=True, kw_only=True):
    port: int = 0
    endpoint: str = ""
    healthy: bool = False
    status_code: int | None = None
    error: str | None = None
    response_time_ms: float = 0


class Readiness(Part, frozen=True, kw_only=True):
    state: str = "pending"
    checked_at: datetime | None = None
    endpoints: tuple[Endpoint, ...] = ()


class SavedImage(Part, frozen=True, kw_only=True):
    """The image that was saved of it at the last notice."""

    address: str = ""
    state: str = ""
    asked_at: datetime | None = None
    error: str | None = None


class Spot(Part, frozen=True, kw_only=True):
    status: str = ""
    reclaim_at: datetime | None = None
    image: SavedImage | None = None


class AutoStop(Part, frozen=True, kw_only=True):
    enabled: bool = False
    idle_minutes: int = 0
    activity: str = ""
    max_lifetime_minutes: int | None = None
    pinned_until: datetime | None = None
    last_activity_at: datetime | None = None
    last_activity_source: str | None = None
    stops_at: datetime | None = None


class Instance(Answer, frozen=True, kw_only=True):
    id: str = ""
    name: str = ""
    status: str = ""
    desired: str = ""
    status_reason: str | None = None
    error: Failure | None = None
    novita_instance_id: str | None = None
    novita_status: str | None = None
    product_id: str | None = None
    product_name: str = ""
    gpu_num: int = 0
    cpu_num: int | None = None
    memory_gb: int | None = None
    rootfs_size: int = 0
    region: str | None = None
    cluster_id: str | None = None
    billing_mode: str = ""
    price_per_hour: Decimal | None = None
    cost_usd: Decimal = Decimal(0)
    image_url: str | None = None
    template_id: str | None = None
    envs: tuple[str, ...] = ()  # names only; values are never answered
    port_mappings: tuple[PortMapping, ...] = ()
    connection_details: ConnectionDetails = ConnectionDetails()
    readiness: Readiness = Readiness()
    spot: Spot | None = None
    auto_stop: AutoStop = AutoStop()
    webhook_url: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ready_at: datetime | None = None
    last_used_at: datetime | None = None
    stopped_at: datetime | None = None
    deleted_at: datetime | None = None
    last_seen_at: datetime | None = None
    sequence: int = 0


class InstanceList(Answer, frozen=True, kw_only=True):
    instances: tuple[Instance, ...] = ()
    total: int = 0
    next_cursor: str | None = None


class MergedInstance(Instance, frozen=True, kw_only=True):
    """An instance of our records, of the cloud's list, or of both."""

    source: str = ""
    data_consistency: str = ""
    last_synced_at: datetime | None = None
    sync_errors: tuple[str, ...] = ()


class MergedList(Answer, frozen=True, kw_only=True):
    instances: tuple[MergedInstance, ...] = ()
    total: int = 0
    sources: dict[str, int] = field(default_factory=dict[str, int])
    performance: dict[str, float] = field(default_factory=dict[str, float])
    sync_errors: tuple[str, ...] = ()


class Accepted(Answer, frozen=True, kw_only=True):
    """The wish is stored and will come about; the cloud was not waited for."""

    instance_id: str = ""
    novita_instance_id: str | None = None
    operation_id: str = ""
    status: str = ""
    message: str = ""
    estimated_ready_time: datetime | None = None
    region: str | None = None
    product_id: str | None = None
    price_per_hour: Decimal | None = None


class LastUsed(Answer, frozen=True, kw_only=True):
    instance_id: str = ""
    last_used_at: datetime | None = None
    message: str = ""


class BulkRow(Part, frozen=True, kw_only=True):
    instance_id: str = ""
    name: str = ""
    status: str = ""
    error: Failure | None = None


class Bulk(Answer, frozen=True, kw_only=True):
    count: int = 0
    results: tuple[BulkRow, ...] = ()


class Orphan(Part, frozen=True, kw_only=True):
    """A machine of ours in the cloud that no living record has. `held_back`: why it is not removed."""

    novita_instance_id: str = ""
    name: str = ""
    since: datetime | None = None
    usd_per_hour: Decimal | None = None
    held_back: str | None = None


class Adopted(Part, frozen=True, kw_only=True):
    """A machine that was taken in; without an id of ours in a dry run."""

    novita_instance_id: str = ""
    instance_id: str | None = None
    name: str = ""


class SyncFault(Part, frozen=True, kw_only=True):
    code: str = ""
    message: str = ""
    novita_instance_id: str | None = None


class Synced(Answer, frozen=True, kw_only=True):
    """What a comparison with the cloud found. `lookalikes` bear half of a marker of ours and are never touched."""

    novita_instances: int = 0
    local_instances: int = 0
    adopted: int = 0
    updated: int = 0
    closed: int = 0
    missing: int = 0
    orphans: tuple[Orphan, ...] = ()
    lookalikes: tuple[Orphan, ...] = ()
    orphans_removed: int = 0
    adoptions: tuple[Adopted, ...] = ()
    confirmed_gone: tuple[str, ...] = ()
    errors: tuple[SyncFault, ...] = ()
    duration_ms: float = 0
    dry_run: bool = False


class EventData(Part, frozen=True, kw_only=True):
    sequence: int = 0
    instance_id: str | None = None
    operation_id: str | None = None
    actor: str = ""
    reason: str | None = None
    previous_status: str | None = None
    correlation_id: str | None = None
    facts: dict[str, str] = field(default_factory=dict[str, str])
    instance: Instance | None = None


class Event(Answer, frozen=True, kw_only=True):
    """One thing that happened. Sequences grow; they sort what arrives in any order."""

    id: str = ""
    type: str = ""
    timestamp: datetime | None = None
    data: EventData = EventData()

    @property
    def sequence(self) -> int:
        return self.data.sequence


class EventPage(Answer, frozen=True, kw_only=True):
    events: tuple[Event, ...] = ()
    next_after: int | None = None
