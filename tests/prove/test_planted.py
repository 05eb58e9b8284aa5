"""The search finds what it is for: each of these bugs is planted, and a schedule that it breaks is found."""

# pyright: reportPrivateUsage=false
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.base import Listing
from novita_gpu.cloud.novita import Novita
from novita_gpu.control import reconcile
from novita_gpu.control.journal import Journal
from novita_gpu.control.launch import CAUSE, Launcher
from novita_gpu.control.meeting import Meeting, Met
from novita_gpu.control.reconcile import Reconciler
from novita_gpu.control.sweep import Sweep
from novita_gpu.domain import compare, decide, idle, meter, twins
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.answers import Meaning, Reply, create_answered
from novita_gpu.domain.case import Case
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import Attempt, InstanceId, MutationKind, Record, Wish
from novita_gpu.domain.learn import Learned
from novita_gpu.domain.limits import reserved
from novita_gpu.domain.look import Look, Row
from novita_gpu.domain.offers import Ranking
from novita_gpu.domain.orphans import Standing, standing
from novita_gpu.domain.steps import Close, Rest, Step
from novita_gpu.store import looks, records
from novita_gpu.store.base import Change, Stale
from novita_gpu.store.fallback import Fallback
from novita_gpu.store.looks import Looks
from novita_gpu.store.records import Records
from novita_gpu.work import Work
from tests.prove import verdict
from tests.prove.doorbell import Doorbell, Job
from tests.prove.rig import Rig
from tests.prove.scenes import SCENES, hurried, patched_at
from tests.prove.schedule import Hazard, Parted, Schedule, Trouble
from tests.prove.schedule import Wish as SoughtWish
from tests.prove.search import LIVES, PARTED_LIVES, Span
from tests.work.adapters import DOORBELLS
from tests.work.test_doorbell import test_an_alarm_and_a_ring_do_not_swallow_each_other as swallow_each_other

pytest_plugins = ("tests.valkey",)

# Schedules within which each is found.
AT_MOST = 300


async def search(rig: Rig, schedules: AsyncIterator[Schedule] | Iterable[Schedule]) -> list[str]:
    """What the first schedule that breaks a promise breaks."""
    tried = 0
    async for schedule in _each(schedules):
        tried += 1
        assert tried <= AT_MOST, "not found"
        if faults := (await rig.run(schedule)).faults:
            return faults
    raise AssertionError(f"not found in {tried} schedules")


async def _each(schedules: AsyncIterator[Schedule] | Iterable[Schedule]) -> AsyncGenerator[Schedule]:
    if isinstance(schedules, Iterable):
        for schedule in schedules:
            yield schedule
    else:
        async for schedule in schedules:
            yield schedule


async def single(
    rig: Rig, life: str, which: Callable[[Span], Iterable[Schedule]], replicas: int = 1
) -> AsyncGenerator[Schedule]:
    """Every one of a kind in a command's life."""
    schedule = replace(LIVES[life], replicas=replicas)
    for each in which(Span.of(schedule, await rig.run(schedule))):
        yield each


def spoiled(span: Span) -> Iterable[Schedule]:
    return span.spoiled()


def cut(span: Span) -> Iterable[Schedule]:
    return span.cut()


