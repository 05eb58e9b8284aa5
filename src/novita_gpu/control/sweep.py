"""One listing of the cloud for all instances: published for the passes, compared with the records, rung where it tells
something new. It decides nothing.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from novita_gpu.cloud.base import Cloud, CloudError, Listing
from novita_gpu.control.bell import Bell, NextLook
from novita_gpu.control.ledger import Ledger
from novita_gpu.control.pace import paced
from novita_gpu.control.waking import alarms_kept, woken
from novita_gpu.domain.case import Policy
from novita_gpu.domain.compare import Listed, is_news, listed
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import CloudId, MutationKind, Record, Wish, is_moving
from novita_gpu.domain.learn import YOUNG, Note
from novita_gpu.domain.look import Row, SweepMark
from novita_gpu.domain.orphans import CLAIMS, Orphans, Unclaimed, mark_of, sighted, standing, unclaimed
from novita_gpu.domain.recovery import look_every
from novita_gpu.domain.value import Value
from novita_gpu.observe import tell
from novita_gpu.store import Store

log = structlog.get_logger()

# From this many machines gone at once, and over half of all, an absence is not believed.
MASS = 3
PAGE = 100
ACCOUNT = "account"
NONE: frozenset[CloudId] = frozenset()
DEFAULT = Policy()
# Between listings while a spot machine is meant to run.
SPOT = timedelta(seconds=10)


class Survey(Value, frozen=True, kw_only=True):
    """A listing beside all records, with what it lets us believe. Nothing is written yet.

    `orphans` counts this listing in; `found` are those that it shows for the first time.
    """

    listing: Listing
    records: tuple[Record, ...]
    doubt: Note | None
    listed: Listed
    orphans: Orphans
    known: tuple[Unclaimed, ...]
    found: tuple[Unclaimed, ...]


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
        spot: timedelta = SPOT,
        stretch: Callable[[int, timedelta], timedelta],
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        policy: Policy = DEFAULT,
    ) -> None:
        self._store, self._cloud, self._bell, self._deployment = store, cloud, bell, deployment
        self._moving, self._resting, self._spot, self._stretch = moving, resting, spot, stretch
        self._now, self._new_id, self._policy = now, new_id, policy
        self._account, self._is_known_account = account, False
        self._ledger = Ledger(store)

    async def sweep(self, *, asked: bool) -> NextLook:
        """Look at everything once. Answers when the next look is due.

        `asked`: somebody waits for news, so that the look is put off only until the shortest interval is over. Else it
        is the look that the last listing announced; after a listing in between it is the one that this has announced.
        """
        if not self._store.view.loaded:
            return NextLook(at=self._now() + self._moving, asked=asked)  # without records all would seem well
        before = await self._store.looks.mark()
        if before and asked and self._now() < self.earliest(before):
            return NextLook(at=self.earliest(before), asked=True)
        if before and not asked and self._now() < before.next_at - self._moving / 2:
            return NextLook(at=before.next_at)
        try:
            listing = await self._cloud.listing()
        except CloudError as error:
            log.warning("sweep.failed", error=error.message)
            return NextLook(at=self._now() + max(self._moving, error.retry_after or self._moving))
        mark = await self.take_in(await self.survey(listing), before)
        return NextLook(at=mark.next_at)

    def earliest(self, before: SweepMark) -> datetime:
        """Listings follow each other no faster than this, however many ask."""
        return before.began_at + self._stretch(pages(before.total), self._moving) * 0.9

    async def survey(self, listing: Listing, confirmed: Collection[CloudId] | None = None) -> Survey:
        """Reads only. `confirmed`: what is absent by an operator's word, else what was confirmed before."""
        records = tuple(self._store.view.all())
        doubt = await self._doubt(listing, records, confirmed)
        whole = listing.complete and doubt is None
        index = listed(listing.rows, listing.began_at, whole=whole)
        known, orphans, found = await self._unclaimed(listing, records, whole=whole)
        return Survey(
            listing=listing, records=records, doubt=doubt, listed=index, orphans=orphans, known=known, found=found
        )

    async def take_in(self, survey: Survey, before: SweepMark | None, *, thorough: bool = False) -> SweepMark:
        """Publishes it, rings whoever it tells news of, and tells once of machines that nobody has.

        `thorough`: rings also whoever is on the way somewhere, and sets the alarms that were lost.
        """
        mark = await self._publish(survey, before)
        now = self._now()
        records = paced(survey.records)
        await woken(self._bell, [r async for r in records if self._is_to_wake(r, survey, now, thorough)], now)
        if thorough:
            await alarms_kept(self._bell, survey.records, now)
        return mark

    def _is_to_wake(self, record: Record, survey: Survey, now: datetime, thorough: bool) -> bool:
        overdue = record.due is not None and record.due <= now
        if overdue or (thorough and is_moving(record)):
            return True
        return is_news(record, survey.listed.look(record), now, self._policy, survey.orphans)

    async def _publish(self, survey: Survey, before: SweepMark | None) -> SweepMark:
        listing, doubt = survey.listing, survey.doubt
        if doubt is None:
            await self._keep_account()
        elif before is None or before.trusted:
            await self._tell(doubt.type, f"{doubt.reason}; no instance is closed for it")
        wanted = self._wanted(survey.records)
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
            previous_at=before and (before.began_at if before.complete else before.previous_at),
        )
        if await self._store.looks.publish(listing.rows, mark):
            await self._remember(survey)
        return mark

    def _wanted(self, records: Sequence[Record]) -> timedelta:
        """The interval that what is meant to run calls for."""
        if any(is_moving(record) for record in records):
            return self._moving
        spot = look_every(records, self._now(), spot=self._spot, moving=self._moving)
        return self._resting if spot is None else min(spot, self._resting)

    async def _doubt(
        self, listing: Listing, records: Sequence[Record], confirmed: Collection[CloudId] | None
    ) -> Note | None:
        """Why absence in this listing is not believed; None if it may be."""
        if confirmed is None and not await self._is_our_account(listing, records):
            reason = "the API key has changed and the cloud lists none of our machines: it may be another account's"
            return Note(type=EventType.ACCOUNT_CHANGED, reason=reason)
        if not is_mass_absence(listing, records):
            return None
        believed = await self._ledger.confirmed(self._now()) if confirmed is None else confirmed
        if not is_mass_absence(listing, records, believed):
            return None
        reason = f"the cloud lists {listing.total} machines and most of ours are not among them"
        return Note(type=EventType.MASS_ABSENCE, reason=reason)

    async def _is_our_account(self, listing: Listing, records: Iterable[Record]) -> bool:
        """A new key is taken for the same account's once it shows a machine of ours, or when there is none to miss."""
        if self._is_known_account:
            return True
        kept = await self._store.facts.fact(ACCOUNT)
        ours = {record.machine.id for record in records if record.machine}
        return kept in {None, self._account} or not ours or any(row.id in ours for row in listing.rows)

    async def _keep_account(self) -> None:
        if not self._is_known_account:
            await self._store.facts.put(ACCOUNT, self._account)
            self._is_known_account = True

    async def confirm_gone(self, machines: Collection[CloudId], actor: str) -> None:
        """The absence of these is believed for a while, and this key's account is taken for ours."""
        await self._ledger.confirm(machines, self._now())
        await self._keep_account()
        reason = f"{len(machines)} missing machines may be closed: {', '.join(sorted(machines))}"
        await self._tell(EventType.GONE_CONFIRMED, reason, actor=actor)

    async def _unclaimed(
        self, listing: Listing, records: Sequence[Record], *, whole: bool
    ) -> tuple[tuple[Unclaimed, ...], Orphans, tuple[Unclaimed, ...]]:
        """Machines that nobody has: as they were known, as they are known now, and the new ones among these.

        Away from the shared store that cannot be told: others may have made them.
        """
        if self._store.is_away:
            return (), Orphans(), ()
        known = await self._ledger.known()
        shown = list(unclaimed(listing.rows, records, self._deployment))
        if not known and not shown:
            return (), Orphans(), ()
        before = Orphans(known=known, incarnation=await self._ledger.incarnation())
        before_ids = {one.id for one in known}
        shown = [(row, half) for row, half in shown if half or row.id in before_ids or not await self._is_had(row)]
        after = sighted(before, shown, {row.id for row in listing.rows}, listing.began_at, whole=whole)
        return known, after, tuple(one for one in after.known if one.id not in before_ids)

    async def _is_had(self, row: Row) -> bool:
        """By a record that the view does not show yet."""
        mark, records = mark_of(row.marker, self._deployment), self._store.records
        owner = await records.load(mark.owner) if mark else None
        if owner and standing(owner, row) in CLAIMS:
            return True
        holder = await records.id_of_machine(row.id)
        record = await records.load(holder) if holder else None
        return record is not None and record.deleted_at is None

    async def _remember(self, survey: Survey) -> None:
        """Told first: a crash in between tells it again, as the same event."""
        for one in survey.found:
            event_id = await self._store.facts.first(f"told:{one.id}", self._new_id("evt"))
            type_ = EventType.LOOKALIKE_FOUND if one.lookalike else EventType.ORPHAN_FOUND
            await self._tell(type_, f"{one.id} {one.name}", event_id=event_id)
        after = survey.orphans.known
        if after != survey.known:
            for machine in {one.id for one in survey.known} - {one.id for one in after}:
                await self._store.facts.forget(f"told:{machine}")
            await self._ledger.write(after)

    async def _tell(self, type_: EventType, reason: str, *, event_id: str = "", actor: str = "sync") -> None:
        event_id = event_id or self._new_id("evt")
        tell(
            await self._store.events.append(Event(id=event_id, type=type_, at=self._now(), actor=actor, reason=reason))
        )


def pages(total: int) -> int:
    return total // PAGE + 1


def absent(listing: Listing, records: Iterable[Record]) -> frozenset[CloudId]:
    """Machines of living records that the listing lacks."""
    return frozenset(r.machine.id for r in records if r.machine) - {row.id for row in listing.rows}


def _is_removed_here(record: Record) -> bool:
    """Its removal was sent by us, whatever is wished: a launch that was given up, or stopped before it ran."""
    sent = record.mutation
    return sent is not None and sent.kind is MutationKind.DELETE and not sent.refused


def is_mass_absence(listing: Listing, records: Iterable[Record], confirmed: Collection[CloudId] = NONE) -> bool:
    """Three or more, and over half of all machines that should be there, are missing from a complete listing.

    What was removed from here should not be there.
    """
    if not listing.complete:
        return False
    there = {row.id for row in listing.rows}
    expected = [
        r.machine.id
        for r in records
        if r.machine
        and r.machine.id not in confirmed
        and r.wants is not Wish.DELETED
        and not _is_removed_here(r)
        and listing.began_at - r.machine.adopted_at >= YOUNG
    ]
    missing = [m for m in expected if m not in there]
    return len(missing) >= MASS and len(missing) * 2 > len(expected)
