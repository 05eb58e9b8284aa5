"""Buying a machine: offers in order, the intent stored first, the create sent within seconds of it or not at all."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import MUTATION_TIMEOUT, SEND_WITHIN, Cloud, CloudError, Lane, Order, machine_name
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.journal import Journal
from novita_gpu.control.replies import replied, reply_of
from novita_gpu.domain.answers import (
    FIRST_PAUSE,
    HOLD,
    LONGEST_PAUSE,
    Meaning,
    Reply,
    create_answered,
    failed,
    no_room,
    paused,
)
from novita_gpu.domain.events import Cause, EventType
from novita_gpu.domain.imaging import spec_of
from novita_gpu.domain.instance import Attempt, Offer, Record
from novita_gpu.domain.learn import Learned, Note
from novita_gpu.domain.limits import UNLIMITED, Limits
from novita_gpu.domain.money import price_text
from novita_gpu.domain.offers import EMPTY_FIRST, EMPTY_FORGIVEN, EMPTY_LONGEST, Ranking, empty_key, rank
from novita_gpu.domain.spec import BillingMode
from novita_gpu.store import Store
from novita_gpu.store.base import OverLimit

log = structlog.get_logger()

HELD_FACT = "creates-held"
CAUSE = Cause(actor="control")


class Launcher:
    """One attempt per call. Raises the store's `Stale` when the record moved on before the intent was stored."""

    def __init__(
        self,
        store: Store,
        cloud: Cloud,
        catalogue: Catalogue,
        journal: Journal,
        *,
        deployment: str,
        limits: Limits = UNLIMITED,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        mutation_timeout: timedelta = MUTATION_TIMEOUT,
    ) -> None:
        self._store, self._cloud, self._catalogue, self._journal = store, cloud, catalogue, journal
        self._deployment, self._limits, self._now, self._monotonic = deployment, limits, now, monotonic
        self._mutation_timeout = mutation_timeout

    async def launch(self, before: Record, learned: Learned) -> Record:
        """The record after the attempt, or after the reason why there was none was written down."""
        record = learned.record
        held = await self._store.facts.fact(HELD_FACT)
        if held is not None:
            run = replace(record.run, not_before=self._now() + HOLD)
            return await self._write(before, replace(learned, record=replace(record, run=run, reason=held)))
        try:
            async with self._cloud.permit(Lane.SPENDING):  # first: a wait for a place would make the prices old
                ranking = await self._offers(record)
                if ranking.offers:
                    return await self._attempt(before, learned, ranking)
            if _may_go_on_demand(record):
                return await self._write(before, _on_demand(learned, ranking))
            gone = failed(record, "NO_OFFER", f"no offer: {ranking.summary()}", self._now())
            return await self._write(before, replace(learned, record=gone))
        except CloudError as error:
            reply = reply_of(error, self._now())
            return await self._write(before, replace(learned, record=paused(record, reply, FIRST_PAUSE, LONGEST_PAUSE)))
        except OverLimit as limit:
            return await self._write(before, no_room(learned, str(limit), self._now()))

    async def _offers(self, record: Record) -> Ranking:
        """What would be tried now, in order, at prices that are not old. Raises the cloud's errors."""
        spec = replace(record.spec, billing_mode=BillingMode.ON_DEMAND) if record.run.on_demand else record.spec
        market = await self._catalogue.market(spec.billing_mode)
        since, mode = record.run.asked_at, spec.billing_mode
        tried = [a for a in record.attempts if a.intent_at >= since and a.offer.billing_mode is mode]
        former = record.recovering and record.recovering.former
        taken_in = former.offer.cluster_id if former else None
        return rank(spec, market, self._now(), tried=tried, taken_in=taken_in)

    async def _attempt(self, before: Record, learned: Learned, ranking: Ranking) -> Record:
        """The first offer. Its intent is stored if the operator's limits have room for it."""
        begun, at = self._monotonic(), self._now()
        attempt = self._intent(learned.record, ranking.offers[0], at)
        record = learned.record.with_attempt(attempt)
        chosen = Note(type=EventType.OFFER_CHOSEN, reason=_told(ranking), facts=_facts(attempt))
        intended = Learned(
            record=replace(record, run=replace(record.run, no_room=False)), notes=(*learned.notes, chosen)
        )
        stored = await self._write(before, intended, limits=self._limits)
        reply = await self._send(stored, attempt, begun)
        log.info("create.answered", attempt=attempt.number, meaning=reply.meaning)
        written = await self._answered(stored, attempt, reply)
        await self._remember(ranking, reply)
        return written

    def _intent(self, record: Record, offer: Offer, at: datetime) -> Attempt:
        number = record.next_attempt
        marker = f"{self._deployment}/{record.id.removeprefix('ins_')}/{number}"
        deadline = at + SEND_WITHIN + self._mutation_timeout
        return Attempt(number=number, marker=marker, offer=offer, intent_at=at, deadline=deadline)

    async def _send(self, record: Record, attempt: Attempt, begun: float) -> Reply:
        """A process that was paused after its intent sends nothing: the wall clock and the monotonic one both count."""
        if self._now() - attempt.intent_at > SEND_WITHIN:
            return Reply(meaning=Meaning.LATER, at=self._now(), message="not sent in time")
        order = Order(
            name=machine_name(record.name, attempt.marker),
            marker=attempt.marker,
            product_id=attempt.offer.product_id,
            cluster_id=attempt.offer.cluster_id,
            billing_mode=attempt.offer.billing_mode,
            spec=spec_of(record),
        )
        send_by = begun + SEND_WITHIN.total_seconds()
        return await replied(self._cloud.create(order, send_by=send_by), self._now)

    async def _remember(self, ranking: Ranking, reply: Reply) -> None:
        """What the answer tells of others too: no capacity, some after all, no such product, no money."""
        offer = ranking.offers[0]
        match reply.meaning:
            case Meaning.CAPACITY:
                await remember_empty(self._store, offer, reply.at)
            case Meaning.DONE if empty_key(offer) in ranking.empty_until:
                await self._store.facts.forget_empty(empty_key(offer))
            case Meaning.WITHDRAWN:
                self._catalogue.products(offer.billing_mode).forget()
                self._catalogue.clusters.forget()
            case Meaning.HELD:
                await self._store.facts.put(HELD_FACT, reply.message, ttl=HOLD)
            case _:
                pass

    async def _answered(self, stored: Record, attempt: Attempt, reply: Reply) -> Record:
        """The answer goes into whatever the record has become meanwhile."""
        written = await self._journal.fact(
            stored.id, lambda now: create_answered(now, attempt.number, reply), CAUSE, reply.at
        )
        return written or stored

    async def _write(self, before: Record, learned: Learned, limits: Limits | None = None) -> Record:
        """Due at the end of the attempt's deadline or of the pause that was just decided; at once without either.

        Raises `OverLimit`, with nothing written, where `limits` have no room for it.
        """
        record = learned.record
        due = record.open_attempt.deadline if record.open_attempt else record.run.not_before or self._now()
        learned = replace(learned, record=replace(record, due=due))
        return await self._journal.write(self._journal.change(before, learned, CAUSE, self._now(), limits=limits))


