"""Records, events and deliveries as small as they can be."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any, cast

from msgspec.structs import replace

from novita_gpu.domain.api_key import ApiKey, Scope
from novita_gpu.domain.endpoint import Endpoint
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import Attempt, CloudId, InstanceId, Machine, Offer, Record, Run, RunKind, Wish
from novita_gpu.domain.look import Row, Seen, SweepMark
from novita_gpu.domain.spec import BillingMode, Spec
from novita_gpu.store.base import Change, Delivery
from novita_gpu.store.records import Records
from novita_gpu.store.versions import RECORD_VERSION
from novita_gpu.store.wire import Word

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
_numbers = count(1)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def new_record(name: str | None = None, *, at: datetime = NOON, **fields: Any) -> Record:
    number = next(_numbers)
    return Record(
        id=InstanceId(f"ins_{number:026}"),
        name=name or f"trainer-{number}",
        spec=Spec(regions=("EU-01",), image_url="ubuntu"),
        wants=Wish.RUNNING,
        operation="op_1",
        created_at=at,
        updated_at=at,
        run=Run(kind=RunKind.LAUNCH, asked_at=at),
        **fields,
    )


def new_event(record: Record | None = None, kind: EventType = EventType.UPDATED, **fields: Any) -> Event:
    instance_id = record.id if record else None
    event = Event(id=f"evt_{next(_numbers)}", type=kind, at=NOON, actor="test", instance_id=instance_id)
    return replace(event, **fields)


def new_delivery(event: Event, **fields: Any) -> Delivery:
    return replace(
        Delivery(
            id=f"msg_{next(_numbers)}",
            event_id=event.id,
            type=event.type,
            url="https://receiver.example",
            due=NOON,
            created_at=NOON,
        ),
        **fields,
    )


def new_endpoint(**fields: Any) -> Endpoint:
    made = Endpoint(
        id=f"whe_{next(_numbers):08}",
        url="https://endpoint.example/hook",
        secret="whsec_" + "A" * 32,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(made, **fields)


def new_api_key(name: str | None = None, **fields: Any) -> ApiKey:
    number = next(_numbers)
    made = ApiKey(
        id=f"key_{number:08}",
        name=name or f"key-{number}",
        digest=sha256(str(number).encode()).hexdigest(),
        scopes=frozenset({Scope.READ}),
        created_at=NOON,
        created_by="admin",
    )
    return replace(made, **fields)


def creation(record: Record, **fields: Any) -> Change:
    return Change(before=None, after=record, **fields)


def renewal(record: Record, **fields: Any) -> Change:
    """A change that only counts generations up."""
    return Change(before=record, after=replace(record, generation=record.generation + 1), **fields)


def stop(record: Record, **fields: Any) -> Change:
    return Change(before=record, after=replace(record, wants=Wish.STOPPED), **fields)


def closing(record: Record, at: datetime = NOON) -> Change:
    return Change(before=record, after=replace(record, wants=Wish.DELETED, deleted_at=at))


def offer(region: str = "EU-01") -> Offer:
    return Offer(
        product_id="4090",
        product_name="RTX 4090",
        cluster_id=region.lower(),
        region=region,
        billing_mode=BillingMode.ON_DEMAND,
        gpu_num=1,
        units_per_hour=35_000,
    )


def machine(cloud_id: str) -> Machine:
    return Machine(id=CloudId(cloud_id), offer=offer(), attempt=1, adopted_at=NOON)


def attempt(number: int, marker: str) -> Attempt:
    return Attempt(number=number, marker=marker, offer=offer(), intent_at=NOON, deadline=after(30))


def row(
    cloud_id: str, marker: str = "", *, name: str | None = None, at: datetime = NOON, status: str = "running"
) -> Row:
    suffix = "-" + marker.replace("/", "-") if marker else ""
    return Row(id=CloudId(cloud_id), name=name or f"x{suffix}", seen=Seen(at=at, status=status), marker=marker)


def mark(at: datetime = NOON, *, complete: bool = True, trusted: bool = True, total: int = 0) -> SweepMark:
    return SweepMark(
        began_at=at,
        ended_at=at + timedelta(seconds=1),
        complete=complete,
        trusted=trusted,
        total=total,
        next_at=at + timedelta(seconds=10),
        interval_s=10,
    )


class LaterRecords(Records):
    """Writes as a later version of this program does."""

    def _commit_words(self, change: Change, commit: str) -> tuple[list[str], list[Word]]:
        keys, words = super()._commit_words(change, commit)
        document = cast("bytes", words[3])
        words[3] = document.replace(b'"version":%d' % RECORD_VERSION, b'"version":%d' % (RECORD_VERSION + 1))
        return keys, words