async def test_a_create_retried_blindly(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N1"""
    send = Launcher._send

    async def again(self: Launcher, record: Record, attempt: Attempt, begun: float) -> Reply:
        reply = await send(self, record, attempt, begun)
        return await send(self, record, attempt, begun) if reply.meaning is Meaning.UNKNOWN else reply

    monkeypatch.setattr(Launcher, "_send", again)
    assert "2 machines of one instance at once" in await search(rig, single(rig, "create", spoiled))


async def test_an_intent_stored_after_the_call(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N3"""

    async def call_first(self: Launcher, before: Record, learned: Learned, ranking: Ranking) -> Record:
        attempt = self._intent(learned.record, ranking.offers[0], self._now())
        reply = await self._send(learned.record, attempt, self._monotonic())
        stored = await self._write(before, replace(learned, record=learned.record.with_attempt(attempt)))
        return await self._answered(stored, attempt, reply)

    monkeypatch.setattr(Launcher, "_attempt", call_first)
    faults = await search(rig, single(rig, "create", cut))
    assert any("without a stored intent" in fault for fault in faults)


async def test_adoption_by_a_fuzzy_name(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N5"""
    look = Looks.look

    async def fuzzy(self: Looks, record: Record) -> Look | None:
        found, attempt = await look(self, record), record.open_attempt
        if found is None or attempt is None:
            return found
        alike = (row for row in await self.rows() if record.name in row.name)
        return replace(found, marked=tuple(replace(row, marker=attempt.marker) for row in alike))

    monkeypatch.setattr(Looks, "look", fuzzy)
    assert await search(rig, [SCENES["a name that is part of another one"]])


async def test_a_delete_while_a_create_is_unanswered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N24"""
    rules = [rule for rule in decide._RULES if rule is not decide._open_attempt]
    monkeypatch.setattr(decide, "_RULES", (*rules, decide._open_attempt))
    faults = await search(rig, [SCENES["a delete while the create is unanswered"]])
    assert "a is deleted with a create unanswered" in faults


async def test_the_answer_of_a_create_thrown_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record moved on meanwhile, by a change of policy."""

    async def guarded(self: Launcher, stored: Record, attempt: Attempt, reply: Reply) -> Record:
        learned = create_answered(stored, attempt.number, reply)
        try:
            return await self._journal.write(self._journal.change(stored, learned, CAUSE, reply.at))
        except Stale:
            return stored

    monkeypatch.setattr(Launcher, "_answered", guarded)
    faults = await search(rig, (patched_at(1 + number / 50) for number in range(30)))
    assert any(fault.startswith("thrown away") for fault in faults)


async def test_a_create_sent_by_a_process_that_slept(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N25"""
    send, create = Launcher._send, Novita.create

    async def late(self: Launcher, record: Record, attempt: Attempt, begun: float) -> Reply:
        return await send(self, record, replace(attempt, intent_at=self._now()), begun)

    async def whenever(self: Novita, order: Any, *, send_by: float) -> Any:
        return await create(self, order, send_by=float("inf"))

    monkeypatch.setattr(Launcher, "_send", late)
    monkeypatch.setattr(Novita, "create", whenever)
    assert "2 machines of one instance at once" in await search(rig, single(rig, "create", cut, replicas=2))


async def test_a_marker_cloned_with_another_machines_environment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N17"""

    def by_environment(row: Row, marker: str) -> bool:
        return row.marker == marker

    monkeypatch.setattr(looks, "bears", by_environment)
    monkeypatch.setattr(compare, "bears", by_environment)
    faults = await search(rig, [SCENES["a copy with the same environment"]])
    assert any(fault.startswith("touched") for fault in faults)


async def test_a_record_forgotten_before_gone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N7"""

    def forgetful(case: Case) -> Step | None:
        last = case.record.mutation
        sent = last is not None and last.kind is MutationKind.DELETE
        return Close(reason="delete was sent") if sent and not case.record.deleted_at else None

    unanswered = decide._RULES.index(decide._unanswered)
    rules = (*decide._RULES[: unanswered + 1], forgetful, *decide._RULES[unanswered + 1 :])
    monkeypatch.setattr(decide, "_RULES", rules)
    faults = await search(rig, single(rig, "delete", spoiled))
    assert any("is deleted and its machine" in fault for fault in faults)


async def test_another_accounts_cloud_taken_for_an_empty_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5"""

    async def none(self: Sweep, *_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(Sweep, "_doubt", none)
    faults = await search(rig, [SCENES["another account's cloud for some minutes"]])
    assert any(fault.startswith("leaked") for fault in faults)


async def test_the_revision_guard_removed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T2"""
    commit = Records.commit

    async def over(self: Records, change: Change) -> Record:
        try:
            return await commit(self, change)
        except Stale:
            present = await self.load(change.after.id)
            return await commit(self, replace(change, before=present))

    monkeypatch.setattr(Records, "commit", over)
    assert await search(rig, (hurried(order) for order in range(AT_MOST)))


async def test_a_listing_with_a_missing_page_taken_for_absence(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5"""
    listing = Novita.listing

    async def whole(self: Novita) -> Listing:
        return replace(await listing(self), complete=True, fault="")

    monkeypatch.setattr(Novita, "listing", whole)
    faults = await search(rig, [SCENES["listings without their last row while a create is unanswered"]])
    assert "2 machines of one instance at once" in faults


@pytest.mark.parametrize("kind", ["docket on a server", "by hand"])
@pytest.mark.parametrize("alarm_first", [True, False])
async def test_alarm_and_bell_on_one_key(
    kind: str, alarm_first: bool, valkey_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search makes good for a lost ring within seconds, so it is the suite of all doorbells that finds this."""

    async def on_docket(self: Work, instance: InstanceId, at: datetime) -> None:
        with self._in_use() as docket:
            await docket.replace("reconcile", at, f"bell:{instance}")(instance=instance)

    def by_hand(self: Doorbell, instance: InstanceId, at: float) -> None:
        self._due[Job(f"bell:{instance}", instance)] = at

    monkeypatch.setattr(Work, "alarm", on_docket)
    monkeypatch.setattr(Doorbell, "alarm", by_hand)
    async with DOORBELLS[kind].open(valkey_url, prefix) as doorbell:
        with pytest.raises((AssertionError, ValueError)):
            await swallow_each_other(doorbell, alarm_first)


ROOM = "more wished for than the limit has room for"


async def test_limits_that_the_commit_does_not_hold(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each caller looks at what the others have reserved, and none finds the others there yet."""

    def unchecked(_: Change) -> tuple[str, str]:
        return "", ""

    monkeypatch.setattr(records, "_limits", unchecked)
    faults = await search(rig, [SCENES[ROOM]])
    assert any(fault.startswith("overspent") for fault in faults)


async def test_a_stop_that_gives_its_room_away_before_the_machine_is_down(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to stop bills until it has stopped."""

    def hasty(record: Record) -> int:
        return reserved(record) if record.wants is Wish.RUNNING else 0

    monkeypatch.setattr(records, "reserved", hasty)
    monkeypatch.setattr(verdict, "reserved", hasty)
    wishes = (
        SoughtWish(at=1, verb="create"),
        SoughtWish(at=40, verb="stop"),
        SoughtWish(at=40.2, verb="create", name="b"),
    )
    busy = Hazard(trouble=Trouble.BUSY, nth=0, op="stop", times=2)
    faults = await search(rig, [Schedule(wishes=wishes, hazards=(busy,), room=1)])
    assert any(fault.startswith("overspent") for fault in faults)


async def test_a_bill_that_begins_with_the_first_look_at_a_running_machine(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud bills from pulling on."""
    monkeypatch.setattr(meter, "BILLED_STATUSES", meter.BILLED_STATUSES - {"pulling"})
    monkeypatch.setattr(meter, "UNBILLED_STATUSES", meter.UNBILLED_STATUSES | {"pulling"})
    faults = await search(rig, [LIVES["create"], LIVES["delete"]])
    assert any(fault.startswith("money") for fault in faults)


def beaten(span: Span) -> Iterable[Schedule]:
    return span.beaten()


async def test_a_stop_for_idleness_that_does_not_weigh_the_last_heartbeat(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N13"""

    def unweighed(_: Change) -> str:
        return ""

    monkeypatch.setattr(records, "_weighed", unweighed)
    faults = await search(rig, single(rig, "idle", beaten))
    assert any(fault.startswith("in use") for fault in faults)


async def test_a_run_that_is_judged_by_the_heartbeats_of_the_run_before(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N14"""

    def ever(heard: Heard, ready: datetime) -> datetime:
        return heard.last or ready

    monkeypatch.setattr(Heard, "used_at", ever)
    wishes = (
        SoughtWish(at=1, verb="create"),
        SoughtWish(at=30, verb="touch"),
        SoughtWish(at=32, verb="stop"),
        SoughtWish(at=100, verb="start"),
    )
    faults = await search(rig, [Schedule(wishes=wishes, idle_minutes=1)])
    assert any(fault.startswith("in use") for fault in faults)


async def test_a_stop_for_idleness_that_nobody_was_told_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(record: Record, heard: Heard, now: datetime, policy: IdlePolicy) -> str | None:
        return "stop" if idle.due_now(record, heard, now, policy) in {"warn", "stop"} else None

    monkeypatch.setattr(decide, "due_now", hasty)
    faults = await search(rig, [LIVES["idle"]])
    assert any(fault.startswith("untold") for fault in faults)


async def test_an_idle_machine_whose_alarm_is_the_only_thing_that_wakes_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N20: a lost alarm is made up for by what the record says is due."""
    write = Reconciler._settle_down

    async def undue(self: Reconciler, before: Record, learned: Learned, step: Rest) -> tuple[Record, datetime | None]:
        after, until = await write(self, before, learned, replace(step, until=None))
        return after, step.until or until

    monkeypatch.setattr(Reconciler, "_settle_down", undue)
    lost = Hazard(trouble=Trouble.LOST, nth=0, op="alarm", times=50)
    faults = await search(rig, [LIVES["idle"].with_hazards(lost)])
    assert "not at rest" in faults


async def test_a_former_machine_that_is_forgotten_once_its_replacement_answers(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N9"""

    def unowned(record: Record, row: Row) -> Standing | None:
        found = standing(record, row)
        return None if found is Standing.LEFTOVER else found

    monkeypatch.setattr(twins, "standing", unowned)
    faults = await search(rig, [LIVES["recreate"]])
    assert any(fault.startswith("leaked") for fault in faults)


async def test_a_replacement_bought_anew_after_each_crash(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt of a recovery is forgotten when its machine is set aside."""
    begin = reconcile.begun

    def anew(record: Record, by: Any, now: datetime, operation: str) -> Record:
        after = begin(record, by, now, operation)
        return replace(after, attempts=after.attempts[:0]) if by == "recreate" else after

    monkeypatch.setattr(reconcile, "begun", anew)
    faults = await search(rig, [LIVES["recreate"]])
    assert faults


async def test_a_change_that_is_told_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T9"""
    events = Journal._events

    def doubled(self: Journal, *of: Any) -> Iterator[Event]:
        for event in events(self, *of):
            yield event
            yield replace(event, id=event.id + "b")

    monkeypatch.setattr(Journal, "_events", doubled)
    faults = await search(rig, [LIVES["create"]])
    assert any(fault.startswith("events") for fault in faults)


async def test_a_change_that_is_never_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T9"""
    events = Journal._events

    def silent(self: Journal, *of: Any) -> Iterator[Event]:
        return (event for event in events(self, *of) if event.type is not EventType.STOPPING)

    monkeypatch.setattr(Journal, "_events", silent)
    faults = await search(rig, [LIVES["stop"]])
    assert any(fault.startswith("events") for fault in faults)


async def test_a_pass_that_tells_though_nothing_changed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T9"""
    look, numbers = Reconciler.reconcile, count()

    async def talkative(self: Reconciler, instance: InstanceId) -> None:
        await look(self, instance)
        told = Event(id=f"evt_{next(numbers)}", type=EventType.UPDATED, at=self._now(), actor="control")
        await self._store.events.append(told)

    monkeypatch.setattr(Reconciler, "reconcile", talkative)
    faults = await search(rig, [LIVES["create"]])
    assert any(fault.startswith("events: one more round") for fault in faults)


def unheard_in_a_meeting() -> Iterator[Schedule]:
    """The answer to one commit is lost; where that is one of the meeting, the wish is changed before the next one."""
    wishes = (
        *(SoughtWish(at=1, verb="create", name=name) for name in "ab"),
        *(SoughtWish(at=23, verb="stop", name=name) for name in "ab"),
        *(SoughtWish(at=27.5, verb="delete", name=name) for name in "ab"),
    )
    late = Schedule(wishes=wishes, parted=(Parted(at=20, seconds=5),))
    for number in range(24, 60):  # those before are of its launches
        yield late.with_hazards(Hazard(trouble=Trouble.UNHEARD, nth=number, op="commit"))


async def test_a_copy_that_buys(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """N12: on the other side of a cut line somebody acts by the same record, which had to wait for the cloud."""

    def unheld(_: Case, step: Step) -> Step:
        return step

    monkeypatch.setattr(decide, "_held", unheld)
    out, cut = Hazard(trouble=Trouble.OUT, nth=0, op="create", seconds=8), Parted(at=20, seconds=20)
    waits = Schedule(wishes=(SoughtWish(at=18, verb="create"),), hazards=(out,), parted=(cut,), replicas=2)
    faults = await search(rig, [waits])
    assert "2 machines of one instance at once" in faults


async def test_a_meeting_that_tells_again_what_it_told_before(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """T9"""

    async def all_of_them(self: Meeting, instance: InstanceId) -> list[Event]:
        return self._events[instance]

    monkeypatch.setattr(Meeting, "_untold", all_of_them)
    faults = await search(rig, unheard_in_a_meeting())
    assert any(fault.startswith("events") for fault in faults)


async def test_a_meeting_that_passes_over_what_it_wrote_before(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    met_by = Meeting._met

    async def once(self: Meeting, record: Record, session: str) -> Met:
        if await self._private.facts.fact(f"met:{record.id}"):
            return Met()
        after = await met_by(self, record, session)
        await self._private.facts.put(f"met:{record.id}", session)
        return after

    monkeypatch.setattr(Meeting, "_met", once)
    assert await search(rig, unheard_in_a_meeting())


async def test_a_private_store_that_nobody_meets_for_a_killed_process(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(self: Fallback) -> None:
        return None

    monkeypatch.setattr(Fallback, "_gather_up", none)
    span = Span.of(PARTED_LIVES["made away"], await rig.run(PARTED_LIVES["made away"]))
    late = (replace(each, hazards=(replace(each.hazards[0], seconds=30),)) for each in span.killed(after=-1))
    faults = await search(rig, late)
    assert "not at rest" in faults
