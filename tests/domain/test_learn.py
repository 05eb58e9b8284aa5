"""What a look teaches, and what it does not."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from novita_gpu.domain.bill import Bill, Rate, spent
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import (
    AttemptState,
    Machine,
    MutationKind,
    Refusal,
    Run,
    RunKind,
    Seen,
    Status,
    Wish,
    status,
)
from novita_gpu.domain.money import grains, usd_of_grains
from tests.domain.given import (
    OFFER,
    TWIN,
    at,
    attempt,
    got,
    launched,
    learned,
    listing,
    mutation,
    new,
    ready,
    row,
    stopped,
)


def test_running_is_counted_from_the_begin_of_the_look() -> None:
    """T13"""
    record = learned(launched(), listing(30, row("running"))).record
    assert record.run.running_at == at(30)
    assert record.machine
    assert record.machine.ran
    assert status(record) is Status.RUNNING


def test_a_look_begun_before_the_mutation_was_answered_teaches_nothing() -> None:
    stopping = ready(wants=Wish.STOPPED, mutation=mutation(MutationKind.STOP, 100))
    assert learned(stopping, listing(100.5, row("exited"))).record == stopping
    assert status(learned(stopping, listing(101, row("exited"))).record) is Status.STOPPED


def test_an_unanswered_mutation_makes_looks_wait_for_its_deadline() -> None:
    stopping = ready(wants=Wish.STOPPED, mutation=mutation(MutationKind.STOP, 100, answered_at=None))
    assert learned(stopping, listing(129, row("exited"))).record == stopping
    assert status(learned(stopping, listing(130, row("exited"))).record) is Status.STOPPED


def test_an_older_look_teaches_nothing() -> None:
    assert learned(ready(), listing(59, row("exited"))).record == ready()


def test_stopped_is_said_when_the_cloud_says_exited_and_not_before() -> None:
    """T8"""
    stopping = ready(wants=Wish.STOPPED, mutation=mutation(MutationKind.STOP, 100))
    assert status(learned(stopping, listing(102, row("stopping"))).record) is Status.STOPPING


def test_a_restart_is_not_running_before_it_was_asked_for() -> None:
    asked = ready(run=Run(kind=RunKind.RESTART, asked_at=at(100)))
    assert status(learned(asked, listing(101, row("running"))).record) is Status.STARTING


def test_an_exit_nobody_asked_for_turns_the_wish() -> None:
    """N21: it is not started again behind the back of whoever stopped it."""
    after = learned(ready(), got(100, row("exited")))
    assert after.record.wants is Wish.STOPPED
    assert [n.type for n in after.notes] == [EventType.CHANGED_OUTSIDE]
    assert status(after.record) is Status.STOPPED


def test_an_unknown_status_changes_nothing_but_the_sighting() -> None:
    """T7"""
    after = learned(ready(), listing(100, row("zombie"))).record
    assert after.seen
    assert after.seen.status == "zombie"
    assert status(after) is Status.READY


def test_coming_up_again_by_itself_is_a_new_run() -> None:
    """N14"""
    after = learned(ready(), listing(100, row("restarting"))).record
    assert (after.run.kind, after.run.asked_at, after.run.ready_at) == (RunKind.RESTART, at(100), None)
    assert status(after) is Status.STARTING


def test_removed_closes_what_was_to_be_deleted() -> None:
    after = learned(ready(wants=Wish.DELETED), listing(100, row("removed"))).record
    assert after.deleted_at == at(100)
    assert after.machine is None


def test_not_found_after_our_own_delete_is_enough() -> None:
    deleting = ready(wants=Wish.DELETED, mutation=mutation(MutationKind.DELETE, 100))
    assert learned(deleting, got(102, None)).record.deleted_at == at(102)


def test_not_found_after_a_delete_that_was_not_answered_is_not() -> None:
    deleting = ready(wants=Wish.DELETED, mutation=mutation(MutationKind.DELETE, 100, refused=True))
    assert learned(deleting, got(400, None)).record.deleted_at is None


def test_not_found_after_the_cloud_showed_it_going_is_enough_though_the_delete_had_no_answer() -> None:
    lost = mutation(MutationKind.DELETE, 100, answered_at=None)
    deleting = ready(wants=Wish.DELETED, mutation=lost, seen=Seen(at=at(135), status="toRemove"))
    assert learned(deleting, got(140, None)).record.deleted_at == at(140)


def test_not_found_within_five_minutes_of_create_is_lag() -> None:
    """N7"""
    assert learned(ready(), got(300, None)).record.missing_at is None
    assert learned(ready(), got(301, None)).record.missing_at == at(301)


def test_a_young_machine_that_was_seen_and_sent_a_delete_does_not_lag_any_more() -> None:
    """N7: a delete without an answer; five minutes of full-speed listings tell nothing that two looks do not."""
    lost = mutation(MutationKind.DELETE, 100, answered_at=None)
    deleting = ready(wants=Wish.DELETED, mutation=lost, seen=Seen(at=at(90), status="running"))
    missing = learned(deleting, got(140, None)).record
    assert (missing.missing_at, missing.deleted_at) == (at(140), None)
    assert learned(missing, listing(151)).record.deleted_at == at(151)


def test_a_young_machine_that_was_never_seen_or_whose_delete_was_refused_may_lag() -> None:
    """N7"""
    refused = mutation(MutationKind.DELETE, 100, refused=True)
    seen = Seen(at=at(90), status="running")
    for given in (
        {"mutation": refused, "seen": seen},
        {"mutation": mutation(MutationKind.DELETE, 100, answered_at=None), "seen": None},
    ):
        record = learned(ready(wants=Wish.DELETED, **given), got(140, None)).record
        assert record.missing_at is None


@pytest.mark.parametrize(
    ("seconds", "complete", "closes"), [(410.9, True, False), (411, False, False), (411, True, True)]
)
def test_gone_needs_a_not_found_and_a_later_complete_listing(seconds: float, complete: bool, closes: bool) -> None:
    missing = learned(ready(), got(401, None)).record
    after = learned(missing, listing(seconds, complete=complete)).record
    assert (after.deleted_at is not None) is closes


def test_a_machine_that_is_seen_again_is_not_missing() -> None:
    missing = learned(ready(), got(401, None)).record
    assert learned(missing, listing(405, row("running"))).record.missing_at is None


def test_a_machine_removed_outside_closes_the_record_and_says_so() -> None:
    after = learned(ready(), listing(100, row("removed")))
    assert after.record.deleted_at == at(100)
    assert [n.type for n in after.notes] == [EventType.CHANGED_OUTSIDE]


def test_a_machine_that_never_ran_and_was_removed_by_stop_leaves_a_stopped_record() -> None:
    discarded = launched(wants=Wish.STOPPED, mutation=mutation(MutationKind.DELETE, 10))
    after = learned(discarded, got(20, None)).record
    assert status(after) is Status.STOPPED
    assert after.machine is None


def test_a_machine_that_got_stuck_and_was_removed_makes_room_for_the_next_offer() -> None:
    stuck = launched(mutation=mutation(MutationKind.DELETE, 1800))
    after = learned(stuck, got(1810, None)).record
    assert status(after) is Status.CREATING
    assert after.attempts[0].refusal is Refusal.STUCK
    assert after.run.limit_from == at(1810)


def test_the_first_settling_listing_is_remembered_once() -> None:
    record = new(attempts=(attempt(),))
    first = learned(record, listing(60)).record
    assert first.attempts[0].absent_at == at(60)
    assert learned(first, listing(70)).record == first


def test_a_marker_in_sight_is_no_absence() -> None:
    record = new(attempts=(attempt(),))
    assert learned(record, listing(60, row("creating"))).record == record


def test_compute_is_billed_from_pulling_to_exited() -> None:
    pulling = learned(launched(), listing(10, row("pulling"))).record
    running = learned(pulling, listing(70, row("running"))).record
    assert running.bill.since == at(10)
    done = learned(replace(running, wants=Wish.STOPPED), listing(10 + 3600, row("exited"))).record
    assert done.bill.since is None
    assert usd_of_grains(spent(done.bill, at(9999)).total) == Decimal("0.35")


BILLING = Bill(since=at(62), rate=Rate(compute=35_000 * 24))


def test_the_clouds_own_times_count_where_it_tells_them() -> None:
    pulling = learned(launched(), listing(10, row("pulling"))).record
    up = learned(pulling, listing(70, row("running", last_started_at=at(65)))).record
    assert up.bill.since == at(10)
    stop = replace(up, wants=Wish.STOPPED)
    done = learned(stop, listing(100, row("exited", last_started_at=at(65), last_stopped_at=at(95)))).record
    assert [(c.since, c.until) for c in done.bill.charges] == [(at(10), at(95))]
    late = learned(stop, listing(100, row("exited", last_stopped_at=at(5)))).record
    assert late.bill.charges[0].until == at(100)  # of an earlier run


def test_a_machine_first_seen_running_billed_since_the_clouds_time_or_a_little_before() -> None:
    look = replace(listing(70, row("running", last_started_at=at(65))), previous_at=at(60))
    bill = learned(launched(seen=Seen(at=at(50), status="creating")), look).record.bill
    assert bill.since == at(65)
    assert bill.doubt == grains(bill.rate.compute, timedelta(seconds=5))
    unseen = learned(launched(), look).record.bill  # the listing before may not have known it yet
    assert (unseen.since, unseen.doubt) == (at(65), grains(bill.rate.compute, timedelta(seconds=65)))


def test_the_clouds_time_counts_though_the_listing_before_stood_still() -> None:
    stop = ready(wants=Wish.STOPPED, bill=BILLING, seen=Seen(at=at(90), status="running"))
    look = replace(listing(300, row("exited", last_stopped_at=at(95))), previous_at=at(298))
    assert [c.until for c in learned(stop, look).record.bill.charges] == [at(95)]
    again = replace(stop, seen=Seen(at=at(90), status="running", last_stopped_at=at(80)))
    told = replace(listing(300, row("exited", last_stopped_at=at(80))), previous_at=at(298))
    assert [c.until for c in learned(again, told).record.bill.charges] == [at(300)]  # of the run before


def test_a_machine_that_went_before_it_was_seen_to_bill_is_charged_and_doubted_whole() -> None:
    sent = mutation(MutationKind.DELETE, 10)
    gone = learned(launched(wants=Wish.DELETED, mutation=sent), listing(40, row("removed"))).record
    (charge,) = gone.bill.charges
    assert (charge.since, charge.until) == (at(0), at(11))
    assert charge.doubt == grains(charge.rate.compute, timedelta(seconds=11))


def test_a_removed_one_bills_until_our_delete_was_answered() -> None:
    sent = mutation(MutationKind.DELETE, 100)
    going = learned(ready(wants=Wish.DELETED, mutation=sent, bill=BILLING), listing(160, row("removing"))).record
    assert [c.until for c in going.bill.charges] == [at(101)]
    assert going.bill.charges[0].doubt == grains(BILLING.rate.compute, timedelta(seconds=1))


def test_a_machine_that_was_moved_is_where_the_cloud_shows_it() -> None:
    moved = replace(row("running"), cluster_id="cn-hongkong-1", region="CN-HK-01")
    record = learned(ready(), listing(100, moved)).record
    assert record.machine
    assert record.machine.offer == replace(OFFER, cluster_id="cn-hongkong-1", region="CN-HK-01")
    silent = learned(record, listing(101, row("running"))).record
    assert silent.machine == record.machine


def test_disk_beyond_the_free_part_bills_until_it_is_removed() -> None:
    base = launched()
    base = replace(base, spec=replace(base.spec, rootfs_size_gb=100))
    up = learned(base, listing(10, row("pulling"))).record
    assert up.bill.rate.disk == 40 * 500
    down = learned(replace(up, wants=Wish.STOPPED), listing(100, row("exited"))).record
    assert down.bill.rate == Rate(disk=40 * 500)
    gone = learned(replace(down, wants=Wish.DELETED), listing(200, row("removed"))).record
    assert (gone.bill.since, gone.bill.rate) == (None, Rate())


@pytest.mark.parametrize("word", ["migrating", "freezing", "pending", "somethingNew"])
def test_what_no_page_tells_of_bills_as_before(word: str) -> None:
    assert learned(ready(bill=BILLING), listing(100, row(word))).record.bill == BILLING
    assert learned(launched(), listing(100, row(word))).record.bill == Bill()


def test_the_same_look_twice_teaches_nothing_new() -> None:
    for record, look in (
        (launched(), listing(30, row("running"))),
        (ready(), got(400, None)),
        (stopped(), listing(200, row("exited"))),
    ):
        once = learned(record, look).record
        assert learned(once, look).record == once


def test_a_twin_in_the_look_does_not_touch_the_machine() -> None:
    record = ready(machine=Machine(id=TWIN, offer=OFFER, attempt=1, adopted_at=at(1), ran=True))
    look = listing(100, row("exited"), machine=TWIN)
    assert learned(record, look).record == record


def test_absence_says_nothing_of_a_record_whose_attempt_was_adopted() -> None:
    record = new(attempts=(attempt(state=AttemptState.ADOPTED),))
    assert learned(record, listing(1000)).record == record


def test_a_get_does_not_take_a_reclaim_notice_away() -> None:
    noticed = learned(ready(), listing(100, row("running", spot_status="notified", spot_reclaim_at=at(3700)))).record
    after = learned(noticed, got(101, row("running"))).record
    assert after.seen
    assert (after.seen.spot_status, after.seen.spot_reclaim_at) == ("notified", at(3700))
    cleared = learned(after, listing(102, row("running"))).record
    assert cleared.seen
    assert cleared.seen.spot_status == ""
