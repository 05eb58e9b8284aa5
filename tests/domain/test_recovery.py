"""Machines that were taken: what an exit means, when one is brought back, and how often spot machines are looked at."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.domain.decide import decide
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import CloudId, InstanceId, Machine, Record, Seen, Status, Wish, status
from novita_gpu.domain.learn import learn
from novita_gpu.domain.limits import reserved
from novita_gpu.domain.look import Look, MigrationJob
from novita_gpu.domain.money import disk_rate
from novita_gpu.domain.orphans import Standing, standing
from novita_gpu.domain.recovery import (
    GUARANTEED,
    RecoveryPolicy,
    begun,
    eligible_at,
    exit_of,
    look_every,
    lost,
    of_the_day,
    taken_back,
    without_recovery,
)
from novita_gpu.domain.spec import BillingMode, Recovery
from novita_gpu.domain.steps import Fail, Postpone, Recover, Rest, TakeBack
from tests.domain.given import MACHINE, OFFER, POLICY, at, got, ready, row

HOUR = 3600
OLD = 60 + HOUR
PAUSE = RecoveryPolicy()


def spot(**given: Any) -> Record:
    """A spot machine that is ready and has run since 60 s."""
    record = ready()
    assert record.machine
    machine = replace(record.machine, offer=replace(OFFER, billing_mode=BillingMode.SPOT))
    return replace(record, **{"machine": machine, **given})


def exited(record: Record, **seen: Any) -> Record:
    return replace(record, seen=replace(Seen(at=at(100), status="exited"), **seen))


SIGN: dict[str, Any] = {"spot_status": "terminated"}
FAILED_JOB, RUNNING_JOB = MigrationJob(id="j", state="fail", error="X"), MigrationJob(id="j", state="running")


@pytest.mark.parametrize(
    ("record", "seconds", "job", "kind"),
    [
        (exited(spot(), **SIGN), 100, None, "lost"),
        (exited(spot(), spot_reclaim_at=at(90)), 100, None, "lost"),
        (exited(spot(), **SIGN, error_state="oom"), OLD, None, "ended"),
        (exited(spot()), OLD - 1, None, "ended"),
        (exited(spot()), OLD, None, "lost"),
        (exited(spot(recovery=Recovery(when_unsure="leave"))), OLD, None, "ended"),
        (exited(ready()), 10 * OLD, None, "ended"),
        (exited(ready(), **SIGN), 10 * OLD, None, "ended"),
        (exited(ready()), 100, FAILED_JOB, "lost"),
        (exited(spot(), error_state="oom"), 100, FAILED_JOB, "lost"),
        (exited(spot(), **SIGN), OLD, RUNNING_JOB, "waits"),
    ],
)
def test_what_an_unasked_exit_was(record: Record, seconds: float, job: MigrationJob | None, kind: str) -> None:
    found = exit_of(record, at(seconds), job)
    assert found.kind == kind
    assert found.reason


def test_the_guarantee_is_an_hour_from_when_it_was_seen_running() -> None:
    assert timedelta(hours=1) == GUARANTEED
    assert spot().run.running_at == at(60)


def test_a_listing_alone_loses_nothing() -> None:
    look = Look(began_at=at(OLD), complete=True, row=row("exited", **SIGN))
    assert learn(spot(), look, POLICY.settle).record.recovering is None
    learned = learn(spot(), got(OLD, row("exited", **SIGN)), POLICY.settle).record
    assert learned.recovering
    assert (status(learned), learned.wants) == (Status.MIGRATING, Wish.RUNNING)


@pytest.mark.parametrize("wish", [Wish.STOPPED, Wish.DELETED])
def test_n21_what_is_not_meant_to_run_is_never_lost(wish: Wish) -> None:
    learned = learn(spot(wants=wish), got(OLD, row("exited", **SIGN)), POLICY.settle).record
    assert learned.recovering is None


def test_a_notice_is_told_of_once_for_each_time_that_it_names() -> None:
    notified = row("running", spot_status="notified", spot_reclaim_at=at(4000))
    first = learn(spot(), Look(began_at=at(400), complete=True, row=notified), POLICY.settle)
    assert [note.type for note in first.notes] == [EventType.RECLAIM_NOTIFIED]
    assert first.notes[0].facts["secondsLeft"] == "3600"
    again = learn(first.record, Look(began_at=at(410), complete=True, row=notified), POLICY.settle)
    assert again.notes == ()


def test_the_first_recovery_of_a_day_is_at_once_and_each_further_one_later() -> None:
    record = lost(spot(), at(OLD), "taken")
    now = at(100_000)
    assert eligible_at(record, now, PAUSE) == now
    begins = (at(99_000),)
    assert eligible_at(replace(record, recoveries=begins), now, PAUSE) == at(99_000) + timedelta(minutes=30)
    begins = (at(95_000), at(99_000))
    assert eligible_at(replace(record, recoveries=begins), now, PAUSE) == at(99_000) + timedelta(minutes=60)
    old = (at(100_000 - 86_400),)
    assert of_the_day(replace(record, recoveries=old), now) == ()


def decided(record: Record, seconds: float, look: Look | None = None) -> object:
    return decide(record, look, at(seconds), POLICY)


def test_n22_a_recovery_is_begun_put_off_or_given_up() -> None:
    record = exited(lost(spot(), at(OLD), "taken"))
    first = decided(record, OLD)
    assert isinstance(first, Recover)
    assert first.by == "migrate"
    once = replace(record, recoveries=(at(OLD - 60),))
    waits = decided(once, OLD)
    assert isinstance(waits, Postpone)
    assert waits.until == at(OLD - 60) + timedelta(minutes=30)
    resting = decided(replace(once, run=replace(once.run, not_before=waits.until)), OLD)
    assert isinstance(resting, Rest)
    thrice = replace(record, recoveries=(at(OLD - 60),) * 3)
    given_up = decided(thrice, OLD)
    assert isinstance(given_up, Fail)
    assert given_up.code == "RECOVERY_LIMIT"
    assert "3 times within a day" in given_up.reason
    never = replace(record, recovery=Recovery(max_per_day=0))
    assert isinstance(decided(never, OLD), Fail)


def test_while_it_waits_no_time_limit_of_a_launch_ends_it() -> None:
    record = exited(lost(spot(), at(OLD), "taken"))
    once = replace(record, recoveries=(at(OLD - 60),))
    assert isinstance(decided(once, OLD + 29 * 60 - 61), Postpone)
    assert isinstance(decided(once, OLD + 86_000), Recover)


def test_n9_a_new_machine_sets_the_old_one_aside_and_keeps_it() -> None:
    record = begun(exited(lost(spot(), at(OLD), "taken")), "recreate", at(OLD), "op_2")
    assert record.recovering
    assert record.recovering.former
    assert (record.machine, record.recovering.former.id) == (None, MACHINE)
    former = row("exited")
    assert standing(record, former) is Standing.FORMER
    assert standing(replace(record, recovering=None), former) is Standing.LEFTOVER
    back = taken_back(record)
    assert back.machine
    assert (back.machine.id, back.recovering) == (MACHINE, None)


def test_a_wish_to_stop_brings_the_old_one_back_and_a_wish_to_delete_takes_both() -> None:
    record = begun(exited(lost(spot(), at(OLD), "taken")), "recreate", at(OLD), "op_2")
    stopping = replace(without_recovery(record, Wish.STOPPED), wants=Wish.STOPPED)
    assert isinstance(decided(stopping, OLD), TakeBack)
    deleting = replace(without_recovery(record, Wish.DELETED), wants=Wish.DELETED)
    assert isinstance(decided(deleting, OLD), TakeBack)
    replaced = replace(record, machine=Machine(id=CloudId("n"), offer=OFFER, attempt=2, adopted_at=at(OLD), ran=True))
    assert without_recovery(replaced, Wish.STOPPED).recovering is None
    assert without_recovery(replaced, Wish.DELETED).recovering


def test_what_one_way_failed_goes_the_other() -> None:
    record = begun(exited(lost(spot(), at(OLD), "taken")), "migrate", at(OLD), "op_2")
    sent = replace(record, run=replace(record.run, sent_at=at(OLD + 1)))
    look = replace(got(OLD + 90, row("exited")), job=FAILED_JOB)
    failed = learn(sent, look, POLICY.settle).record
    found = decided(failed, OLD + 90, look)
    assert isinstance(found, Recover)
    assert found.by == "recreate"
    hangs = replace(sent, seen=Seen(at=at(OLD + 2), status="migrating"))
    assert isinstance(decided(hangs, OLD + 29 * 60), Rest)
    assert isinstance(decided(hangs, OLD + 31 * 60), Recover)


def test_a_recovery_reserves_what_both_machines_may_bill() -> None:
    record = begun(exited(lost(spot(), at(OLD), "taken")), "recreate", at(OLD), "op_2")
    big = replace(record, spec=replace(record.spec, rootfs_size_gb=160), dearest=40_000)
    assert reserved(big) - reserved(replace(big, recovering=None)) == disk_rate(160)


def test_spot_machines_are_looked_at_more_often_and_most_when_one_is_announced_or_was_taken_beside_it() -> None:
    often, most = timedelta(seconds=10), timedelta(seconds=2)

    def every(*records: Record) -> timedelta | None:
        return look_every(records, at(OLD), spot=often, moving=most)

    other = spot(id=InstanceId("ins_other"))
    assert every(ready()) is None
    assert every(spot(wants=Wish.STOPPED)) is None
    assert every(spot()) == often
    assert every(spot(seen=Seen(at=at(100), status="running", spot_status="notified"))) == most
    taken = exited(lost(other, at(OLD - 60), "taken"))
    assert every(spot(), taken) == most
    long_ago = exited(lost(other, at(OLD - 600), "taken"))
    assert every(spot(), long_ago) == often
