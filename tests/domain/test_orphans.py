"""Whose a machine is by its marker, and when one that nobody has may be removed."""

import pytest
from msgspec.structs import replace

from novita_gpu.domain.case import Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.instance import (
    AttemptState,
    CloudId,
    InstanceId,
    Machine,
    MutationKind,
    Record,
    RunKind,
    Seen,
    Wish,
)
from novita_gpu.domain.look import Row
from novita_gpu.domain.orphans import (
    Mark,
    OrphanPolicy,
    Orphans,
    Standing,
    Unclaimed,
    bears,
    held_back,
    is_lookalike,
    mark_of,
    released,
    sighted,
    standing,
    unclaimed,
)
from novita_gpu.domain.steps import Adopt, Change, Fail, Rest, Step
from tests.domain.given import (
    MACHINE,
    OFFER,
    POLICY,
    TWIN,
    at,
    attempt,
    launched,
    learned,
    listing,
    mutation,
    new,
    ready,
    row,
    running,
    stopped,
)

MINUTE = 60
OF_MACHINE = {"state": AttemptState.ADOPTED, "machine": MACHINE}
KNOWN = Unclaimed(id=MACHINE, name="train-1-dep1-abc-1", since=at(4000), listings=2, incarnation="i1")
DELETE = OrphanPolicy(delete=True)
REPORT = OrphanPolicy()


def closed(**of_attempt: object) -> Record:
    return new(wants=Wish.DELETED, deleted_at=at(1000), attempts=(attempt(**of_attempt),))


VANISHED = closed(**OF_MACHINE, vanished_at=at(1000))


@pytest.mark.parametrize(
    ("marker", "mark"),
    [
        ("dep1/abc/1", Mark(owner=InstanceId("ins_abc"), number=1)),
        ("dep1/abc/12", Mark(owner=InstanceId("ins_abc"), number=12)),
        ("dep2/abc/1", None),
        ("dep11/abc/1", None),
        ("dep1/abc", None),
        ("dep1/abc/1/1", None),
        ("dep1/abc/0", None),
        ("dep1/abc/x", None),
        ("dep1/a:c/1", None),
        ("dep1//1", None),
        ("dep1/abc/1\n", None),
        ("", None),
    ],
)
def test_a_marker_names_its_instance_within_its_deployment(marker: str, mark: Mark | None) -> None:
    assert mark_of(marker, "dep1") == mark


@pytest.mark.parametrize(
    ("name", "marker", "whole", "half"),
    [
        ("train-1-dep1-abc-1", "dep1/abc/1", True, False),
        ("a-clone", "dep1/abc/1", False, True),
        ("train-1-dep1-abc-1", "", False, True),
        ("train-1-dep1-abc-1", "dep1/abc/2", False, True),
        ("train-1-dep1-abc-1", "dep2/zzz/1", False, True),
        ("train-1-dep2-zzz-1", "dep2/zzz/1", True, False),
        ("train-1-dep2-zzz-1", "", False, False),
        ("somebodys", "", False, False),
        ("somebodys", "not a marker", False, False),
    ],
)
def test_only_both_halves_of_one_marker_make_a_machine_ours(name: str, marker: str, whole: bool, half: bool) -> None:
    """N5, N6"""
    shown = replace(row("running", marker=marker), name=name)
    assert bears(shown, marker) is whole if marker else not whole
    assert is_lookalike(shown, "dep1") is half


@pytest.mark.parametrize(
    ("record", "machine", "stands"),
    [
        (launched(), MACHINE, Standing.OWN),
        (launched(), TWIN, Standing.TWIN),
        (new(attempts=(attempt(),)), MACHINE, Standing.AWAITED),
        (new(attempts=(attempt(state=AttemptState.SETTLED),)), MACHINE, Standing.TWIN),
        (new(attempts=(attempt(state=AttemptState.REFUSED),)), MACHINE, Standing.TWIN),
        (closed(state=AttemptState.SETTLED), MACHINE, Standing.TWIN),
        (closed(**OF_MACHINE), MACHINE, Standing.LEFTOVER),
        (closed(**OF_MACHINE), TWIN, Standing.TWIN),
        (VANISHED, MACHINE, Standing.ORPHAN),
        (VANISHED, TWIN, Standing.TWIN),
        (closed(state=AttemptState.RELEASED, machine=MACHINE), MACHINE, None),
        (closed(state=AttemptState.RELEASED, machine=MACHINE), TWIN, None),
        (closed(state=AttemptState.TAKEN_IN, machine=MACHINE), MACHINE, Standing.LEFTOVER),
        (closed(state=AttemptState.TAKEN_IN, machine=MACHINE, vanished_at=at(1)), MACHINE, Standing.ORPHAN),
        (closed(state=AttemptState.TAKEN_IN, machine=MACHINE), TWIN, None),
        (closed(**{**OF_MACHINE, "marker": "dep1/abc/2"}), MACHINE, None),
        (closed(**{**OF_MACHINE, "marker": ""}), MACHINE, None),
        (new(), MACHINE, None),
    ],
)
def test_what_a_machine_is_to_a_record(record: Record, machine: CloudId, stands: Standing | None) -> None:
    assert standing(record, row("running", machine)) is stands


