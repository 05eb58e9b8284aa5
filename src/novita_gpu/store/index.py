"""Records in memory, found by id, machine and name, and listed newest first."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime

from novita_gpu.domain.instance import CloudId, InstanceId, Record, Status, status
from novita_gpu.domain.spec import BillingMode
from novita_gpu.domain.value import Value
from novita_gpu.store.stored import micros

Order = tuple[int, InstanceId]

# Answers of filters kept until the next change: a few dashboards ask the same, whoever varies them gains nothing.
FILTERS_KEPT = 64


class BadCursor(ValueError):
    """The cursor was not made by a page of ours."""


class Filter(Value, frozen=True, kw_only=True):
    """Which instances to list; what is left out admits all. `region` is a region's name or a cluster's id."""

    statuses: frozenset[Status] = frozenset()
    name_prefix: str = ""
    region: str | None = None
    billing_mode: BillingMode | None = None


class Page(Value, frozen=True, kw_only=True):
    """`total` counts all that the filter admits. `cursor` leads to the next page; None after the last."""

    records: tuple[Record, ...]
    total: int
    cursor: str | None = None


class _Entry(Value, frozen=True, kw_only=True):
    """A record with what lists are filtered by, computed once per revision."""

    record: Record
    order: Order
    status: Status
    regions: tuple[str, ...]


class Index:
    """Only a higher revision takes the place of a record, so the order of arrival does not matter."""

    def __init__(self) -> None:
        self._entries: dict[InstanceId, _Entry] = {}
        self._order: list[Order] = []
        self._machines: dict[CloudId, InstanceId] = {}
        self._names: dict[str, InstanceId] = {}
        self._closed_names: dict[str, InstanceId] = {}
        self._admitted: dict[Filter, list[Order]] = {}  # what filters admit, until something changes

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Record]:
        """Newest first."""
        return (self._entries[instance].record for _, instance in reversed(self._order))

    def get(self, instance: InstanceId) -> Record | None:
        entry = self._entries.get(instance)
        return entry.record if entry else None

    def revision(self, instance: InstanceId) -> int:
        """0: not here."""
        entry = self._entries.get(instance)
        return entry.record.revision if entry else 0

    def by_machine(self, machine: CloudId) -> Record | None:
        found = self._machines.get(machine)
        return self.get(found) if found else None

    def by_name(self, name: str) -> Record | None:
        """The living one, else the one closed last."""
        found = self._names.get(name) or self._closed_names.get(name)
        return self.get(found) if found else None

    def put(self, record: Record) -> bool:
        """False: a record of this or a higher revision is here."""
        before = self._entries.get(record.id)
        if before and before.record.revision >= record.revision:
            return False
        self._admitted.clear()
        entry = _entry(record)
        if not before:
            insort(self._order, entry.order)
        elif before.order != entry.order:
            self._unlist(before.order)
            insort(self._order, entry.order)
        if before:
            self._unname(before.record)
        self._entries[record.id] = entry
        self._name(record)
        return True

    def drop(self, instance: InstanceId) -> None:
        entry = self._entries.pop(instance, None)
        if entry:
            self._admitted.clear()
            self._unlist(entry.order)
            self._unname(entry.record)

    def closed_before(self, at: datetime) -> list[InstanceId]:
        """The ids of those that were closed before `at`."""
        closed = ((entry.record.deleted_at, instance) for instance, entry in self._entries.items())
        return [instance for deleted_at, instance in closed if deleted_at and deleted_at < at]

    def page(self, which: Filter, cursor: str | None, limit: int) -> Page:
        """Newest first. Raises `BadCursor`. What is created meanwhile never shifts the pages that follow."""
        admitted = self._order if which == _ALL else self._chosen(which)
        end = bisect_left(admitted, _read_cursor(cursor)) if cursor else len(admitted)
        orders = admitted[max(0, end - limit) : end][::-1]
        records = tuple(self._entries[instance].record for _, instance in orders)
        more = end > limit and bool(orders)
        return Page(records=records, total=len(admitted), cursor=_write_cursor(orders[-1]) if more else None)

    def _chosen(self, which: Filter) -> list[Order]:
        known = self._admitted.get(which)
        if known is None:
            if len(self._admitted) >= FILTERS_KEPT:
                self._admitted.clear()
            known = [order for order in self._order if _admits(which, self._entries[order[1]])]
            self._admitted[which] = known
        return known

    def _unlist(self, order: Order) -> None:
        del self._order[bisect_left(self._order, order)]

    def _name(self, record: Record) -> None:
        if record.machine:
            self._machines[record.machine.id] = record.id
        if not record.deleted_at:
            self._names[record.name] = record.id
            return
        other = self.get(self._closed_names.get(record.name, record.id))
        if not other or not other.deleted_at or other.deleted_at <= record.deleted_at:
            self._closed_names[record.name] = record.id

    def _unname(self, record: Record) -> None:
        names = self._closed_names if record.deleted_at else self._names
        if names.get(record.name) == record.id:
            del names[record.name]
        if record.machine and self._machines.get(record.machine.id) == record.id:
            del self._machines[record.machine.id]


_ALL = Filter()


def _entry(record: Record) -> _Entry:
    offer = record.offer
    regions = (offer.region, offer.cluster_id) if offer else record.spec.regions[:1]
    order = (micros(record.created_at), record.id)
    return _Entry(record=record, order=order, status=status(record), regions=regions)


def _admits(which: Filter, entry: _Entry) -> bool:
    return (
        (not which.statuses or entry.status in which.statuses)
        and (not which.name_prefix or entry.record.name.startswith(which.name_prefix))
        and (which.region is None or which.region in entry.regions)
        and (which.billing_mode is None or entry.record.spec.billing_mode is which.billing_mode)
    )


def _write_cursor(order: Order) -> str:
    return urlsafe_b64encode(f"{order[0]}.{order[1]}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> Order:
    try:
        at, instance = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(".")
        return int(at), InstanceId(instance)
    except ValueError as fault:
        raise BadCursor("this cursor is not one of ours") from fault
