"""What an instance's own policy is about to do is told first, with what would put it off and what it may cost."""

from datetime import datetime

from msgspec.structs import replace

from novita_gpu.contract import time_text
from novita_gpu.domain.advice import may_cost, to_keep, to_keep_stopped
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import Warned
from novita_gpu.domain.learn import Learned, Note
from novita_gpu.domain.steps import Warn, WarnDiscard


def warned(learned: Learned, step: Warn | WarnDiscard, at: datetime) -> Learned:
    """The record that remembers it, and the note that tells it."""
    match step:
        case Warn():
            return _of_stop(learned, step, at)
        case WarnDiscard():
            return _of_delete(learned, step, at)


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
    return Learned(record=replace(record, run=replace(record.run, warned=told)), notes=(*learned.notes, note))


def _of_delete(learned: Learned, step: WarnDiscard, at: datetime) -> Learned:
    record = learned.record
    facts = {"deletesAt": time_text(step.deletes_at), "toKeepIt": "; ".join(to_keep_stopped())}
    reason = f"{step.reason}: it is deleted at {facts['deletesAt']}"
    note = Note(type=EventType.AUTO_DELETE_WARNING, reason=reason, facts=facts)
    return Learned(record=replace(record, run=replace(record.run, discard_warned_at=at)), notes=(*learned.notes, note))
