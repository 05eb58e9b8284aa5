"""How values are written: JSON documents, and instants as whole microseconds, so that the server can compare them."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar

from msgspec import DecodeError, Raw, ValidationError, json
from msgspec.structs import asdict, replace

from novita_gpu.domain.events import Event
from novita_gpu.domain.instance import RECORD_VERSION, Record
from novita_gpu.domain.look import Row, SweepMark
from novita_gpu.store.base import Answer, Delivery, Unreadable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)

T = TypeVar("T")


class _StoredEvent(Event, frozen=True, kw_only=True):
    """An event as it is read back: msgspec keeps raw JSON only in a field that can hold nothing else."""

    instance: Raw = Raw()


_record = json.Decoder(Record)
_event = json.Decoder(_StoredEvent)
_delivery = json.Decoder(Delivery)
_answer = json.Decoder(Answer)
_row = json.Decoder(Row)
_mark = json.Decoder(SweepMark)

encode = json.encode


def micros(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def instant(microseconds: bytes | int) -> datetime:
    """The UTC instant so many microseconds after 1970."""
    return EPOCH + int(microseconds) * MICROSECOND


def millis(length: timedelta) -> int:
    """Whole milliseconds, at least one: the server takes no shorter TTL."""
    return max(1, length // MILLISECOND)


def record_document(record: Record) -> bytes:
    """The record without what lives beside its document."""
    return encode(replace(record, revision=0, sequence=0))


def record_of(document: bytes, revision: bytes, sequence: bytes) -> Record:
    """Raises `Unreadable` for a document that is damaged or was written by a later version."""
    record = _decoded(_record, document)
    if record.version > RECORD_VERSION:
        raise Unreadable(f"record {record.id} has version {record.version}; this program reads up to {RECORD_VERSION}")
    return replace(record, revision=int(revision), sequence=int(sequence))


def event_of(document: bytes, sequence: int) -> Event:
    stored = asdict(_decoded(_event, document))
    stored.update(instance=stored["instance"] or None, sequence=sequence)
    return Event(**stored)


def delivery_document(delivery: Delivery) -> bytes:
    """The delivery without what lives beside its document."""
    return encode(replace(delivery, sequence=0, revision=0))


def delivery_of(document: bytes, sequence: bytes, revision: bytes) -> Delivery:
    return replace(_decoded(_delivery, document), sequence=int(sequence), revision=int(revision))


def answer_of(document: bytes) -> Answer:
    return _decoded(_answer, document)


def row_of(document: bytes) -> Row:
    return _decoded(_row, document)


def mark_of(document: bytes) -> SweepMark:
    return _decoded(_mark, document)


def _decoded(decoder: json.Decoder[T], document: bytes) -> T:
    try:
        return decoder.decode(document)
    except (DecodeError, ValidationError) as fault:
        raise Unreadable(f"what is stored cannot be read: {fault}") from fault
