"""What events are called."""

from msgspec.structs import replace

from novita_gpu.domain.events import EventType
from novita_gpu.domain.telling import event_id, told_by_both, with_told
from tests.domain.given import ready

RECORD = ready()
READY, STOPPED = EventType.READY, EventType.STOPPED


def test_the_same_event_has_one_id_wherever_it_is_told() -> None:
    seen_here, seen_there = replace(RECORD, reason="here"), replace(RECORD, reason="there", revision=9)
    assert event_id(seen_here, READY) == event_id(seen_there, READY)
    assert event_id(with_told(seen_here, STOPPED), READY) == event_id(seen_there, READY)


def test_what_happens_again_is_another_event() -> None:
    """As when somebody starts in the cloud's console what is to be stopped."""
    ids = {event_id(record, READY) for record in (RECORD, with_told(RECORD, READY), with_told(RECORD, READY, READY))}
    others = {
        event_id(RECORD, STOPPED),
        event_id(replace(RECORD, operation="op_2"), READY),
        event_id(replace(RECORD, id=type(RECORD.id)("ins_other")), READY),
    }
    assert len(ids | others) == 6


def test_a_new_operation_begins_anew_and_keeps_no_count_of_the_one_before() -> None:
    after = with_told(replace(with_told(RECORD, READY, READY), operation="op_2"), STOPPED)
    assert (after.told.operation, after.told.counts) == ("op_2", {STOPPED: 1})


def test_what_either_side_told_is_not_told_under_the_same_id_again() -> None:
    one, other = with_told(RECORD, READY), with_told(RECORD, STOPPED, STOPPED)
    met = replace(RECORD, told=told_by_both(RECORD, one, other))
    assert met.told.counts == {READY: 1, STOPPED: 2}
    known = {event_id(RECORD, READY), event_id(RECORD, STOPPED), event_id(with_told(RECORD, STOPPED), STOPPED)}
    assert not known & {event_id(met, READY), event_id(met, STOPPED)}
    wished = replace(other, operation="op_2")
    assert told_by_both(wished, one, wished) == wished.told
