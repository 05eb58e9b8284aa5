"""One listing of the cloud for all instances: published for the passes, compared with the records, rung where it tells
something new. It decides nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import Cloud, CloudError, Listing
from novita_gpu.control.bell import Bell, NextLook
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import CloudId, InstanceId, Record, Wish, is_moving
from novita_gpu.domain.learn import YOUNG, Note
from novita_gpu.domain.look import Row, SweepMark
from novita_gpu.store import Store

log = structlog.get_logger()

# From this many machines gone at once, and over half of all, an absence is not believed.
MASS = 3
PAGE = 100
ACCOUNT = "account"


class Sweep:
    """`stretch(pages, wanted)` is the interval that the call budget allows; `account` tells API keys apart."""

    def __init__(
        self,
        *,
        store: Store,
        cloud: Cloud,
        bell: Bell,
        deployment: str,
        account: str,
        moving: timedelta,
        resting: timedelta,
        stretch: Callable[[int, timedelta], timedelta],
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._store, self._cloud, self._bell, self._deployment = store, cloud, bell, deployment
        self._moving, self._resting, self._stretch = moving, resting, stretch
        self._now, self._new_id = now, new_id
        self._account, self._is_known_account = account, False

    async def sweep(self, *, asked: bool) -> NextLook | None:
        """Look at everything once. Answers when the next look is due; None if another listing has seen to this one.

        `asked`: somebody waits for news, so that the look is put off until the shortest interval is over, and not
        dropped. Else it is the look that the last listing announced, which a listing in between makes needless.
        """
        if not self._store.view.loaded:
            return NextLook(at=self._now() + self._moving, asked=asked)  # without records all would seem well
        before = await self._store.looks.mark()
        if before and asked and self._now() < self._earliest(before):
            return NextLook(at=self._earliest(before), asked=True)
        if before and not asked and self._now() < before.next_at - self._moving / 2:
            return None
        try:
            listing = await self._cloud.listing()
        except CloudError as error:
            log.warning("sweep.failed", error=error.message)
            return NextLook(at=self._now() + max(self._moving, error.retry_after or self._moving))
        records = self._store.view.all()
        mark = await self._publish(listing, records, before)
        for record_id in _news(listing, records, trusted=mark.trusted, now=self._now()):
            await self._bell.ring(record_id)
        await self._report_orphans(listing.rows, {r.id for r in records})
        return NextLook(at=mark.next_at)

    def _earliest(self, before: SweepMark) -> datetime:
        """Listings follow each other no faster than this, however many ask."""
        return before.began_at + self._stretch(pages(before.total), self._moving) * 0.9

    async def _publish(self, listing: Listing, records: Sequence[Record], before: SweepMark | None) -> SweepMark:
        doubt = await self._doubt(listing, records)
        if doubt and (before is None or before.trusted):
            await self._tell(doubt)
        wanted = self._moving if any(is_moving(r) for r in records) else self._resting
        interval = self._stretch(pages(listing.total), wanted)
        mark = SweepMark(
            began_at=listing.began_at,
            ended_at=listing.ended_at,
            complete=listing.complete,
            trusted=doubt is None,
            total=listing.total,
            next_at=self._now() + interval,
            interval_s=interval.total_seconds(),
            fault=listing.fault or (doubt.reason if doubt else ""),
        )
        await self._store.looks.publish(listing.rows, mark)
        return mark

    async def _doubt(self, listing: Listing, records: Sequence[Record]) -> Note | None:
        """Why absence in this listing is not believed; None if it may be."""
        if not await self._is_our_account(listing, records):
            reason = "the API key has changed and the cloud lists none of our machines: it may be another account's"
            return Note(type=EventType.ACCOUNT_CHANGED, reason=reason)
        if is_mass_absence(listing, records):
            reason = f"the cloud lists {listing.total} machines and most of ours are not among them"
            return Note(type=EventType.MASS_ABSENCE, reason=reason)
        return None

    async def _is_our_account(self, listing: Listing, records: Iterable[Record]) -> bool:
        """A new key is taken for the same account's once it shows a machine of ours, or when there is none to miss."""
        if self._is_known_account:
            return True
        kept = await self._store.facts.first(ACCOUNT, self._account)
        ours = {record.machine.id for record in records if record.machine}
        if kept != self._account and ours and not any(row.id in ours for row in listing.rows):
            return False
        await self._store.facts.put(ACCOUNT, self._account)
        self._is_known_account = True
        return True

    async def _tell(self, doubt: Note) -> None:
        log.error("sweep.doubt", reason=doubt.reason)
        await self._store.events.append(self._event(doubt.type, f"{doubt.reason}; no instance is closed for it"))

    async def _report_orphans(self, rows: Iterable[Row], known: set[InstanceId]) -> None:
        """A machine with our deployment's marker and no record is told of once."""
        for row in rows:
            owner = owner_of(row.marker, self._deployment)
            if owner is None or owner in known or await self._store.records.load(owner):
                continue
            told = self._new_id("orphan")
            if await self._store.facts.first(f"orphan:{row.id}", told) == told:
                log.warning("orphan.found", machine=row.id, name=row.name)
                await self._store.events.append(self._event(EventType.ORPHAN_FOUND, f"{row.id} {row.name}"))

    def _event(self, type_: EventType, reason: str) -> Event:
        return Event(id=self._new_id("evt"), type=type_, at=self._now(), actor="sync", reason=reason)


