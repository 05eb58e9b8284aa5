"""The cloud's answers, applied to whatever the record has become meanwhile."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from novita_gpu.domain.answers import Meaning, Reply, create_answered, mutation_answered
from novita_gpu.domain.events import EventType
from novita_gpu.domain.instance import AttemptState, MutationKind, Refusal, Run, RunKind, Status, Wish, status
from novita_gpu.domain.spec import OnStartCapacity
from tests.domain.given import MACHINE, TWIN, at, attempt, launched, mutation, new, ready, stopped

OPEN = new(attempts=(attempt(),))
STARTING = stopped(
    wants=Wish.RUNNING,
    run=Run(kind=RunKind.START, asked_at=at(200)),
    mutation=mutation(MutationKind.START, 201, answered_at=None),
)


def reply(meaning: Meaning, seconds: float = 2, **given: object) -> Reply:
    return replace(Reply(meaning=meaning, at=at(seconds), message="the cloud's words"), **given)


DONE = reply(Meaning.DONE, machine=MACHINE)


def test_an_answered_create_gives_the_record_its_machine() -> None:
    after = create_answered(OPEN, 1, DONE).record
    assert after.machine
    assert (after.machine.id, after.run.sent_at, after.open_attempt) == (MACHINE, at(2), None)


@pytest.mark.parametrize("wish", [Wish.STOPPED, Wish.DELETED])
def test_the_answer_is_kept_though_the_wish_has_changed(wish: Wish) -> None:
    """N24"""
    after = create_answered(replace(OPEN, wants=wish, generation=2), 1, DONE).record
    assert after.machine
    assert status(after) in {Status.STOPPING, Status.DELETING}


def test_why_it_waited_is_over_once_it_has_a_machine() -> None:
    waiting = replace(OPEN, reason="the cloud does not answer")
    assert create_answered(waiting, 1, DONE).record.reason is None


def test_an_answer_after_adoption_by_marker_changes_nothing() -> None:
    adopted = create_answered(OPEN, 1, DONE).record
    assert create_answered(adopted, 1, DONE).record.machine == adopted.machine


def test_a_second_machine_is_not_taken_for_ours() -> None:
    assert create_answered(launched(), 1, reply(Meaning.DONE, machine=TWIN)).record == launched()


@pytest.mark.parametrize("state", [AttemptState.RELEASED, AttemptState.TAKEN_IN])
@pytest.mark.parametrize("meaning", [Meaning.DONE, Meaning.REJECTED, Meaning.LATER])
def test_a_late_answer_takes_nothing_back_that_another_record_has(state: AttemptState, meaning: Meaning) -> None:
    let_go = new(wants=Wish.DELETED, deleted_at=at(90), attempts=(attempt(state=state, machine=MACHINE),))
    assert create_answered(let_go, 1, reply(meaning, machine=MACHINE)).record == let_go


@pytest.mark.parametrize(
    ("meaning", "refusal"),
    [
        (Meaning.CAPACITY, Refusal.CAPACITY),
        (Meaning.REJECTED, Refusal.REJECTED),
        (Meaning.HELD, Refusal.HELD),
        (Meaning.LATER, Refusal.LATER),
    ],
)
def test_a_refusal_closes_the_attempt(meaning: Meaning, refusal: Refusal) -> None:
    after = create_answered(OPEN, 1, reply(meaning)).record
    assert (after.attempts[0].state, after.attempts[0].refusal) == (AttemptState.REFUSED, refusal)


def test_an_unknown_effect_leaves_the_attempt_open() -> None:
    """N1"""
    assert create_answered(OPEN, 1, reply(Meaning.UNKNOWN)).record == OPEN


def test_rejected_fails_with_the_clouds_words() -> None:
    after = create_answered(OPEN, 1, reply(Meaning.REJECTED)).record
    assert status(after) is Status.FAILED
    assert after.failure
    assert "the cloud's words" in after.failure.message


@pytest.mark.parametrize("meaning", [Meaning.LATER, Meaning.HELD, Meaning.CAPACITY, Meaning.UNKNOWN])
def test_what_may_pass_never_fails_the_instance(meaning: Meaning) -> None:
    """T3"""
    assert status(create_answered(OPEN, 1, reply(meaning)).record) is Status.CREATING


def test_pauses_grow_and_heed_retry_after() -> None:
    record, pauses = OPEN, list[float]()
    for _ in range(7):
        record = replace(record, attempts=(attempt(),))
        record = create_answered(record, 1, reply(Meaning.LATER, 0)).record
        assert record.run.not_before
        pauses.append((record.run.not_before - at(0)).total_seconds())
    assert pauses == [2, 4, 8, 16, 32, 60, 60]
    asked = create_answered(OPEN, 1, reply(Meaning.LATER, 0, retry_after=timedelta(seconds=90))).record
    assert asked.run.not_before == at(90)


def test_an_answer_of_a_process_that_slept_does_not_bring_back_what_is_closed() -> None:
    """Its machine was adopted by its marker, deleted, and the record closed meanwhile."""
    known = attempt(state=AttemptState.ADOPTED, machine=MACHINE)
    closed = replace(OPEN, attempts=(known,), wants=Wish.DELETED, deleted_at=at(90))
    assert create_answered(closed, 1, reply(Meaning.DONE, 200, machine=MACHINE)).record == closed
    settled_ = replace(closed, attempts=(attempt(state=AttemptState.SETTLED),))
    told = create_answered(settled_, 1, reply(Meaning.DONE, 200, machine=MACHINE)).record
    assert (told.machine, told.attempts[0].machine) == (None, MACHINE)


def test_an_answered_start_counts_looks_from_its_answer() -> None:
    assert STARTING.mutation
    after = mutation_answered(STARTING, STARTING.mutation, reply(Meaning.DONE, 203)).record
    assert after.looks_count_from == at(203)
    assert after.run.sent_at == at(203)


def test_an_answer_to_a_start_of_an_earlier_wish_does_not_mark_the_new_run() -> None:
    assert STARTING.mutation
    later = replace(STARTING, generation=2)
    assert mutation_answered(later, STARTING.mutation, reply(Meaning.DONE, 203)).record.run.sent_at is None


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (OnStartCapacity.WAIT, Status.STARTING),
        (OnStartCapacity.MIGRATE, Status.STARTING),
        (OnStartCapacity.FAIL, Status.FAILED),
    ],
)
def test_a_start_without_a_gpu_does_as_its_policy_says(policy: OnStartCapacity, expected: Status) -> None:
    record = replace(STARTING, on_start_capacity=policy)
    assert record.mutation
    after = mutation_answered(record, record.mutation, reply(Meaning.CAPACITY, 203))
    assert status(after.record) is expected
    assert [n.type for n in after.notes] == [EventType.START_REFUSED]
    assert after.record.run.migrate is (policy is OnStartCapacity.MIGRATE)


@pytest.mark.parametrize("meaning", [Meaning.REJECTED, Meaning.HELD, Meaning.LATER, Meaning.WRONG_STATE])
def test_a_refused_stop_stays_wanted(meaning: Meaning) -> None:
    """N19"""
    record = ready(wants=Wish.STOPPED, mutation=mutation(MutationKind.STOP, 100, answered_at=None))
    assert record.mutation
    after = mutation_answered(record, record.mutation, reply(meaning, 101)).record
    assert status(after) is Status.STOPPING
    assert after.mutation
    assert after.mutation.refused


@pytest.mark.parametrize(("seconds", "missing"), [(300, None), (301, at(301))])
def test_not_found_at_delete_is_a_hint_and_no_proof(seconds: float, missing: datetime | None) -> None:
    """N7: within five minutes of create not even a hint, for the cloud may lag."""
    record = ready(wants=Wish.DELETED, mutation=mutation(MutationKind.DELETE, 100, answered_at=None))
    assert record.mutation
    after = mutation_answered(record, record.mutation, reply(Meaning.NOT_FOUND, seconds)).record
    assert after.missing_at == missing
    assert status(after) is Status.DELETING
