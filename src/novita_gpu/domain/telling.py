"""What the events of an instance are called: by what happened, so that all who see it tell of it under one id.

Two replicas that are cut off from each other see the same machine run; the log, and receivers of webhooks, tell the two
words for it apart from two that happened.
"""

from base64 import b32encode
from hashlib import sha256

from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Record, Told

ID_BYTES = 16


def event_id(record: Record, type_: EventType) -> str:
    """The id of its next event of that type: the same for the same event of the present operation."""
    digest = sha256("\n".join((record.id, record.operation, type_, str(told_of(record).counts.get(type_, 0)))).encode())
    return "evt_" + b32encode(digest.digest()[:ID_BYTES]).decode().rstrip("=").lower()


def with_told(record: Record, *types: EventType) -> Record:
    """The record once these were told of it."""
    told = told_of(record)
    counts = dict(told.counts)
    for type_ in types:
        counts[type_] = counts.get(type_, 0) + 1
    return replace(record, told=replace(told, counts=counts)) if types else record


def told_of(record: Record) -> Told:
    """Of the present operation."""
    return record.told if record.told.operation == record.operation else Told(operation=record.operation)


def told_by_both(record: Record, one: Record, other: Record) -> Told:
    """What was told of its present operation on either side."""
    known = [each.told.counts for each in (one, other) if each.told.operation == record.operation]
    types = sorted({type_ for counts in known for type_ in counts})
    counts = {type_: max(each.get(type_, 0) for each in known) for type_ in types}
    return Told(operation=record.operation, counts=counts) if counts else record.told
