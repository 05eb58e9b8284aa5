"""What a person may ask for. Each command stores a wish and rings; it never waits for the cloud to fulfil it."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import replace

from novita_gpu.contract import (
    Accepted,
    BulkRow,
    CreateInstance,
    ErrorView,
    Outcome,
    PatchInstance,
    StartInstance,
    WishBody,
    answer_of,
    time_text,
)
from novita_gpu.control.bell import Bell
from novita_gpu.control.ceilings import Ceilings, agreed, agreed_recovery
from novita_gpu.control.elsewhere import Elsewhere
from novita_gpu.control.journal import Journal
from novita_gpu.control.order import Orders, Quote
from novita_gpu.control.refusals import no_heartbeat, refusal, taken
from novita_gpu.domain.advice import promise
from novita_gpu.domain.answers import new_run
from novita_gpu.domain.api_key import FREE, KeyLimits, Owner
from novita_gpu.domain.errors import Conflicting, Fault, Invalid, Missing, Problem, Refused, Unavailable
from novita_gpu.domain.estimate import ready_by
from novita_gpu.domain.events import Cause
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import CloudId, InstanceId, Offer, Record, Run, RunKind, Status, Wish, status
from novita_gpu.domain.limits import UNLIMITED, Limits, figures, over_price
from novita_gpu.domain.money import compute_rate, price_text
from novita_gpu.domain.recovery import without_recovery
from novita_gpu.domain.spec import AutoStop, HealthCheck, OnStartCapacity, Recovery
from novita_gpu.domain.value import Value
from novita_gpu.domain.wishes import Response, Verb, response
from novita_gpu.store import Store
from novita_gpu.store.base import Answer, Claim, ClaimLost, NameTaken, NotRunning, OverLimit, Stale

T = TypeVar("T")

AHEAD = timedelta(seconds=60)
# Times are answered to the millisecond: an answered `createdAt` may be handed back.
TOLD_TO = timedelta(milliseconds=1)
# A commit that lost its guard this often meets a record that changes faster than it can be read.
TRIES = 10


class Caller(Value, frozen=True, kw_only=True):
    """Who asks: the key's name, id, limits and scopes, the correlation id, and the mark of its Idempotency-Key."""

    actor: str
    key_id: str = ""
    limits: KeyLimits = FREE
    correlation: str = ""
    scopes: frozenset[str] = frozenset()
    claim: Claim | None = None

    @property
    def cause(self) -> Cause:
        return Cause(actor=self.actor, correlation=self.correlation)

    @property
    def owner(self) -> Owner | None:
        """Of what it creates."""
        return Owner(key=self.key_id, name=self.actor, limits=self.limits) if self.key_id else None


class Defaults(Value, frozen=True, kw_only=True):
    """The operator's policy for what a request leaves out."""

    health_check: HealthCheck = HealthCheck()
    auto_stop: AutoStop = AutoStop()
    recovery: Recovery = Recovery()
    on_start_capacity: OnStartCapacity = OnStartCapacity.WAIT
    ceilings: Ceilings = Ceilings()
    idle: IdlePolicy = IdlePolicy()


