"""How values are written: JSON documents, and instants as whole microseconds, so that the server can compare them."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec import DecodeError, Raw, Struct, ValidationError, json
from msgspec.structs import asdict, replace

from novita_gpu.domain.api_key import ApiKey
from novita_gpu.domain.endpoint import Endpoint
from novita_gpu.domain.events import Event
from novita_gpu.domain.instance import Record
from novita_gpu.domain.look import Row, SweepMark
from novita_gpu.store.base import Answer, Delivery, Unreadable
from novita_gpu.store.versions import RECORD_VERSION, renewed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)

T = TypeVar("T")


class _StoredEvent(Event, frozen=True, kw_only=True):
    """An event as it is read back: msgspec keeps raw JSON only in a field that can hold nothing else."""

    instance: Raw = Raw()


class _Versioned(Struct):
    version: int = 1


_versioned = json.Decoder(_Versioned)
_any: json.Decoder[dict[str, Any]] = json.Decoder(dict[str, Any])
_record = json.Decoder(Record)
_event = json.Decoder(_StoredEvent)
_delivery = json.Decoder(Delivery)
_endpoint = json.Decoder(Endpoint)
_api_key = json.Decoder(ApiKey)
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


def micros_of(length: timedelta) -> int:
    """Whole microseconds."""
    return length // MICROSECOND


def millis(length: timedelta) -> int:
    """Whole milliseconds, at least one: the server takes no shorter TTL."""
    return max(1, length // MILLISECOND)


def record_document(record: Record) -> bytes:
    """The record without what lives beside its document, and the version that it is written in."""
    return b'{"version":%d,' % RECORD_VERSION + encode(replace(record, revision=0, sequence=0))[1:]


def record_of(document: bytes, revision: bytes, sequence: bytes) -> Record:
    """Raises `Unreadable` for a document that is damaged or was written by a later version."""
    version = _decoded(_versioned, document).version
    if version > RECORD_VERSION:
        raise Unreadable(f"a record has version {version}; this program reads up to {RECORD_VERSION}")
    if version < RECORD_VERSION:
        document = _renewed(document, version)
    return replace(_decoded(_record, document), revision=int(revision), sequence=int(sequence))


def _renewed(document: bytes, version: int) -> bytes:
    try:
        return encode(renewed(_any.decode(document), version))
    except (DecodeError, LookupError, TypeError, ArithmeticError) as fault:
        raise Unreadable(f"a record of version {version} cannot be read: {fault!r}") from fault


def event_of(document: bytes, sequence: int) -> Event:
    stored = asdict(_decoded(_event, document))
    stored.update(instance=stored["instance"] or None, sequence=sequence)
    return Event(**stored)


def delivery_document(delivery: Delivery) -> bytes:
    """The delivery without what lives beside its document."""
    return encode(replace(delivery, sequence=0, number=0, revision=0))


def delivery_of(document: bytes, sequence: bytes, number: bytes, revision: bytes) -> Delivery:
    known = _decoded(_delivery, document)
    return replace(known, sequence=int(sequence), number=int(number), revision=int(revision))


def endpoint_document(endpoint: Endpoint) -> bytes:
    """The endpoint without what lives beside its document."""
    return encode(replace(endpoint, revision=0))


def endpoint_of(document: bytes, revision: bytes) -> Endpoint:
    return replace(_decoded(_endpoint, document), revision=int(revision))


def api_key_document(key: ApiKey) -> bytes:
    return encode(key)


def api_key_of(document: bytes) -> ApiKey:
    return _decoded(_api_key, document)


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
