"""One row a rule: what is known, and the one next step."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from novita_gpu.domain.decide import decide
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import (
    AttemptState,
    Failure,
    MutationKind,
    Readiness,
    Record,
    Run,
    RunKind,
    Seen,
    Status,
    Wish,
    status,
)
from novita_gpu.domain.look import Look
from novita_gpu.domain.recovery import lost
from novita_gpu.domain.spec import AutoStop, Recovery
from novita_gpu.domain.steps import (
    Adopt,
    Change,
    Close,
    Discard,
    Fail,
    Idle,
    Inspect,
    Launch,
    Probe,
    Recover,
    Rest,
    SaveImage,
    Settle,
    Warn,
    WarnDiscard,
)
from tests.domain.given import (
    MACHINE,
    POLICY,
    TWIN,
    at,
    attempt,
    got,
    launched,
    listing,
    mutation,
    new,
    ready,
    row,
    running,
    step,
    stopped,
    warned_of,
)
from tests.domain.test_recovery import spot

OPEN = new(attempts=(attempt(),))
LOST = new(attempts=(attempt(absent_at=at(60)),))


def deleting(record: Record) -> Record:
    return replace(record, wants=Wish.DELETED)


def test_a_new_instance_is_launched() -> None:
    assert isinstance(step(new(), None, 0), Launch)


def test_an_open_attempt_forbids_another_create() -> None:
    assert isinstance(step(OPEN, listing(100), 100), Rest)


def test_an_open_attempt_is_adopted_by_its_marker() -> None:
    found = step(OPEN, listing(3, row("creating")), 4)
    assert isinstance(found, Adopt)
    assert found.row.id == MACHINE


@pytest.mark.parametrize("wish", [Wish.DELETED, Wish.STOPPED])
def test_nothing_ends_while_an_attempt_is_open(wish: Wish) -> None:
    record = replace(OPEN, wants=wish)
    assert isinstance(step(record, listing(54), 56), Rest)
    assert status(record) in {Status.DELETING, Status.STOPPING}


@pytest.mark.parametrize(
    ("look", "settles"),
    [
        (listing(54), False),  # begun before deadline + 20 s
        (listing(56, complete=False), False),
        (listing(60), False),  # the same listing that was already counted
        (listing(61), True),
    ],
)
def test_an_attempt_settles_after_two_late_complete_listings(look: Look, settles: bool) -> None:
    assert isinstance(step(LOST, look, 70), Settle) is settles


def test_the_first_late_listing_alone_settles_nothing() -> None:
    assert isinstance(step(OPEN, listing(56), 57), Rest)


def test_a_settled_attempt_makes_room_for_the_next() -> None:
    record = new(attempts=(attempt(state=AttemptState.SETTLED),))
    assert isinstance(step(record, listing(80), 80), Launch)


def test_a_late_machine_is_adopted_when_one_is_wanted_and_none_is_there() -> None:
    record = new(attempts=(attempt(state=AttemptState.SETTLED),))
    assert isinstance(step(record, listing(90, row("running", TWIN)), 91), Adopt)


@pytest.mark.parametrize(
    "record",
    [
        ready(attempts=(attempt(state=AttemptState.SETTLED), attempt(number=2, marker="dep1/abc/2"))),
        stopped(),
        new(wants=Wish.DELETED, deleted_at=at(80), attempts=(attempt(state=AttemptState.SETTLED),)),
    ],
)
def test_a_twin_is_deleted_whatever_the_instance_does(record: Record) -> None:
    found = step(replace(record, attempts=record.attempts[:1]), listing(200, row("running", TWIN)), 201)
    assert isinstance(found, Change)
    assert (found.kind, found.machine, found.twin) == (MutationKind.DELETE, TWIN, True)


def test_a_twin_on_its_way_out_is_left_alone() -> None:
    assert isinstance(step(stopped(), listing(200, row("exited"), row("removing", TWIN)), 201), Rest)


def test_its_own_machine_is_no_twin() -> None:
    assert isinstance(step(ready(), listing(200, row("running")), 201), Rest)


def test_an_unanswered_mutation_is_waited_for() -> None:
    record = ready(wants=Wish.STOPPED, mutation=mutation(MutationKind.STOP, 100, answered_at=None))
    found = step(record, None, 110)
    assert isinstance(found, Rest)
    assert found.until == at(130)


def test_delete_is_sent_whatever_the_machine_does() -> None:
    for record in (launched(), ready(), stopped()):
        found = step(deleting(record), None, 200)
        assert isinstance(found, Change)
        assert found.kind is MutationKind.DELETE


def test_an_accepted_delete_is_not_repeated_at_once_and_is_repeated_later() -> None:
    record = deleting(ready(mutation=mutation(MutationKind.DELETE, 100)))
    look = listing(120, row("running"))
    assert isinstance(step(record, look, 121), Rest)
    later = step(record, look, 162)
    assert isinstance(later, Change)
    assert later.tries == 2


def test_a_deleted_machine_that_is_no_longer_listed_is_asked_for_once_more() -> None:
    record = deleting(ready(mutation=mutation(MutationKind.DELETE, 100)))
    assert isinstance(step(record, listing(110), 111), Inspect)


def test_a_machine_seen_going_and_then_no_longer_listed_is_asked_for_though_the_delete_had_no_answer() -> None:
    lost = mutation(MutationKind.DELETE, 100, answered_at=None)
    record = deleting(ready(mutation=lost, seen=Seen(at=at(135), status="toRemove")))
    assert isinstance(step(record, listing(140), 141), Inspect)
    assert isinstance(step(record, listing(140, row("removing")), 141), Rest)


def test_a_stop_that_had_no_answer_and_shows_no_effect_is_repeated_soon() -> None:
    lost = ready(wants=Wish.STOPPED, mutation=mutation(MutationKind.STOP, 100, answered_at=None))
    assert isinstance(step(lost, listing(130, row("running")), 131), Rest)
    again = step(lost, listing(132, row("running")), 132)
    assert isinstance(again, Change)
    assert again.tries == 2


@pytest.mark.parametrize("kind", [MutationKind.STOP, MutationKind.DELETE])
def test_what_was_refused_a_thousand_times_is_asked_for_again(kind: MutationKind) -> None:
    """N19: for as long as it takes."""
    wants = Wish.STOPPED if kind is MutationKind.STOP else Wish.DELETED
    record = ready(wants=wants, mutation=mutation(kind, 100, refused=True, tries=1000))
    again = step(record, listing(132, row("running")), 132)
    assert isinstance(again, Change)
    assert (again.kind, again.tries) == (kind, 1001)


def test_a_deleted_machine_that_nothing_was_seen_of_is_asked_for_before_it_is_deleted_again() -> None:
    """A listing that is not believed must not hold up our own delete."""
    record = deleting(ready(mutation=mutation(MutationKind.DELETE, 100)))
    assert isinstance(step(record, listing(160, complete=False), 162), Inspect)
    again = step(record, got(162, row("running")), 163)
    assert isinstance(again, Change)
    assert again.tries == 2


def test_a_delete_closes_when_nothing_is_left() -> None:
    assert isinstance(step(deleting(new()), None, 5), Close)


def test_a_machine_that_a_complete_listing_lacks_is_asked_for() -> None:
    assert isinstance(step(ready(), listing(400), 401), Inspect)


def test_a_listing_that_is_not_complete_says_nothing_of_absence() -> None:
    assert isinstance(step(ready(), listing(400, complete=False), 401), Rest)


def test_a_machine_made_a_minute_ago_may_be_missing() -> None:
    assert isinstance(step(ready(), listing(100), 101), Rest)


def test_an_exit_nobody_asked_for_is_believed_from_a_get_only() -> None:
    assert isinstance(step(ready(), listing(400, row("exited")), 401), Inspect)
    assert isinstance(step(ready(), got(402, row("exited")), 403), Rest)


def test_a_launch_that_never_runs_is_deleted_so_that_the_next_offer_can_be_tried() -> None:
    pulling = launched(seen=Seen(at=at(50), status="pulling"))
    assert isinstance(step(pulling, listing(1799, row("pulling")), 1799), Rest)
    found = step(pulling, listing(1800, row("pulling")), 1800)
    assert isinstance(found, Change)
    assert found.kind is MutationKind.DELETE


def test_a_new_machine_that_a_start_got_is_deleted_likewise() -> None:
    """What counts is that it never ran, not by which wish it came about."""
    record = launched(
        seen=Seen(at=at(50), status="pulling"), run=Run(kind=RunKind.START, asked_at=at(0), sent_at=at(1))
    )
    found = step(record, listing(1800, row("pulling")), 1800)
    assert isinstance(found, Change)
    assert found.kind is MutationKind.DELETE


def test_a_launch_that_dies_with_an_error_fails_with_the_clouds_words() -> None:
    dead = row("exited", error_state="image", error_message="no such image")
    found = step(launched(), got(100, dead), 100)
    assert isinstance(found, Fail)
    assert "no such image" in found.reason


def test_a_start_that_takes_too_long_fails_and_is_then_brought_down() -> None:
    record = stopped(wants=Wish.RUNNING, run=Run(kind=RunKind.START, asked_at=at(200), sent_at=at(201)))
    found = step(record, listing(2000, row("starting")), 2001)
    assert isinstance(found, Fail)
    assert found.code == "START_TIMEOUT"


def test_a_machine_that_never_answers_is_stopped_after_its_limit() -> None:
    record = running(run=replace(running().run, readiness=Readiness(state="failed", checked_at=at(3600))))
    assert isinstance(step(record, listing(3650, row("running")), 3655), Rest)
    found = step(record, listing(3660, row("running")), 3660)
    assert isinstance(found, Fail)
    assert found.code == "NOT_READY"


def test_what_failed_is_stopped_before_it_says_failed() -> None:
    record = running(failure=Failure(code="NOT_READY", message="", at=at(100)))
    assert status(record) is Status.STOPPING
    found = step(record, listing(110, row("running")), 110)
    assert isinstance(found, Change)
    assert found.kind is MutationKind.STOP
    assert status(replace(record, seen=Seen(at=at(120), status="exited"))) is Status.FAILED


@pytest.mark.parametrize("cloud_status", ["starting", "pulling", "toRestart"])
def test_a_stop_waits_until_the_cloud_allows_it(cloud_status: str) -> None:
    record = ready(wants=Wish.STOPPED, seen=Seen(at=at(100), status=cloud_status))
    assert isinstance(step(record, None, 101), Rest)


def test_a_machine_that_never_ran_is_deleted_by_stop() -> None:
    found = step(launched(wants=Wish.STOPPED, seen=Seen(at=at(10), status="pulling")), None, 11)
    assert isinstance(found, Change)
    assert found.kind is MutationKind.DELETE


def test_stopped_rests() -> None:
    assert isinstance(step(stopped(), listing(300, row("exited")), 301), Rest)


DUE = 62 + 20 * 60


def test_idle_is_told_of_two_minutes_before_and_stopped_on_time() -> None:
    quiet = step(ready(), None, DUE - 121)
    assert isinstance(quiet, Rest)
    assert quiet.until == at(DUE - 120)
    told = step(ready(), None, DUE - 120)
    assert isinstance(told, Warn)
    assert told.stops_at == at(DUE)
    warned = warned_of(ready(), told, DUE - 120)
    waits = step(warned, None, DUE - 1)
    assert isinstance(waits, Rest)
    assert waits.until == at(DUE)
    assert isinstance(step(warned, None, DUE), Idle)


def test_what_is_due_while_nobody_was_there_is_told_of_first() -> None:
    late = step(ready(), None, DUE + 3600)
    assert isinstance(late, Warn)
    assert late.stops_at == at(DUE + 3600 + 120)
    warned = warned_of(ready(), late, DUE + 3600)
    assert isinstance(step(warned, None, DUE + 3600 + 119), Rest)
    assert isinstance(step(warned, None, DUE + 3600 + 120), Idle)


def test_a_heartbeat_moves_the_stop_and_its_warning() -> None:
    told = step(ready(), None, DUE - 120)
    assert isinstance(told, Warn)
    warned = warned_of(ready(), told, DUE - 120)
    found = step(warned, None, DUE, at(DUE - 60))
    assert isinstance(found, Rest)
    assert found.until == at(DUE - 60 + 20 * 60 - 120)
    assert isinstance(step(warned, None, DUE - 60 + 20 * 60, at(DUE - 60)), Warn)


def test_a_pin_keeps_it() -> None:
    pinned = ready(auto_stop=AutoStop(pinned_until=at(9000)))
    assert isinstance(step(pinned, None, 9000 - 121), Rest)
    told = step(pinned, None, 9000 - 120)
    assert isinstance(told, Warn)
    warned = warned_of(pinned, told, 9000 - 120)
    assert isinstance(step(warned, None, 8999), Rest)
    assert isinstance(step(warned, None, 9000), Idle)


def test_a_lifetime_ends_it_in_use_or_not() -> None:
    record = ready(auto_stop=AutoStop(enabled=False, max_lifetime=timedelta(hours=1)))
    told = step(record, None, 60 + 3600 - 120, at(3400))
    assert isinstance(told, Warn)
    ended = step(warned_of(record, told, 3540), None, 60 + 3600, at(3659))
    assert isinstance(ended, Idle)
    assert ended.rule == "lifetime"


def test_with_the_operators_switch_off_idleness_stops_nothing() -> None:
    policy = replace(POLICY, idle=IdlePolicy(on=False))
    assert isinstance(step(ready(), None, 7 * 86_400, policy=policy), Rest)


DISCARDING = replace(POLICY, idle=IdlePolicy(discard=timedelta(days=3)))
DAY = 86_400


def test_what_was_stopped_for_long_is_deleted_a_day_after_it_was_told_of() -> None:
    """Its disk bills on."""
    record = stopped()
    early = step(record, None, 100 + 2 * DAY - 1, policy=DISCARDING)
    assert isinstance(early, Rest)
    assert early.until == at(100 + 2 * DAY)
    told = step(record, None, 100 + 2 * DAY, policy=DISCARDING)
    assert isinstance(told, WarnDiscard)
    assert told.deletes_at == at(100 + 3 * DAY)
    warned = replace(record, run=replace(record.run, discard_warned_at=at(100 + 2 * DAY)))
    assert isinstance(step(warned, None, 100 + 3 * DAY - 1, policy=DISCARDING), Rest)
    assert isinstance(step(warned, None, 100 + 3 * DAY, policy=DISCARDING), Discard)


def test_it_is_never_deleted_for_being_stopped_within_a_day_of_the_warning() -> None:
    late = step(stopped(), None, 100 + 30 * DAY, policy=DISCARDING)
    assert isinstance(late, WarnDiscard)
    assert late.deletes_at == at(100 + 31 * DAY)
    warned = stopped(run=replace(stopped().run, discard_warned_at=at(100 + 30 * DAY)))
    assert isinstance(step(warned, None, 100 + 31 * DAY - 1, policy=DISCARDING), Rest)
    assert isinstance(step(warned, None, 100 + 31 * DAY, policy=DISCARDING), Discard)


@pytest.mark.parametrize("auto_stop", [AutoStop(enabled=False), AutoStop(pinned_until=at(100 * DAY))])
def test_what_is_exempted_or_pinned_is_not_deleted_for_being_stopped(auto_stop: AutoStop) -> None:
    assert isinstance(step(stopped(auto_stop=auto_stop), None, 100 + 50 * DAY, policy=DISCARDING), Rest)


def test_by_default_nothing_is_deleted_for_being_stopped() -> None:
    assert isinstance(step(stopped(), None, 100 + 365 * DAY), Rest)


def test_a_restarted_machine_is_not_judged_by_the_run_before() -> None:
    """N14"""
    record = ready(run=Run(kind=RunKind.RESTART, asked_at=at(5000)), seen=Seen(at=at(4999), status="running"))
    found = step(record, None, 5001, at(100))
    assert isinstance(found, Change)
    assert found.kind is MutationKind.RESTART


def test_a_stopped_machine_is_started_once() -> None:
    asked = Run(kind=RunKind.START, asked_at=at(200))
    found = step(stopped(wants=Wish.RUNNING, run=asked), listing(199, row("exited")), 201)
    assert isinstance(found, Change)
    assert found.kind is MutationKind.START
    sent = stopped(wants=Wish.RUNNING, run=replace(asked, sent_at=at(202)), mutation=mutation(MutationKind.START, 201))
    assert isinstance(step(sent, listing(203, row("exited")), 204), Rest)


def test_a_start_that_exits_again_is_repeated_unless_the_cloud_says_why() -> None:
    run = Run(kind=RunKind.START, asked_at=at(200), sent_at=at(202))
    sent = stopped(wants=Wish.RUNNING, run=run, mutation=mutation(MutationKind.START, 201))
    repeated = step(sent, got(263, row("exited")), 263)
    assert isinstance(repeated, Change)
    assert (repeated.kind, repeated.tries) == (MutationKind.START, 2)
    failed = step(sent, got(263, row("exited", error_state="oom", error_message="killed")), 263)
    assert isinstance(failed, Fail)
    assert "oom killed" in failed.reason


def test_a_start_without_a_gpu_is_asked_again_after_its_pause() -> None:
    pausing = Run(kind=RunKind.START, asked_at=at(200), not_before=at(230), refusals=1)
    record = stopped(wants=Wish.RUNNING, run=pausing)
    assert isinstance(step(record, None, 229), Rest)
    assert isinstance(step(record, None, 230), Change)


def test_connection_details_are_read_once_it_runs() -> None:
    record = running(run=Run(kind=RunKind.LAUNCH, asked_at=at(0), sent_at=at(1), running_at=at(60)))
    assert isinstance(step(record, None, 61), Inspect)


def test_then_it_is_probed() -> None:
    assert isinstance(step(running(), None, 62), Probe)


def test_a_record_that_moved_to_the_cloud_by_adoption_rests_until_seen() -> None:
    assert isinstance(step(launched(), None, 2), Rest)


def test_each_rule_names_its_reason() -> None:
    for record in (new(), OPEN, launched(), running(), ready(), stopped(), deleting(ready())):
        assert decide(record, None, at(5000), POLICY).reason


LOST_SPOT = lost(spot(), at(200), "taken")
NOTICED = replace(
    spot(recovery=Recovery(save_image=True, image_repository="r/x")),
    seen=Seen(at=at(150), status="running", spot_status="notified"),
    attempts=(attempt(state=AttemptState.ADOPTED, machine=MACHINE),),
)


@pytest.mark.parametrize(
    ("record", "look", "kind"),
    [
        (new(), None, Launch),
        (stopped(wants=Wish.RUNNING, run=Run(kind=RunKind.START, asked_at=at(200))), got(201, row("exited")), Change),
        (LOST_SPOT, None, Recover),
        (NOTICED, None, SaveImage),
    ],
)
def test_a_copy_begins_nothing_that_bills_while_the_shared_store_is_out(
    record: Record, look: Look | None, kind: type
) -> None:
    assert isinstance(step(record, look, 202), kind)
    held = step(replace(record, base=7), look, 202)
    assert isinstance(held, Rest)
    assert "shared store" in held.reason


def test_a_copy_is_stopped_and_deleted_all_the_same() -> None:
    copy = replace(ready(), base=7)
    stop = step(replace(copy, wants=Wish.STOPPED), None, 300)
    assert isinstance(stop, Change)
    assert stop.kind is MutationKind.STOP
    remove = step(replace(copy, wants=Wish.DELETED), None, 300)
    assert isinstance(remove, Change)
    assert remove.kind is MutationKind.DELETE
