"""What an instance's own policy is about to do is told first, with what would put it off and what it may cost."""

from datetime import datetime

from msgspec.structs import replace

from novita_gpu.contract import time_text
from novita_gpu.domain.advice import may_cost, to_keep, to_keep_stopped
from novita_gpu.domain.dearer import in_all
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Warned
from novita_gpu.domain.learn import Learned, Note, plus
from novita_gpu.domain.money import price_text
from novita_gpu.domain.recovery import spot_price
from novita_gpu.domain.steps import Warn, WarnDearer, WarnDiscard


def warned(learned: Learned, step: Warn | WarnDiscard | WarnDearer, at: datetime) -> Learned:
    """The record that remembers it, and the note that tells it."""
    match step:
        case Warn():
            return _of_stop(learned, step, at)
        case WarnDiscard():
            return _of_delete(learned, step, at)
        case WarnDearer():
            return _of_price(learned, step, at)


def _of_stop(learned: Learned, step: Warn, at: datetime) -> Learned:
    record = learned.record
    told = Warned(due=step.due, at=at, stops_at=step.stops_at)
    facts = {
        "stopsAt": time_text(step.stops_at),
        "rule": step.rule,
        "toKeepIt": "; ".join(to_keep(record, step.rule)),
        "aStopMayCost": may_cost(record.spec),
    }
    note = Note(
        type=EventType.AUTO_STOP_WARNING, reason=f"{step.reason}: it is stopped at {facts['stopsAt']}", facts=facts
    )
    return plus(learned, replace(record, run=replace(record.run, warned=told)), note)


def _of_delete(learned: Learned, step: WarnDiscard, at: datetime) -> Learned:
    record = learned.record
    facts = {"deletesAt": time_text(step.deletes_at), "toKeepIt": "; ".join(to_keep_stopped())}
    reason = f"{step.reason}: it is deleted at {facts['deletesAt']}"
    note = Note(type=EventType.AUTO_DELETE_WARNING, reason=reason, facts=facts)
    return plus(learned, replace(record, run=replace(record.run, discard_warned_at=at)), note)


def _of_price(learned: Learned, step: WarnDearer, at: datetime) -> Learned:
    record = learned.record
    hours = in_all(record.dearer, at).total_seconds() / 3600
    price, spot = record.offer.units_per_hour if record.offer else 0, spot_price(record)
    facts = {"pricePerHour": price_text(price), "hours": f"{hours:.1f}"}
    facts |= {"spotPricePerHour": price_text(spot)} if spot else {}
    note = Note(type=EventType.DEARER, reason=f"{step.reason}: {facts['pricePerHour']} USD per hour", facts=facts)
    return plus(learned, replace(record, dearer=replace(record.dearer, told_at=at)), note)
