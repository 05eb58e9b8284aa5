"""What was seen of the cloud, as facts with the time at which the look began."""

from datetime import datetime

from novita_gpu.domain.instance import CloudId, Seen
from novita_gpu.domain.value import Value


class Row(Value, frozen=True, kw_only=True):
    """One machine as the listing or a get shows it. Unknown words are kept as they are."""

    id: CloudId
    name: str
    seen: Seen
    cluster_id: str = ""
    region: str = ""  # display name up to the first space
    product_id: str = ""
    product_name: str = ""
    gpu_num: int = 0
    cpu_num: int | None = None
    memory_gb: int | None = None
    rootfs_size_gb: int | None = None
    image_url: str = ""
    billing_mode: str = ""
    marker: str = ""  # value of our environment entry, "" when it has none
    created_at: datetime | None = None


class MigrationJob(Value, frozen=True, kw_only=True):
    """The newest job that moves the machine, of this run."""

    id: str
    state: str
    error: str = ""
    created_at: datetime | None = None

    @property
    def is_under_way(self) -> bool:
        return self.state in {"pulling", "running"}

    @property
    def has_failed(self) -> bool:
        return self.state in {"fail", "break"}


class SweepMark(Value, frozen=True, kw_only=True):
    """What is known of the last listings. `trusted`: absence in it may be believed."""

    began_at: datetime
    ended_at: datetime
    complete: bool
    trusted: bool
    total: int
    next_at: datetime
    interval_s: float
    fault: str = ""
    previous_at: datetime | None = None  # begin of the complete listing before it


class Look(Value, frozen=True, kw_only=True):
    """What the last listing, or one get, says of one instance.

    `row` is its machine; `marked` are all rows that bear one of its attempts' markers, in environment and
    name both. `not_found`: a get answered so, with the cloud's known reason. A `row` of None in a look that is not
    `complete` says nothing.
    """

    began_at: datetime
    complete: bool
    row: Row | None = None
    marked: tuple[Row, ...] = ()
    not_found: bool = False
    from_get: bool = False
    job: MigrationJob | None = None  # read with a get that shows it exited unasked
    previous_at: datetime | None = None  # begin of the complete listing before this one