def test_a_machine_that_vanished_is_remembered_so_and_one_that_was_given_up_is_not() -> None:
    """Whether a person wished the delete is what tells an orphan from a leftover."""
    missing = ready(missing_at=at(500))
    asked = replace(missing, wants=Wish.DELETED)
    ours = replace(missing, wants=Wish.DELETED, mutation=mutation(MutationKind.DELETE, 400))
    stands = [
        standing(learned(record, listing(600)).record, row("running")) for record in (missing, asked, ours, stopped())
    ]
    assert stands == [Standing.ORPHAN, Standing.LEFTOVER, Standing.LEFTOVER, Standing.OWN]


@pytest.mark.parametrize(
    ("known", "shown", "policy", "seconds", "held"),
    [
        (KNOWN, row("running"), DELETE, 4000 + 30 * MINUTE, None),
        (KNOWN, row("running"), DELETE, 4000 + 30 * MINUTE - 1, "younger"),
        (KNOWN, row("running"), DELETE, 4000 + 5 * MINUTE, "younger"),
        (KNOWN, replace(row("running"), created_at=at(4600)), DELETE, 4600 + 30 * MINUTE - 1, "younger"),
        (KNOWN, replace(row("running"), created_at=at(4600)), DELETE, 4600 + 30 * MINUTE, None),
        (KNOWN, replace(row("running"), created_at=at(0)), DELETE, 4000 + 30 * MINUTE - 1, "younger"),
        (None, row("running"), DELETE, 90_000, "2 complete listings"),
        (replace(KNOWN, listings=1), row("running"), DELETE, 90_000, "2 complete listings"),
        (replace(KNOWN, incarnation="i0"), row("running"), DELETE, 90_000, "the store"),
        (replace(KNOWN, incarnation=""), row("running"), DELETE, 90_000, "the store"),
        (KNOWN, row("running"), REPORT, 90_000, "reported only"),
        (replace(KNOWN, wanted_until=at(90_001)), row("running"), REPORT, 90_000, None),
        (replace(KNOWN, wanted_until=at(90_000)), row("running"), REPORT, 90_000, "reported only"),
        (replace(KNOWN, wanted_until=at(90_000)), row("running"), REPORT, 4000, "younger"),
    ],
)
def test_each_condition_holds_a_removal_back(
    known: Unclaimed | None, shown: Row, policy: OrphanPolicy, seconds: float, held: str | None
) -> None:
    """N6"""
    why = held_back(shown, Orphans(known=(known,) if known else (), incarnation="i1"), policy, at(seconds))
    assert (held in why) if held and why else why is held


ALL = Orphans(known=(KNOWN,), incarnation="i1")
LATE = 90_000


def step(record: Record, shown: Row, *, orphans: Orphans = ALL, delete: bool = True, complete: bool = True) -> Step:
    policy = Policy(orphans=OrphanPolicy(delete=delete))
    look = listing(LATE, shown, complete=complete)
    return decide(record, look, at(LATE), policy, orphans=orphans)


def test_an_orphan_is_removed_by_the_pass_over_its_closed_record() -> None:
    found = step(VANISHED, row("running"))
    assert isinstance(found, Change)
    assert (found.kind, found.machine, found.twin, found.orphan) == (MutationKind.DELETE, MACHINE, True, True)


@pytest.mark.parametrize(
    "how",
    [{"delete": False}, {"orphans": Orphans()}, {"complete": False}, {"orphans": replace(ALL, incarnation="i2")}],
)
def test_an_orphan_is_left_alone_else(how: dict[str, object]) -> None:
    assert isinstance(step(VANISHED, row("running"), **how), Rest)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("word", ["toRemove", "removing", "removed"])
def test_an_orphan_on_its_way_out_is_left_alone(word: str) -> None:
    assert isinstance(step(VANISHED, row(word)), Rest)


def test_what_a_person_wanted_deleted_is_deleted_again_whatever_the_rule_for_orphans_says() -> None:
    found = step(closed(**OF_MACHINE), row("running"), delete=False, orphans=Orphans(), complete=False)
    assert isinstance(found, Change)
    assert not found.orphan


def test_a_released_machine_is_nobodys_twin() -> None:
    """N17: it is another record's now."""
    mine = closed(**OF_MACHINE)
    given = released(mine, row("running"), 1, OFFER, at(2000))
    assert isinstance(step(given, row("running")), Rest)
    assert given.next_attempt == 2