def pages(total: int) -> int:
    return total // PAGE + 1


def owner_of(marker: str, deployment: str) -> InstanceId | None:
    """The instance that a marker of this deployment names; None for foreign machines and other deployments'."""
    parts = marker.split("/")
    return InstanceId(f"ins_{parts[1]}") if len(parts) == 3 and parts[0] == deployment else None


def is_mass_absence(listing: Listing, records: Iterable[Record]) -> bool:
    """Three or more, and over half of all machines that should be there, are missing from a complete listing."""
    if not listing.complete:
        return False
    listed = {row.id for row in listing.rows}
    expected = [
        r.machine.id
        for r in records
        if r.machine and r.wants is not Wish.DELETED and listing.began_at - r.machine.adopted_at >= YOUNG
    ]
    missing = [m for m in expected if m not in listed]
    return len(missing) >= MASS and len(missing) * 2 > len(expected)


def _news(listing: Listing, records: Iterable[Record], *, trusted: bool, now: datetime) -> Iterator[InstanceId]:
    """Whoever the listing tells something new about, and whoever is due."""
    by_id = {row.id: row for row in listing.rows}
    marked: dict[str, list[CloudId]] = {}
    for row in listing.rows:
        if row.marker:
            marked.setdefault(row.marker, []).append(row.id)
    absence_tells = listing.complete and trusted
    for record in records:
        overdue = record.due is not None and record.due <= now
        if overdue or _is_news(record, by_id, marked, listing.began_at, absence_tells=absence_tells):
            yield record.id


def _is_news(
    record: Record,
    by_id: dict[CloudId, Row],
    marked: dict[str, list[CloudId]],
    began_at: datetime,
    *,
    absence_tells: bool,
) -> bool:
    machine = record.machine.id if record.machine else None
    if any(i != machine for a in record.attempts for i in marked.get(a.marker, ())):
        return True  # one to adopt, or a twin
    if record.open_attempt and absence_tells:
        return True
    if record.machine is None:
        return False
    row = by_id.get(record.machine.id)
    if row is None:
        return absence_tells
    if record.seen is None or replace(row.seen, at=record.seen.at) != record.seen:
        return True
    since = record.looks_count_from
    # The first look that counts since a mutation tells something even in the same words: a restart is over.
    return is_moving(record) and since is not None and record.seen.at < since <= began_at
