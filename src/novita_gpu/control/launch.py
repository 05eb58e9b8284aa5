"""Buying a machine: offers in order, the intent stored first, the create sent within seconds of it or not at all."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import MUTATION_TIMEOUT, SEND_WITHIN, Cloud, CloudError, Lane, Order, machine_name
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.journal import Journal
from novita_gpu.control.replies import replied, reply_of
from novita_gpu.domain.answers import FIRST_PAUSE, HOLD, LONGEST_PAUSE, Meaning, Reply, create_answered, failed, paused
from novita_gpu.domain.events import Cause
from novita_gpu.domain.instance import Attempt, Offer, Record
from novita_gpu.domain.learn import Learned
from novita_gpu.domain.offers import Ranking, empty_key, rank
from novita_gpu.store import Store

log = structlog.get_logger()

# How long a lack of capacity is remembered. Too short: a call wasted; too long: a region that has it is tried last.
EMPTY_FOR = timedelta(minutes=3)
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
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        mutation_timeout: timedelta = MUTATION_TIMEOUT,
    ) -> None:
        self._store, self._cloud, self._catalogue, self._journal = store, cloud, catalogue, journal
        self._deployment, self._now, self._monotonic = deployment, now, monotonic
        self._mutation_timeout = mutation_timeout

    async def launch(self, before: Record, learned: Learned) -> Record:
        """The record after the attempt, or after the reason why there was none was written down."""
        record = learned.record
        held = await self._store.facts.fact(HELD_FACT)
        if held is not None:
            run = replace(record.run, not_before=self._now() + HOLD)
            return await self._write(before, replace(learned, record=replace(record, run=run, reason=held)))
        try:
            ranking = await self.offers(record)
            if not ranking.offers:
                gone = failed(record, "NO_OFFER", f"no offer: {ranking.summary()}", self._now())
                return await self._write(before, replace(learned, record=gone))
            async with self._cloud.permit(Lane.SPENDING):
                return await self._attempt(before, learned, ranking.offers[0])
        except CloudError as error:
            reply = reply_of(error, self._now())
            return await self._write(before, replace(learned, record=paused(record, reply, FIRST_PAUSE, LONGEST_PAUSE)))

    async def offers(self, record: Record) -> Ranking:
        """What would be tried now, in order. Raises the cloud's errors when the catalogue is not to be had."""
        spec = record.spec
        return rank(
            spec,
            await self._catalogue.products(spec.billing_mode),
            await self._catalogue.clusters(),
            tried=[a for a in record.attempts if a.intent_at >= record.run.asked_at],
            empty_until=await self._store.facts.empties(self._now()),
            now=self._now(),
        )

    async def _attempt(self, before: Record, learned: Learned, offer: Offer) -> Record:
        begun, at = self._monotonic(), self._now()
        attempt = self._intent(learned.record, offer, at)
        stored = await self._write(before, replace(learned, record=learned.record.with_attempt(attempt)))
        reply = await self._send(stored, attempt, begun)
        log.info("create.answered", attempt=attempt.number, meaning=reply.meaning)
        await self._remember(offer, reply)
        return await self._answered(stored, attempt, reply)

    def _intent(self, record: Record, offer: Offer, at: datetime) -> Attempt:
        number = record.next_attempt
        marker = f"{self._deployment}/{record.id.removeprefix('ins_')}/{number}"
        return Attempt(
            number=number, marker=marker, offer=offer, intent_at=at, deadline=at + SEND_WITHIN + self._mutation_timeout
        )

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
            spec=record.spec,
        )
        send_by = begun + SEND_WITHIN.total_seconds()
        return await replied(self._cloud.create(order, send_by=send_by), self._now)

    async def _remember(self, offer: Offer, reply: Reply) -> None:
        if reply.meaning is Meaning.CAPACITY:
            await self._store.facts.remember_empty(empty_key(offer), reply.at + EMPTY_FOR)
        if reply.meaning is Meaning.HELD:
            await self._store.facts.put(HELD_FACT, reply.message, ttl=HOLD)

    async def _answered(self, stored: Record, attempt: Attempt, reply: Reply) -> Record:
        """The answer goes into whatever the record has become meanwhile."""
        written = await self._journal.fact(
            stored.id, lambda now: create_answered(now, attempt.number, reply), CAUSE, reply.at
        )
        return written or stored

    async def _write(self, before: Record, learned: Learned) -> Record:
        """Due at the end of the attempt's deadline or of the pause that was just decided; at once without either."""
        record = learned.record
        due = record.open_attempt.deadline if record.open_attempt else record.run.not_before or self._now()
        learned = replace(learned, record=replace(record, due=due))
        return await self._journal.write(self._journal.change(before, learned, CAUSE, self._now()))
