"""What a private store begins with when the shared one goes out: every record that is known here, and a few facts."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from novita_gpu.control.listening import FACT as LISTENING
from novita_gpu.control.listening import Mark, mark_text
from novita_gpu.domain.api_key import ApiKey
from novita_gpu.domain.instance import InstanceId, Record
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import Change, NotRunning
from novita_gpu.store.stored import record_document

# The ids of the keys of the API that there were then, to tell later which were revoked since.
KEYS = "base:keys"

# Written last: a private store without it was never begun, or is done with.
PARTED = "parted"

# Records that are written at the same time: they share the disk's flushes.
AT_ONCE = 64


class Known(Value, frozen=True, kw_only=True):
    """What this process knows of the shared store. `facts` are those that make it one deployment's.

    `alone`: nobody else took heartbeats of late, so that silence here is silence.
    """

    records: tuple[Record, ...] = ()
    activities: dict[InstanceId, datetime]
    sequence: int = 0
    facts: dict[str, str]
    api_keys: tuple[ApiKey, ...] = ()
    alone: bool = False


def known_by(store: Store, facts: Mapping[str, str], *, alone: bool) -> Known:
    """What the view holds now."""
    view = store.view
    records = tuple(view.all())
    activities = {record.id: at for record in records if (at := view.activity(record.id))}
    return Known(
        records=records,
        activities=activities,
        sequence=view.sequence,
        facts=dict(facts),
        api_keys=tuple(store.api_keys.all()),
        alone=alone,
    )


async def part(known: Known, private: Store, session: str, now: datetime) -> None:
    """Fills an empty private store. May be repeated after a crash. Raises the private store's `Unavailable`."""
    for name, value in known.facts.items():
        await private.facts.first(name, value)
    await private.facts.raise_sequence(known.sequence)
    for key in known.api_keys:
        await private.api_keys.add(key)
    await private.facts.put(KEYS, " ".join(key.id for key in known.api_keys))
    for chunk in _chunks(known.records):
        await asyncio.gather(*(_copy(record, private) for record in chunk))
    for instance, at in known.activities.items():
        try:
            await private.records.touch(instance, at)
        except NotRunning:
            continue
    mark = Mark(since=now, at=now, elsewhere=not known.alone)
    await private.facts.put(LISTENING, mark_text(mark))
    await private.facts.put(PARTED, session)


async def _copy(record: Record, private: Store) -> None:
    """With the revision that it has in the shared store, and the record as it was, to tell later what moved."""
    await private.facts.put(base_fact(record.id), record_document(record).decode())
    copy = replace(record, base=record.revision)
    await private.records.commit(Change(id=f"part:{record.id}", before=None, after=copy))


def base_fact(instance: InstanceId) -> str:
    """The name under which a record is kept as it was when the stores parted."""
    return f"base:{instance}"


def _chunks(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    return (records[start : start + AT_ONCE] for start in range(0, len(records), AT_ONCE))