def test_the_number_of_a_machine_of_another_record_is_not_given_again() -> None:
    known = launched()
    later = released(known, row("running", TWIN, marker="dep1/abc/7"), 7, OFFER, at(2000))
    assert (known.next_attempt, later.next_attempt) == (2, 8)
    assert later.machine == known.machine


def test_a_machine_that_is_taken_in_beside_its_like_is_no_reason_to_delete_the_other() -> None:
    taken = launched(attempts=(attempt(state=AttemptState.TAKEN_IN, machine=MACHINE),))
    assert not isinstance(step(taken, row("running", TWIN)), Change)
    assert released(taken, row("running", TWIN), 1, OFFER, at(2000)) == taken


def test_a_machine_that_was_deleted_as_stuck_is_not_taken_again() -> None:
    """A listing may lag behind its removal."""
    record = new(attempts=(attempt(**OF_MACHINE),))
    found = decide(record, listing(200, row("pulling")), at(201), POLICY)
    assert isinstance(found, Change)
    assert found.kind is MutationKind.DELETE
    late = new(attempts=(attempt(state=AttemptState.SETTLED),))
    assert isinstance(decide(late, listing(200, row("pulling")), at(201), POLICY), Adopt)


def test_no_time_limit_of_ours_ends_what_was_taken_in() -> None:
    """It was there already, and nobody here has asked for it to answer or to come up."""
    run = replace(running().run, kind=RunKind.TAKEN_IN)
    found = [
        decide(running(run=run, attempts=launched().attempts), listing(LATE, row("running")), at(LATE), POLICY),
        decide(
            launched(seen=Seen(at=at(60), status="pulling"), run=replace(run, running_at=None)), None, at(LATE), POLICY
        ),
    ]
    assert [one for one in found if isinstance(one, Fail | Change)] == []


def of(record: Record, *rows: Row) -> list[tuple[CloudId, bool]]:
    return [(shown.id, half) for shown, half in unclaimed(rows, [record], "dep1")]


@pytest.mark.parametrize(
    ("record", "orphan"),
    [
        (new(), True),
        (VANISHED, True),
        (closed(state=AttemptState.RELEASED, machine=MACHINE), True),
        (closed(**{**OF_MACHINE, "marker": "dep1/abc/2"}), True),
        (closed(**OF_MACHINE), False),
        (closed(state=AttemptState.SETTLED), False),
        (launched(), False),
        (launched(attempts=(attempt(marker="", state=AttemptState.TAKEN_IN, machine=MACHINE),)), False),
    ],
)
def test_an_orphan_is_what_no_record_has_or_sees_to(record: Record, orphan: bool) -> None:
    """N6: its closed record is no living one."""
    assert of(record, row("running")) == ([(MACHINE, False)] if orphan else [])


def test_machines_of_others_and_those_on_their_way_out_are_no_orphans() -> None:
    theirs = row("running", marker="dep2/abc/1")
    assert of(new(), theirs, row("removing"), row("removed"), replace(theirs, marker="", name="x")) == []


def test_a_renamed_machine_of_a_living_record_is_its_own() -> None:
    renamed = replace(row("running"), name="renamed")
    assert of(launched(), renamed) == []
    assert of(new(), renamed) == [(MACHINE, True)]


def seen(before: Orphans, seconds: float, *rows: Row, whole: bool = True) -> Orphans:
    found = [(shown, False) for shown in rows]
    return sighted(before, found, {shown.id for shown in rows}, at(seconds), whole=whole)


def test_an_orphan_is_counted_through_complete_listings_and_forgotten_by_one() -> None:
    nobody = Orphans(incarnation="i1")
    first = seen(nobody, 10, row("running"))
    partly = seen(first, 20, row("running"), whole=False)
    away = seen(partly, 30, whole=False)
    second = seen(away, 40, row("running"))
    third = seen(second, 50, row("running"))
    assert [known.known[0].listings for known in (first, partly, away, second, third)] == [1, 1, 1, 2, 2]
    assert {known.known[0].since for known in (first, partly, away, second, third)} == {at(10)}
    assert third == second
    assert seen(third, 60).known == ()


def test_what_another_store_saw_is_seen_for_the_first_time() -> None:
    before = seen(seen(Orphans(incarnation="i0"), 10, row("running")), 20, row("running"))
    after = seen(replace(before, incarnation="i1"), 4000, row("running")).known[0]
    assert (after.since, after.listings, after.incarnation) == (at(4000), 1, "i1")


def test_a_machine_that_another_record_has_is_no_orphan() -> None:
    machine = Machine(id=MACHINE, offer=OFFER, attempt=1, adopted_at=at(0), ran=True)
    holder = new(id=InstanceId("ins_other"), machine=machine)
    assert list(unclaimed([row("running")], [VANISHED, holder], "dep1")) == []
