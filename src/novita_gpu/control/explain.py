"""Why an instance is as it is: from the decisions really taken, and from the one that would be taken now."""

from collections.abc import Callable
from datetime import datetime

from novita_gpu.contract import time_text
from novita_gpu.contract.idle import ExplainView, IdleView, RegionChoiceView, SourceView, WaitingView
from novita_gpu.control.listening import Listening
from novita_gpu.domain.activity import LOOKED_AT, Heard, Sign, State, signs, verdict
from novita_gpu.domain.advice import may_cost, to_keep, to_keep_stopped
from novita_gpu.domain.case import Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.events import EventType
from novita_gpu.domain.idle import DISCARD_NOTICE, IdlePolicy, StopDue, acting_due, discard_due, stop_due, stops_at
from novita_gpu.domain.instance import Record, Status, Wish, status
from novita_gpu.domain.learn import learn
from novita_gpu.domain.steps import Rest
from novita_gpu.store import Store

# Launches of one instance whose words are gone through for the last one.
MOST_LAUNCHES = 1000


class Explainer:
    def __init__(self, store: Store, listening: Listening, policy: Policy, now: Callable[[], datetime]) -> None:
        self._store, self._listening, self._policy, self._now = store, listening, policy, now

    async def explain(self, record: Record) -> ExplainView:
        """Raises the store's `Unavailable`."""
        now = self._now()
        heard = Heard(last=await self._store.records.activity(record.id), since=await self._listening.since())
        return ExplainView(
            instance_id=record.id,
            name=record.name,
            status=status(record),
            desired=record.wants,
            status_reason=record.reason,
            as_of=time_text(now),
            region_choice=await self._choice(record),
            waiting_for=await self._waiting(record, heard, now),
            auto_stop=idle_view(record, heard, now, self._policy.idle),
        )

    async def _choice(self, record: Record) -> RegionChoiceView | None:
        """None for a machine that was taken in, and once the event is older than events are kept."""
        found = await self._store.events.read(0, MOST_LAUNCHES, EventType.OFFER_CHOSEN, record.id)
        if not found:
            return None
        last = found[-1]
        return RegionChoiceView(
            attempt=int(last.facts["attempt"]),
            region=last.facts["region"],
            product_id=last.facts["productId"],
            reason=last.reason or "",
            at=time_text(last.at),
        )

    async def _waiting(self, record: Record, heard: Heard, now: datetime) -> WaitingView:
        look = await self._store.looks.look(record)
        known = learn(record, look, self._policy.settle).record
        step = decide(known, look, now, self._policy, heard=heard)
        until = step.until if isinstance(step, Rest) else None
        name = type(step).__name__
        return WaitingView(
            step=name[0].lower() + name[1:], reason=step.reason, until=time_text(until) if until else None
        )


def idle_view(record: Record, heard: Heard, now: datetime, policy: IdlePolicy) -> IdleView:
    """When its own policy stops it, by what, and what would change that."""
    due = acting_due(record, heard, now, policy) or stop_due(record, heard, policy)
    says = signs(record, heard, now)
    warned = record.run.warned
    is_warned = due is not None and warned is not None and warned.due == due.at
    deletes_at = _deletes_at(record, policy) if status(record) in {Status.STOPPED, Status.FAILED} else None
    keeps = to_keep(record, due.rule) if due else to_keep_stopped() if deletes_at else ()
    return IdleView(
        enabled=record.auto_stop.enabled and policy.on,
        verdict=verdict(record, heard, now),
        rule=due.rule if due else None,
        reason=_reason(record, due, says, policy),
        stops_at=time_text(stops_at(record, due)) if due else None,
        warned_at=time_text(warned.at) if warned and is_warned else None,
        sources=tuple(_source(sign, record) for sign in says),
        to_keep_it=keeps,
        a_stop_may_cost=may_cost(record.spec),
        deletes_at=deletes_at,
    )


def _deletes_at(record: Record, policy: IdlePolicy) -> str | None:
    """Not before a day after the warning."""
    due, told = discard_due(record, policy), record.run.discard_warned_at
    return time_text(max(due, told + DISCARD_NOTICE) if told else due) if due else None


def _source(sign: Sign, record: Record) -> SourceView:
    return SourceView(
        source=sign.source,
        state=sign.state,
        at=time_text(sign.at) if sign.at else None,
        reason=sign.reason,
        decides=sign.source in LOOKED_AT[record.auto_stop.activity],
    )


def _reason(record: Record, due: StopDue | None, says: tuple[Sign, ...], policy: IdlePolicy) -> str:
    if record.wants is not Wish.RUNNING or record.failure:
        return "it is not meant to run"
    if due and due.rule == "lifetime":
        return f"it is stopped once it {due.reason}"
    if not policy.on:
        return "idleness stops nothing in this service (AUTO_STOP_ENABLED)"
    if not record.auto_stop.enabled:
        return "idleness does not stop it (autoStop.enabled)"
    if due is None:
        return "it is not ready yet; idleness counts from then on"
    looked_at = [sign for sign in says if sign.source in LOOKED_AT[record.auto_stop.activity]]
    for state, words in ((State.ACTIVE, "in use"), (State.UNKNOWN, "unknown, and unknown stops nothing")):
        telling = [f"{sign.source}: {sign.reason}" for sign in looked_at if sign.state is state]
        if telling:
            return f"{words} ({'; '.join(telling)})"
    return due.reason
