"""What a private store begins with when the shared one goes out: every record that is known here, and a few facts."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from novita_gpu.control.listening import FACT as LISTENING
from novita_gpu.control.listening import Mark, mark_text
from novita_gpu.domain.api_key import ApiKey
from novita_gpu.domain.instance import InstanceId, Record
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import Change, NotRunning
from novita_gpu.store.stored import record_document, record_of

T = TypeVar("T")
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
    """What the view holds now. Of two living records of one name the older was closed, which was not heard of here."""
    view, newest = store.view, dict[str, InstanceId]()
    for record in view.all():
        if record.deleted_at is None:
            newest.setdefault(record.name, record.id)
    records = tuple(r for r in view.all() if r.deleted_at or newest[r.name] == r.id)
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
    for chunk in chunks(known.records):
        await asyncio.gather(*(copy(record, private, None) for record in chunk))
    for instance, at in known.activities.items():
        try:
            await private.records.touch(instance, at)
        except NotRunning:
            continue
    mark = Mark(since=now, at=now, elsewhere=not known.alone)
    await private.facts.put(LISTENING, mark_text(mark))
    await private.facts.put(PARTED, session)


class Base(Value, frozen=True, kw_only=True):
    """A record as the shared store had it when it was copied; `copied` is the revision of the copy."""

    record: Record
    copied: int

    def is_copied_as(self, ours: Record) -> bool:
        """It never moved since."""
        return ours.revision == self.copied


async def copy(record: Record, private: Store, before: Record | None) -> None:
    """Of what the shared store has, in the place of `before`; with it as it is there, to tell later what moved.

    Raises `Stale` where that has moved meanwhile: then it has the base that it had.
    """
    copied = max(record.revision, before.revision if before else 0) + 1
    await private.facts.put(_fact(record.id, record.revision), f"{copied} {record_document(record).decode()}")
    after = replace(record, base=record.revision)
    await private.records.commit(Change(id=f"copy:{record.id}:{copied}", before=before, after=after))


async def base_of(ours: Record, private: Store) -> Base | None:
    """None: it was made in the private store."""
    stored = await private.facts.fact(_fact(ours.id, ours.base)) if ours.base is not None else None
    if stored is None:
        return None
    copied, document = stored.split(" ", 1)
    return Base(record=record_of(document.encode(), str(ours.base).encode(), b"0"), copied=int(copied))


def _fact(instance: InstanceId, base: int) -> str:
    return f"base:{instance}:{base}"


def chunks(all_of_them: Sequence[T]) -> Iterable[Sequence[T]]:
    """Each of so many as are written at once."""
    return (all_of_them[start : start + AT_ONCE] for start in range(0, len(all_of_them), AT_ONCE))
