"""What is counted of a change, and what the totals say."""

from msgspec.structs import replace

from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.recovery import begun, lost
from novita_gpu.domain.tally import RECLAIMS, counted, event_count
from novita_gpu.domain.tally import lost as lost_in
from tests.domain.given import at, ready


def event(type_: EventType, **facts: str) -> Event:
    return Event(id="evt_1", type=type_, at=at(0), actor="control", facts=facts)


def back(by: str, seconds: int) -> Event:
    return event(EventType.RECOVERED, by=by, secondsLost=str(seconds))


def test_each_event_counts_once_under_its_type() -> None:
    counts = counted(None, ready(), [event(EventType.READY), event(EventType.UPDATED), event(EventType.READY)])
    assert counts == {event_count(EventType.READY): 2, event_count(EventType.UPDATED): 1}


def test_a_machine_that_is_taken_counts_once_whatever_its_recovery_goes_through() -> None:
    before = ready()
    taken = lost(before, at(100), "taken")
    going_on = begun(taken, "migrate", at(101), "op_2")
    turned = begun(going_on, "recreate", at(102), "op_3")
    again = replace(turned, recovering=None)
    steps = [(before, taken), (taken, going_on), (going_on, turned), (turned, again), (again, lost(again, at(200), ""))]
    assert [counted(a, b, ()).get(RECLAIMS, 0) for a, b in steps] == [1, 0, 0, 0, 1]


def test_how_long_it_was_lost_is_a_cumulative_histogram_for_each_way() -> None:
    totals: dict[str, int] = {}
    for by, seconds in (("migrate", 10), ("migrate", 11), ("migrate", 100_000), ("recreate", 59)):
        for what, many in counted(None, ready(), [back(by, seconds)]).items():
            totals[what] = totals.get(what, 0) + many
    migrate, recreate = lost_in(totals)
    assert dict(migrate.within) | {} == {
        "10": 1,
        "30": 2,
        "60": 2,
        "120": 2,
        "300": 2,
        "600": 2,
        "1200": 2,
        "1800": 2,
        "3600": 2,
        "14400": 2,
        "inf": 3,
    }
    assert (migrate.seconds, recreate.seconds) == (100_021, 59)
    assert dict(recreate.within)["60"] == 1
    assert dict(recreate.within)["30"] == 0
