"""Two histories of one record, made into one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.domain.instance import (
    AttemptState,
    Failure,
    MutationKind,
    Record,
    Run,
    RunKind,
    Seen,
    Status,
    Wish,
    status,
)
from novita_gpu.domain.merge import merged
from novita_gpu.domain.saving import Saving
from novita_gpu.domain.spec import AutoStop
from tests.domain.given import MACHINE, T0, at, attempt, got, launched, learned, listing, mutation, new, ready

BASE = replace(ready(), revision=7)


def ours(**given: Any) -> Record:
    return replace(BASE, base=7, revision=20, updated_at=at(500), **given)


def theirs(**given: Any) -> Record:
    return replace(BASE, revision=11, updated_at=at(400), **given)


def wished(wish: Wish, **given: Any) -> dict[str, Any]:
    return {"wants": wish, "generation": BASE.generation + 1, **given}


def test_where_theirs_never_moved_it_is_ours() -> None:
    here = ours(reason="seen here", **wished(Wish.STOPPED))
    assert merged(BASE, here, BASE) == replace(here, base=None)


@pytest.mark.parametrize(
    ("here", "there", "wants"),
    [
        (Wish.DELETED, Wish.STOPPED, Wish.DELETED),
        (Wish.STOPPED, Wish.DELETED, Wish.DELETED),
        (Wish.STOPPED, Wish.RUNNING, Wish.STOPPED),
        (Wish.RUNNING, Wish.STOPPED, Wish.STOPPED),
        (Wish.RUNNING, Wish.RUNNING, Wish.RUNNING),
        (Wish.DELETED, None, Wish.DELETED),
        (Wish.STOPPED, None, Wish.STOPPED),
        (None, Wish.STOPPED, Wish.STOPPED),
        (None, None, Wish.RUNNING),
    ],
)
def test_the_stronger_wish_wins_and_only_what_was_wished_is_one(
    here: Wish | None, there: Wish | None, wants: Wish
) -> None:
    mine = ours(**wished(here)) if here else ours()
    others = theirs(**wished(there)) if there else theirs(reason="seen there")
    after = merged(BASE, mine, others)
    assert after.wants is wants
    assert after.base is None
    assert after.generation >= max(mine.generation, others.generation) or here is None


def test_what_was_only_seen_here_is_no_wish() -> None:
    """Its machine was replaced there, and is gone: here that looks like somebody's delete."""
    here = ours(wants=Wish.DELETED, deleted_at=at(450), machine=None)
    there = theirs(reason="moved on")
    assert merged(BASE, here, there) == there


def test_a_delete_here_of_what_moved_there_is_a_wish_still_to_be_done() -> None:
    here = ours(deleted_at=at(450), machine=None, **wished(Wish.DELETED, operation="op_9"))
    there = theirs(**wished(Wish.STOPPED))
    after = merged(BASE, here, there)
    assert (after.wants, after.deleted_at, after.machine) == (Wish.DELETED, None, BASE.machine)
    assert after.operation == "op_9"


def test_that_a_machine_is_gone_is_known_afterwards_and_a_listing_confirms_it() -> None:
    """A machine as young as this would else be missed for minutes."""
    gone = tuple(replace(a, machine=MACHINE, gone_at=at(440)) for a in BASE.attempts)
    here = ours(deleted_at=at(450), machine=None, attempts=gone, **wished(Wish.DELETED))
    after = merged(BASE, here, theirs(**wished(Wish.STOPPED)))
    assert (after.wants, after.machine, after.missing_at) == (Wish.DELETED, BASE.machine, at(440))


def test_what_is_closed_there_stays_closed() -> None:
    closed = theirs(wants=Wish.DELETED, deleted_at=at(390), machine=None)
    assert merged(BASE, ours(**wished(Wish.RUNNING)), closed) == closed


def test_a_start_wished_here_brings_its_own_run_and_takes_a_failure_away() -> None:
    run = Run(kind=RunKind.START, asked_at=at(450))
    there = theirs(failure=Failure(code="X", message="x", at=at(390)))
    after = merged(BASE, ours(run=run, **wished(Wish.RUNNING)), there)
    assert (after.run, after.failure) == (run, None)


def test_a_policy_changed_here_alone_counts_and_of_two_the_later() -> None:
    early, late = AutoStop(idle=timedelta(minutes=5)), AutoStop(idle=timedelta(minutes=50))
    assert merged(BASE, ours(auto_stop=late), theirs(reason="x")).auto_stop == late
    assert merged(BASE, ours(), theirs(auto_stop=early)).auto_stop == early
    assert merged(BASE, ours(auto_stop=late), theirs(auto_stop=early)).auto_stop == late
    there = theirs(auto_stop=early)
    assert merged(BASE, ours(auto_stop=late), replace(there, updated_at=at(600))).auto_stop == early