class Commands:
    def __init__(
        self,
        *,
        store: Store,
        orders: Orders,
        journal: Journal,
        bell: Bell,
        defaults: Defaults,
        limits: Limits = UNLIMITED,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
        check_receiver: Callable[[str], None],
        look_soon: timedelta,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._store, self._orders, self._journal, self._bell = store, orders, journal, bell
        self._defaults, self._limits, self._now, self._new_id = defaults, limits, now, new_id
        self._check_receiver, self._look_soon, self._elsewhere = check_receiver, look_soon, elsewhere

    async def create(self, request: CreateInstance, caller: Caller) -> Outcome:
        """Stores the instance; passes buy its machine. Raises every `Problem` before anything is stored."""
        self._receivers(request.webhook_url)
        await self._refuse_taken(request.name)
        if self._store.is_away and self._elsewhere:
            await self._elsewhere.refuse_taken(request.name)
        quote = await self._orders.quote(request, caller.limits.regions)
        self._orders.refuse_without_offer(quote)
        record = self._record(request, quote, caller)
        accepted = self._expectation(record, quote)
        outcome = Outcome(accepted=accepted, began=True, created=True, kept=caller.claim is not None)
        try:
            await self._commit(None, record, caller, outcome, self._limits)
        except NameTaken as lost:
            raise taken(lost.name, lost.owner) from None
        await self._wake(record.id)
        return outcome

    async def start(self, ref: str, request: StartInstance, caller: Caller) -> Outcome:
        self._receivers(request.webhook_url)

        def begin(record: Record) -> Record:
            kind = RunKind.START if record.machine and record.machine.ran else RunKind.LAUNCH
            run = Run(kind=kind, asked_at=self._now())
            started = new_run(record, run, self._journal.operation())
            return replace(started, health_check=request.health_check(record.health_check))

        return await self._wish(Verb.START, ref, begin, request.webhook_url, caller)

    async def stop(self, ref: str, request: WishBody, caller: Caller) -> Outcome:
        return await self._wish(Verb.STOP, ref, self._turned(Wish.STOPPED), request.webhook_url, caller)

    async def delete(self, ref: str, request: WishBody, caller: Caller) -> Outcome:
        return await self._wish(Verb.DELETE, ref, self._turned(Wish.DELETED), request.webhook_url, caller)

    async def restart(self, ref: str, request: WishBody, caller: Caller) -> Outcome:
        def begin(record: Record) -> Record:
            return new_run(record, Run(kind=RunKind.RESTART, asked_at=self._now()), self._journal.operation())

        return await self._wish(Verb.RESTART, ref, begin, request.webhook_url, caller)

    async def patch(self, ref: str, request: PatchInstance, caller: Caller) -> Record:
        """Changes the policy of a living instance; what the request leaves out stays."""
        url = request.webhook_url
        if isinstance(url, str):
            self._receivers(url)

        async def change(record: Record) -> Record:
            if record.deleted_at:
                raise Conflicting("INSTANCE_NOT_RUNNING", f"{record.name} is deleted; nothing of it can change.")
            ceilings, now, stop = self._defaults.ceilings, self._now(), request.auto_stop
            after = replace(
                record,
                auto_stop=agreed(stop, record.auto_stop, ceilings, record.spec, now) if stop else record.auto_stop,
                recovery=agreed_recovery(request.recovery, record.recovery),
                on_start_capacity=request.on_start_capacity or record.on_start_capacity,
                webhook_url=url if isinstance(url, str) or url is None else record.webhook_url,
            )
            if after == record:
                return record
            after = replace(after, due=self._now())
            return await self._journal.write(self._journal.updated(record, after, caller.cause, self._now()))

        record = await self._guarded(ref, change)
        await self._bell.ring(record.id)
        return record

    async def touch(self, ref: str, at: datetime | None, told: str | None = None) -> tuple[Record, datetime]:
        """A sign of life. Never moves backwards; refused once a stop or delete is under way or done.

        `told`: the time in the caller's own words.
        """
        record, now = await self.resolve(ref), self._now()
        if at and not record.created_at - TOLD_TO < at <= now + AHEAD:
            message = "Must not be before the instance's creation, nor more than 60 s ahead."
            raise Invalid(Fault(field="lastUsedAt", message=message, value=told))
        try:
            return record, await self._store.records.touch(record.id, at or now)
        except NotRunning:
            raise no_heartbeat(await self.resolve(record.id)) from None

    async def stop_all(self, *, dry_run: bool, caller: Caller) -> list[BulkRow]:
        """Stops everything that bills or is about to: whatever is wanted running and has not failed."""
        records = await self._store.records.load_many(await self._store.records.living())
        return [
            await self._bulk_row(record, dry_run, replace(caller, claim=None))
            for record in records
            if record.wants is Wish.RUNNING and status(record) is not Status.FAILED
        ]

    async def resolve(self, ref: str) -> Record:
        """The instance with that id, else with that cloud id, else with that name (the living one first)."""
        records = self._store.records
        found = await records.load(InstanceId(ref))
        if found is None:
            owner = await records.id_of_machine(CloudId(ref)) or await records.id_of_name(ref)
            found = await records.load(owner) if owner else None
        if found is None:
            raise Missing("INSTANCE_NOT_FOUND", f"There is no instance {ref}. List them to see ids and names.")
        return found

    async def _bulk_row(self, record: Record, dry_run: bool, caller: Caller) -> BulkRow:
        if dry_run:
            return BulkRow(instance_id=record.id, name=record.name, status=status(record))
        try:
            outcome = await self.stop(record.id, WishBody(), caller)
        except Problem as problem:
            error = ErrorView(code=problem.code, message=problem.message)
            return BulkRow(instance_id=record.id, name=record.name, status=status(record), error=error)
        return BulkRow(instance_id=record.id, name=record.name, status=outcome.accepted.status)

    def _record(self, request: CreateInstance, quote: Quote, caller: Caller) -> Record:
        spec, now, defaults = quote.spec, self._now(), self._defaults
        check = request.health_check
        return Record(
            id=InstanceId(self._new_id("ins")),
            name=request.name,
            spec=spec,
            wants=Wish.RUNNING,
            operation=self._journal.operation(),
            correlation=caller.correlation,
            owner=caller.owner,
            created_at=now,
            updated_at=now,
            run=Run(kind=RunKind.LAUNCH, asked_at=now),
            health_check=check.over(defaults.health_check) if check else defaults.health_check,
            auto_stop=agreed(request.auto_stop, defaults.auto_stop, defaults.ceilings, spec, now),
            recovery=agreed_recovery(request.recovery, defaults.recovery),
            on_start_capacity=request.on_start_capacity or defaults.on_start_capacity,
            dearest=dearest(quote, self._limits),
            webhook_url=request.webhook_url,
            due=now,
        )

    def _expectation(self, record: Record, quote: Quote) -> Accepted:
        """What create answers: the first offer, when a catalogue is at hand."""
        accepted = _accepted(record, f"Accepted. {promise(record.auto_stop, self._defaults.idle)}")
        if quote.fault:
            accepted = replace(accepted, message=f"{accepted.message} {_out_of_date(quote)}")
        if quote.ranking is None or not quote.ranking.offers:
            return accepted
        offer = quote.ranking.offers[0]
        return replace(
            accepted,
            region=offer.region,
            product_id=offer.product_id,
            price_per_hour=price_text(offer.units_per_hour),
            estimated_ready_time=self._ready_by(offer, RunKind.LAUNCH),
        )

    def _ready_by(self, offer: Offer | None, kind: RunKind) -> str | None:
        at = ready_by(self._store.view.all(), offer, kind, self._now())
        return time_text(at) if at else None

    def _turned(self, wish: Wish) -> Callable[[Record], Record]:
        def begin(record: Record) -> Record:
            return replace(
                without_recovery(record, wish),
                wants=wish,
                generation=record.generation + 1,
                operation=self._journal.operation(),
                reason=None,
            )

        return begin

    async def _wish(
        self, verb: Verb, ref: str, begin: Callable[[Record], Record], webhook_url: str | None, caller: Caller
    ) -> Outcome:
        """Table of wishes by status, under the record's revision."""
        self._receivers(webhook_url)

        async def wish(record: Record) -> Outcome:
            answer = response(verb, status(record))
            if answer is Response.REFUSE:
                raise refusal(verb, record)
            if answer is not Response.BEGIN:
                began = answer is Response.SAME
                if not began:
                    await self._note(record, caller)
                text = f"{verb} is already under way." if began else f"It is already {status(record)}."
                return Outcome(accepted=_accepted(record, text), began=began)
            after = replace(
                begin(record), operation_webhook_url=webhook_url, correlation=caller.correlation, due=self._now()
            )
            accepted = _accepted(after, f"{verb.capitalize()} was accepted and will happen.")
            if verb is Verb.START:
                _refuse_foreign(record, caller)
            if verb is Verb.START and after.machine:
                self._refuse_dear(after.machine.offer)
            if after.wants is Wish.RUNNING:
                estimate = self._ready_by(after.offer, after.run.kind)
                accepted = replace(accepted, estimated_ready_time=estimate)
            outcome = Outcome(accepted=accepted, began=True, kept=caller.claim is not None)
            await self._commit(record, after, caller, outcome, self._limits if verb is Verb.START else None)
            await self._wake(record.id)
            return outcome

        return await self._guarded(ref, wish)

    async def _note(self, record: Record, caller: Caller) -> None:
        """While the shared store is out what seems so may be otherwise there: that it was asked for counts then."""
        if record.base is not None and record.wants is not Wish.RUNNING:
            asked = replace(record, generation=record.generation + 1)
            await self._journal.write(self._journal.change(record, asked, caller.cause, self._now()))

    async def _guarded(self, ref: str, act: Callable[[Record], Awaitable[T]]) -> T:
        """Decides anew as long as the record moves on under the decision."""
        for _ in range(TRIES):
            try:
                return await act(await self.resolve(ref))
            except Stale:
                continue
        raise Unavailable(
            "STORE_UNAVAILABLE", "The instance changes too fast; try again.", retry_after=timedelta(seconds=1)
        )

    def _refuse_dear(self, offer: Offer) -> None:
        dear = over_price(offer.units_per_hour, self._limits)
        if dear:
            details = figures(self._limits, None, compute_rate(offer.units_per_hour))
            raise Refused("LIMIT_REACHED", f"{dear}.", details=details)

    async def _commit(
        self, before: Record | None, after: Record, caller: Caller, outcome: Outcome, limits: Limits | None = None
    ) -> None:
        code, body = answer_of(outcome)
        answer = Answer(status=code, body=body) if caller.claim else None
        change = self._journal.change(
            before, after, caller.cause, self._now(), claim=caller.claim, answer=answer, limits=limits
        )
        try:
            await self._journal.write(change)
        except OverLimit as over:
            text = f"{over}. Stop or delete something, or have the limit raised."
            told = figures(over.limits, over.there, over.asked, over.key)
            raise Refused("LIMIT_REACHED", text, details=told) from None
        except ClaimLost:
            raise Conflicting(
                "IDEMPOTENCY_IN_PROGRESS",
                "Another request with this Idempotency-Key has taken over; ask again for its answer.",
                retry_after=timedelta(seconds=1),
            ) from None

    async def _refuse_taken(self, name: str) -> None:
        """A taken name is refused before the cloud's catalogue is asked; the commit guards it once more."""
        owner = await self._store.records.id_of_name(name)
        record = await self._store.records.load(owner) if owner else None
        if record and record.deleted_at is None:
            raise taken(name, record.id)

    def _receivers(self, url: str | None) -> None:
        if url:
            self._check_receiver(url)

    async def _wake(self, instance: InstanceId) -> None:
        await self._bell.ring(instance)
        await self._bell.look(self._now() + self._look_soon)


def _accepted(record: Record, message: str) -> Accepted:
    return Accepted(
        instance_id=record.id,
        novita_instance_id=record.machine.id if record.machine else None,
        operation_id=record.operation,
        status=status(record),
        message=message,
    )


def dearest(quote: Quote, limits: Limits) -> int:
    """What is reserved for it: the dearest offer; without a catalogue the highest price that is allowed, if any."""
    if quote.ranking and quote.ranking.offers:
        return quote.ranking.dearest
    allowed = (quote.spec.max_units_per_hour, limits.max_price)
    return min((price for price in allowed if price is not None), default=0)


def _out_of_date(quote: Quote) -> str:
    if quote.at is None:
        return "The cloud does not answer now and no catalogue is at hand: offers are chosen once it does."
    return f"The cloud does not answer now; its catalogue is of {time_text(quote.at)}, and nothing is bought by it."


def _refuse_foreign(record: Record, caller: Caller) -> None:
    """What a key with limits did not create counts against another, so it would start without a limit."""
    if caller.limits != FREE and (record.owner is None or record.owner.key != caller.key_id):
        text = f"The key {caller.actor} has limits, and starts only what it created; {record.name} is another's."
        raise Refused("FORBIDDEN", text)