async def remember_empty(store: Store, offer: Offer, at: datetime) -> None:
    """For all replicas: there is no GPU for such an offer now."""
    key = empty_key(offer)
    await store.facts.remember_empty(key, at, first=EMPTY_FIRST, longest=EMPTY_LONGEST, forgiven=EMPTY_FORGIVEN)


def _may_go_on_demand(record: Record) -> bool:
    return record.recovering is not None and record.recovery.allow_on_demand and not record.run.on_demand


def _on_demand(learned: Learned, ranking: Ranking) -> Learned:
    """Its recovery goes on without spot, and says why."""
    record = learned.record
    reason = f"no spot machine is sold: {ranking.summary()}; it comes back on demand"
    after = replace(record, run=replace(record.run, on_demand=True), reason=reason)
    note = Note(type=EventType.OFFER_REFUSED, reason=reason)
    return Learned(record=after, notes=(*learned.notes, note))


def _told(ranking: Ranking) -> str:
    passed = f". Passed over: {ranking.summary()}" if ranking.passed_over else ""
    return f"{ranking.choice()}{passed}"


def _facts(attempt: Attempt) -> dict[str, str]:
    offer = attempt.offer
    return {
        "attempt": str(attempt.number),
        "productId": offer.product_id,
        "region": offer.region,
        "clusterId": offer.cluster_id,
        "billingMode": offer.billing_mode.value,
        "pricePerHour": price_text(offer.units_per_hour),
    }