def test_an_attempt_that_is_open_there_is_known_from_here_with_its_machine() -> None:
    base = replace(new(), attempts=(attempt(),), revision=7)
    adopted = attempt(state=AttemptState.ADOPTED, machine=MACHINE)
    machine = BASE.machine
    here = replace(base, base=7, revision=9, attempts=(adopted,), machine=machine, updated_at=at(50))
    there = replace(base, revision=8, reason="waits", updated_at=at(60))
    after = merged(base, here, there)
    assert (after.attempts, after.machine) == ((adopted,), machine)
    settled = replace(there, attempts=(attempt(state=AttemptState.SETTLED), attempt(number=2, marker="dep1/abc/2")))
    assert merged(base, here, settled).attempts == settled.attempts
    assert merged(base, here, settled).machine is None


def test_facts_are_of_the_later_unless_others_have_acted_by_theirs() -> None:
    seen = BASE.seen and replace(BASE.seen, at=T0 + timedelta(seconds=390), status="exited")
    late_write = theirs(seen=seen)
    assert merged(BASE, ours(reason="r"), late_write) == replace(ours(reason="r"), base=None)
    for acted in (
        replace(late_write, updated_at=at(600)),
        replace(late_write, generation=BASE.generation + 1),
        replace(late_write, machine=BASE.machine and replace(BASE.machine, attempt=2)),
    ):
        assert merged(BASE, ours(reason="r"), acted).seen == seen


def test_a_stop_that_came_about_here_is_not_told_anew_for_a_write_that_was_done_late_there() -> None:
    seen = BASE.seen and replace(BASE.seen, at=at(490), status="exited")
    here = ours(seen=seen, stopped_at=at(490), **wished(Wish.STOPPED))
    assert status(merged(BASE, here, theirs(reason="late"))) is Status.STOPPED


@pytest.mark.parametrize("state", [AttemptState.OPEN, AttemptState.SETTLED])
def test_n12_an_attempt_that_was_begun_there_is_never_forgotten(state: AttemptState) -> None:
    """Its number would be given again, and a second machine be bought under the marker of the first."""
    base = replace(new(), attempts=(attempt(state=AttemptState.SETTLED),), revision=7)
    begun = attempt(number=2, marker="dep1/abc/2", state=state)
    there = replace(base, revision=8, attempts=(*base.attempts, begun), updated_at=at(400))
    here = replace(base, base=7, revision=20, reason="seen here", updated_at=at(500))
    for mine in (here, replace(here, **wished(Wish.STOPPED)), replace(here, **wished(Wish.RUNNING))):
        after = merged(base, mine, there)
        assert begun in after.attempts
        assert after.next_attempt == 3


def test_t2_what_was_sent_there_is_not_written_over_by_a_later_look_from_here() -> None:
    there = theirs(mutation=mutation(MutationKind.STOP, 390))
    assert merged(BASE, ours(reason="seen here"), there).mutation == there.mutation


def test_what_was_saved_on_either_side_is_not_forgotten_and_not_counted_twice() -> None:
    """It was stopped for idleness here, and started again; others deleted it meanwhile."""
    here = ours(saving=Saving(stops=2, spared=500), **wished(Wish.RUNNING))
    there = theirs(saving=Saving(stops=1, spared=800), **wished(Wish.DELETED))
    after = merged(BASE, here, there)
    assert (after.wants, after.saving) == (Wish.DELETED, Saving(stops=2, spared=800))


UNRUN = replace(launched(), revision=7)


def apart(record: Record, revision: int = 20) -> Record:
    """Moved in a private store since."""
    return replace(record, base=UNRUN.revision, revision=revision)


def removed_by_us(**wish: Any) -> Record:
    """One replica had its machine deleted, and the cloud said that it is gone."""
    asked = replace(UNRUN, mutation=mutation(MutationKind.DELETE, 400, generation=2), updated_at=at(400), **wish)
    gone = learned(asked, got(410, None)).record
    assert gone.machine is None
    return gone


def taken_for_removed() -> Record:
    """Another, which cannot know of that, saw the machine go."""
    gone = learned(learned(UNRUN, got(410, None)).record, listing(421)).record
    assert gone.deleted_at
    return replace(gone, updated_at=at(421))


def still_seen() -> Record:
    """Another saw the machine before it went."""
    return replace(UNRUN, seen=Seen(at=at(395), status="creating"), updated_at=at(421))


@pytest.mark.parametrize("other", [taken_for_removed, still_seen])
@pytest.mark.parametrize(
    "wish",
    [
        {"wants": Wish.STOPPED, "generation": 2, "operation": "op_9"},
        {"wants": Wish.DELETED, "generation": 2, "operation": "op_9"},
        {},  # it was stuck in its launch: another machine is wanted
    ],
    ids=["stop", "delete", "stuck"],
)
@pytest.mark.parametrize("first", ["who removed it", "the other"])
def test_what_one_of_us_removed_was_removed_by_nobody_else(
    other: Callable[[], Record], wish: dict[str, Any], first: str
) -> None:
    """Whichever of the two comes back first."""
    ours, others = removed_by_us(**wish), other()
    one, two = (ours, others) if first == "who removed it" else (others, ours)
    met = replace(merged(UNRUN, apart(one), UNRUN), revision=8)
    after = merged(UNRUN, apart(two), met)
    if after.machine:  # a listing confirms what the other was told
        after = learned(after, listing(460)).record
    assert (after.wants, after.machine, after.operation) == (ours.wants, None, ours.operation)
    assert status(after) is status(ours)
    assert after.generation >= ours.generation
