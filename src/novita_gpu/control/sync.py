"""Comparison with the cloud at a person's wish: one listing, taken in as the sweep does, and what it found.

It decides nothing about records: it counts what the passes will do, by the functions that they use, and rings for them.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.cloud.base import Cloud, CloudError, Listing
from novita_gpu.contract import AdoptedView, SyncFault, SyncReport, SyncRequest, UnclaimedView, time_text
from novita_gpu.control.adoption import Adoption, name_of
from novita_gpu.control.bell import Bell
from novita_gpu.control.commands import Caller
from novita_gpu.control.ledger import Ledger
from novita_gpu.control.pace import paced
from novita_gpu.control.sweep import Survey, Sweep, absent
from novita_gpu.control.sync_log import SyncLog
from novita_gpu.domain.case import Policy
from novita_gpu.domain.compare import Finding, finding
from novita_gpu.domain.errors import Missing, Problem, Unavailable
from novita_gpu.domain.instance import CloudId
from novita_gpu.domain.learn import CONFIRM_AFTER
from novita_gpu.domain.money import price_text
from novita_gpu.domain.orphans import REMOVALS, WISH_FOR, Orphans, Standing, Unclaimed, held_back, standing
from novita_gpu.domain.value import Value
from novita_gpu.store import Store


class Found(Value, frozen=True, kw_only=True):
    """What a listing says of the records, and how it is believed."""

    survey: Survey
    findings: dict[Finding, int]
    removes: tuple[CloudId, ...]
    confirmed: frozenset[CloudId] | None  # None: nothing had to be confirmed

    def count(self, what: Finding) -> int:
        return self.findings.get(what, 0)


class Sync:
    """One comparison a call. Raises the cloud's errors when there is no listing, and the store's."""

    def __init__(
        self,
        *,
        store: Store,
        cloud: Cloud,
        sweep: Sweep,
        sync_log: SyncLog,
        adoption: Adoption,
        bell: Bell,
        policy: Policy,
        deployment: str,
        look_soon: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._cloud, self._sweep, self._adoption, self._bell = store, cloud, sweep, adoption, bell
        self._policy, self._deployment, self._look_soon, self._now = policy, deployment, look_soon, now
        self._log, self._ledger = sync_log, Ledger(store)

    async def sync(self, request: SyncRequest, caller: Caller) -> SyncReport:
        """A dry run reads, and writes nothing at all; its figures are those of the real run."""
        begun = time.perf_counter()
        if not self._store.view.loaded:
            message = "The records are not loaded yet; without them all would seem well."
            raise Unavailable("STORE_UNAVAILABLE", message, retry_after=self._look_soon)
        before = await self._store.looks.mark()
        found = await self._compare(await self._cloud.listing(), request)
        faults = list(_faults(found.survey, request))
        adopted = [one async for one in self._adopted(found.survey, request, caller, faults)]
        found = _without(found, [one.novita_instance_id for one in adopted])
        removed = await self._ledger.removable(found.removes, self._now())
        if removed < len(found.removes):
            faults.append(SyncFault(code="LIMIT_REACHED", message=f"At most {REMOVALS} orphans are removed an hour."))
        if not request.dry_run:
            if found.confirmed is not None:
                await self._sweep.confirm_gone(found.confirmed, caller.actor)
            await self._sweep.take_in(found.survey, before, thorough=True)
            if found.count(Finding.MISSING):
                await self._bell.look(self._now() + CONFIRM_AFTER + self._look_soon)
        told = await self._told(found.survey)
        report = SyncReport(
            novita_instances=len(found.survey.listing.rows),
            local_instances=sum(record.deleted_at is None for record in found.survey.records),
            adopted=found.count(Finding.ADOPTED) + len(adopted),
            updated=found.count(Finding.UPDATED),
            closed=found.count(Finding.CLOSED),
            missing=found.count(Finding.MISSING),
            orphans=tuple(view for view, lookalike in told if not lookalike),
            lookalikes=tuple(view for view, lookalike in told if lookalike),
            orphans_removed=removed,
            adoptions=tuple(adopted),
            confirmed_gone=tuple(sorted(found.confirmed or ())),
            errors=tuple(faults),
            duration_ms=round((time.perf_counter() - begun) * 1000, 1),
            dry_run=request.dry_run,
        )
        if not request.dry_run:
            await self._log.keep(report, caller.actor, whole=found.survey.listed.whole)
        return report

    async def _compare(self, listing: Listing, request: SyncRequest) -> Found:
        survey, confirmed = await self._sweep.survey(listing), None
        if request.confirm_gone and listing.complete and survey.doubt:
            confirmed = absent(listing, survey.records)
            survey = await self._sweep.survey(listing, confirmed)
        findings, removes = await self._findings(survey, _wanted(survey.orphans, self._wish(request)))
        survey = replace(survey, orphans=_wanted(survey.orphans, self._wish(request), removes))
        return Found(survey=survey, findings=findings, removes=removes, confirmed=confirmed)

    def _wish(self, request: SyncRequest) -> datetime | None:
        return self._now() + WISH_FOR if request.remove_orphans else None

    async def _findings(self, survey: Survey, orphans: Orphans) -> tuple[dict[Finding, int], tuple[CloudId, ...]]:
        """How often each is found, and the orphans that may be removed."""
        counted: dict[Finding, int] = {}
        removes: list[CloudId] = []
        async for record in paced(survey.records):
            look = survey.listed.look(record)
            what = finding(record, look, self._now(), self._policy, orphans)
            if what:
                counted[what] = counted.get(what, 0) + 1
            if what is Finding.REMOVES:
                removes += [row.id for row in look.marked if standing(record, row) is Standing.ORPHAN]
        return counted, tuple(removes)

    async def _adopted(
        self, survey: Survey, request: SyncRequest, caller: Caller, faults: list[SyncFault]
    ) -> AsyncIterator[AdoptedView]:
        for machine in map(CloudId, request.adopt):
            try:
                yield await self._adopt(survey, machine, caller, dry_run=request.dry_run)
            except Problem as problem:
                faults.append(SyncFault(code=problem.code, message=problem.message, novita_instance_id=machine))
            except CloudError as error:
                faults.append(SyncFault(code="NOVITA_API_ERROR", message=error.message, novita_instance_id=machine))

    async def _adopt(self, survey: Survey, machine: CloudId, caller: Caller, *, dry_run: bool) -> AdoptedView:
        row = survey.listed.by_id.get(machine)
        if row is None:
            raise Missing("INSTANCE_NOT_FOUND", f"{machine} is not among the machines that the cloud lists.")
        if self._store.is_away:
            message = f"The shared store is out, and whether {machine} has a record there cannot be told."
            raise Unavailable("STORE_UNAVAILABLE", message)
        self._adoption.check(row, survey.records)
        if dry_run:
            return AdoptedView(novita_instance_id=machine, name=name_of(row, self._deployment))
        record = await self._adoption.take_in(row, survey.listing.rows, caller.cause)
        await self._bell.ring(record.id)
        return AdoptedView(novita_instance_id=machine, instance_id=record.id, name=record.name)

    async def _told(self, survey: Survey) -> list[tuple[UnclaimedView, bool]]:
        return [(await self._view(one, survey), one.lookalike) for one in survey.orphans.known]

    async def _view(self, one: Unclaimed, survey: Survey) -> UnclaimedView:
        row = survey.listed.by_id.get(one.id)
        price = await self._adoption.price(row) if row else None
        return UnclaimedView(
            novita_instance_id=one.id,
            name=one.name,
            since=time_text(one.since),
            usd_per_hour=price_text(price) if price else None,
            held_back=None if one.lookalike else self._held_back(one, survey),
        )

    def _held_back(self, one: Unclaimed, survey: Survey) -> str | None:
        row = survey.listed.by_id.get(one.id)
        if row is None or not survey.listed.whole:
            return "there is no complete listing that can be believed"
        if not any(standing(record, row) is Standing.ORPHAN for record in survey.records):
            return "no closed instance had it"
        return held_back(row, survey.orphans, self._policy.orphans, self._now())


def _wanted(orphans: Orphans, until: datetime | None, which: Collection[CloudId] | None = None) -> Orphans:
    """With the wish to remove them written down, where there is one: all, or only `which`."""
    if until is None:
        return orphans
    known = (replace(one, wanted_until=until) if which is None or one.id in which else one for one in orphans.known)
    return replace(orphans, known=tuple(known))


def _without(found: Found, adopted: Collection[str]) -> Found:
    """What was just taken in is nobody's orphan."""
    survey = found.survey
    known = tuple(one for one in survey.orphans.known if one.id not in adopted)
    survey = replace(
        survey,
        orphans=replace(survey.orphans, known=known),
        found=tuple(one for one in survey.found if one.id not in adopted),
    )
    return replace(found, survey=survey, removes=tuple(m for m in found.removes if m not in adopted))


def _faults(survey: Survey, request: SyncRequest) -> Iterator[SyncFault]:
    listing = survey.listing
    if not listing.complete:
        asked = " and nothing confirmed" if request.confirm_gone else ""
        message = f"Nothing is closed or removed for it{asked}: {listing.fault or 'it was not read whole'}"
        yield SyncFault(code="LISTING_INCOMPLETE", message=message)
    if survey.doubt:
        code = survey.doubt.type.removeprefix("sync.").upper()
        yield SyncFault(code=code, message=f"{survey.doubt.reason}; no instance is closed for it. confirmGone goes on.")
