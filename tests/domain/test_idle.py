"""Idleness: what each source says, what a policy makes of it, and when that stops a machine."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from novita_gpu.domain.activity import Heard, State, signs, verdict
from novita_gpu.domain.advice import may_cost, promise, to_keep
from novita_gpu.domain.gpu import GAP, GpuReading, Point, quiet_since, unread, with_points
from novita_gpu.domain.idle import (
    READ_EVERY,
    IdlePolicy,
    due_now,
    idle_since,
    next_at,
    notice,
    reading_due,
    stop_due,
    stops_at,
)
from novita_gpu.domain.instance import Failure, Record, Run, RunKind, Warned, Wish
from novita_gpu.domain.spec import Activity, AutoStop, Storage
from tests.domain.given import at, new, ready, running, stopped

IDLE = timedelta(minutes=20)
SILENT = Heard()
POLICY = IdlePolicy()


def points(first: float, last: float, *, busy: float = 0.0, memory: float = 40.0) -> list[Point]:
    """One every 15 s."""
    return [Point(at=at(s), busy=busy, memory=memory) for s in range(int(first), int(last) + 1, 15)]


def under(activity: Activity, **auto_stop: object) -> Record:
    """Ready since 62 s."""
    return ready(auto_stop=replace(AutoStop(activity=activity), **auto_stop))


def reading(record: Record, gpu: GpuReading | None) -> Record:
    return replace(record, run=replace(record.run, gpu=gpu))


def state(record: Record, source: str, seconds: float, heard: Heard = SILENT) -> State:
    return next(sign.state for sign in signs(record, heard, at(seconds)) if sign.source == source)


# What is read of a GPU.


def test_a_figure_below_five_percent_is_quiet() -> None:
    gpu = with_points(None, points(60, 600, busy=4.9), at(660))
    assert (gpu.busy_at, gpu.quiet_from, gpu.quiet_to) == (None, at(60), at(600))


def test_a_single_busy_point_counts() -> None:
    gpu = with_points(None, [*points(60, 300), Point(at=at(315), busy=5.0), *points(330, 600)], at(660))
    assert (gpu.busy_at, gpu.quiet_from, gpu.quiet_to) == (at(315), at(315), at(600))


def test_memory_that_moves_is_use_and_memory_that_is_held_is_not() -> None:
    held = with_points(None, points(60, 600, memory=90), at(660))
    moved = with_points(None, [*points(60, 300, memory=40), *points(315, 600, memory=46)], at(660))
    assert (held.busy_at, moved.busy_at) == (None, at(315))


def test_readings_join_without_a_hole() -> None:
    first = with_points(None, points(60, 600), at(660))
    second = with_points(first, points(600, 900), at(960))
    assert (second.quiet_from, second.quiet_to) == (at(60), at(900))


def test_after_a_hole_it_is_quiet_from_the_hole_on() -> None:
    first = with_points(None, points(60, 600), at(660))
    second = with_points(first, points(600 + GAP.total_seconds() + 15, 900), at(960))
    assert second.quiet_from == at(600 + 105)


def test_a_reading_that_fails_takes_nothing_away_and_makes_it_unknown() -> None:
    gpu = unread(with_points(None, points(60, 1305), at(1360)), at(1400), "out")
    assert (gpu.quiet_to, gpu.read_at) == (at(1305), at(1400))
    assert state(reading(under(Activity.GPU), gpu), "gpu", 1400) is State.UNKNOWN


def test_a_point_without_utilisation_says_nothing() -> None:
    gpu = with_points(None, [Point(at=at(60 + 15 * n), memory=40.0) for n in range(40)], at(700))
    assert gpu.quiet_to is None


def test_figures_that_begin_with_the_run_leave_no_hole_before_them() -> None:
    assert quiet_since(with_points(None, points(120, 600), at(660)), at(62)) == at(62)
    assert quiet_since(with_points(None, points(300, 600), at(660)), at(62)) == at(300)


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 100), st.floats(0, 100)), max_size=60), st.data())
def test_readings_in_parts_tell_what_one_reading_tells(
    series: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    every = sorted({p[0]: Point(at=at(p[0] * 15), busy=p[1], memory=p[2]) for p in series}.values(), key=lambda p: p.at)
    cut = data.draw(st.integers(0, len(every)))
    overlap = data.draw(st.integers(0, cut))
    whole = with_points(None, every, at(9000))
    parts = with_points(with_points(None, every[:cut], at(8000)), every[overlap:], at(9000))
    assert parts == whole


# What the sources say, and the verdict.


def test_no_heartbeat_since_it_became_ready_is_idle() -> None:
    record = under(Activity.HEARTBEAT)
    assert state(record, "heartbeat", 62 + 1199) is State.ACTIVE
    assert state(record, "heartbeat", 62 + 1200) is State.IDLE
    assert state(record, "heartbeat", 62 + 1200, Heard(last=at(100))) is State.ACTIVE


def test_n14_a_heartbeat_of_the_run_before_says_nothing() -> None:
    assert idle_since(under(Activity.HEARTBEAT), Heard(last=at(10))) == at(62)


def test_silence_counts_only_while_somebody_listened() -> None:
    record = under(Activity.HEARTBEAT)
    due = stop_due(record, Heard(last=at(500), since=at(4000)))
    assert due
    assert due.at == at(4000) + IDLE
    (sign, *_) = signs(record, Heard(last=at(500), since=at(4000)), at(4001))
    assert (sign.state, "may be lost" in sign.reason) == (State.ACTIVE, True)


@pytest.mark.parametrize(
    ("activity", "heartbeat", "gpu", "expected"),
    [
        (Activity.HEARTBEAT, "active", "idle", State.ACTIVE),
        (Activity.HEARTBEAT, "idle", "active", State.IDLE),
        (Activity.HEARTBEAT, "idle", "unknown", State.IDLE),
        (Activity.GPU, "active", "idle", State.IDLE),
        (Activity.GPU, "idle", "active", State.ACTIVE),
        (Activity.GPU, "active", "unknown", State.UNKNOWN),
        (Activity.ANY, "active", "idle", State.ACTIVE),
        (Activity.ANY, "idle", "active", State.ACTIVE),
        (Activity.ANY, "idle", "idle", State.IDLE),
        (Activity.ANY, "idle", "unknown", State.UNKNOWN),
        (Activity.ANY, "active", "unknown", State.ACTIVE),
    ],
)
def test_the_verdict_of_each_policy(activity: Activity, heartbeat: str, gpu: str, expected: State) -> None:
    now = 5000
    readings = {
        "idle": with_points(None, points(60, now - 60), at(now)),
        "active": with_points(None, [*points(60, now - 75), Point(at=at(now - 60), busy=80)], at(now)),
        "unknown": None,
    }
    heard = Heard(last=at(now - 60)) if heartbeat == "active" else SILENT
    record = reading(under(activity), readings[gpu])
    assert (state(record, "heartbeat", now, heard), state(record, "gpu", now)) == (heartbeat, gpu)
    assert verdict(record, heard, at(now)) is expected
    pinned = replace(record, auto_stop=replace(record.auto_stop, pinned_until=at(now + 1)))
    assert verdict(pinned, heard, at(now)) is State.ACTIVE


def test_what_is_not_ready_has_no_verdict() -> None:
    for record in (new(), running()):
        assert verdict(record, SILENT, at(10_000)) is State.UNKNOWN
        assert stop_due(record, SILENT) is None


# When.


def test_gpu_use_is_read_near_the_limit_and_every_two_minutes_at_most() -> None:
    record = under(Activity.GPU)
    assert reading_due(record, SILENT, POLICY) == at(62 + 1200 - 120)
    quiet = reading(record, with_points(None, points(60, 1080), at(1142)))
    assert reading_due(quiet, SILENT, POLICY) == at(1142) + READ_EVERY
    busy = reading(record, with_points(None, points(60, 1080, busy=90), at(1142)))
    assert reading_due(busy, SILENT, POLICY) == at(1080 + 1200 - 120)
    assert reading_due(under(Activity.HEARTBEAT), SILENT, POLICY) is None


def test_gpu_use_is_read_often_enough_to_have_no_hole() -> None:
    record = under(Activity.GPU, idle=timedelta(days=7))
    assert reading_due(record, SILENT, POLICY) == at(62 + 5400)


def test_idle_by_its_gpu_it_is_told_of_and_stopped_on_a_reading_of_that_moment() -> None:
    record = under(Activity.GPU)
    assert due_now(record, SILENT, at(1142)) == "measure"
    first = reading(record, with_points(None, points(60, 1080), at(1142)))
    assert due_now(first, SILENT, at(1142)) == "warn"
    warned = replace(first, run=replace(first.run, warned=Warned(due=at(1262), at=at(1142), stops_at=at(1262))))
    assert due_now(warned, SILENT, at(1262)) == "measure"
    idle = reading(warned, with_points(warned.run.gpu, points(1080, 1200), at(1262)))
    assert due_now(idle, SILENT, at(1262)) == "stop"
    started = reading(warned, with_points(warned.run.gpu, points(1080, 1200, busy=50), at(1262)))
    assert due_now(started, SILENT, at(1262)) is None
    failed = reading(warned, unread(warned.run.gpu, at(1262), "out"))
    assert due_now(failed, SILENT, at(1262)) is None
    assert due_now(failed, SILENT, at(1262) + READ_EVERY) == "measure"


@pytest.mark.parametrize("seconds_before", [1, 45, 119])
def test_a_stop_never_rests_on_a_reading_from_before_its_moment(seconds_before: int) -> None:
    """Readings fall out of step with the deadline where one of them moved it."""
    read_at = 1262 - seconds_before
    record = reading(under(Activity.GPU), with_points(None, points(60, read_at - 60), at(read_at)))
    told = Warned(due=at(1262), at=at(1142), stops_at=at(1262))
    warned = replace(record, run=replace(record.run, warned=told))
    assert due_now(warned, SILENT, at(1262)) is None
    assert next_at(warned, SILENT, at(1262), POLICY) == at(read_at) + READ_EVERY
    assert due_now(warned, SILENT, at(read_at) + READ_EVERY) == "measure"


def test_a_short_span_is_told_of_at_its_half() -> None:
    due = stop_due(under(Activity.HEARTBEAT, idle=timedelta(minutes=1)), SILENT)
    assert due
    assert notice(due, POLICY.warn) == timedelta(seconds=30)


def test_a_lifetime_that_ends_first_does_not_keep_its_gpu_from_being_read() -> None:
    record = under(Activity.GPU, max_lifetime=timedelta(minutes=30))
    due = stop_due(record, SILENT)
    assert due
    assert due.rule == "idle"
    short = under(Activity.GPU, max_lifetime=timedelta(minutes=10))
    assert reading_due(short, SILENT, POLICY) == at(62 + 1200 - 120)


@pytest.mark.parametrize(
    "record",
    [
        stopped(),
        ready(wants=Wish.DELETED),
        ready(failure=Failure(code="X", message="x", at=at(100))),
        under(Activity.HEARTBEAT, enabled=False),
        ready(run=Run(kind=RunKind.START, asked_at=at(200), running_at=at(210))),
    ],
)
def test_nothing_stops_what_is_not_meant_to_run_or_not_ready_or_exempted(record: Record) -> None:
    assert stop_due(record, SILENT) is None
    assert next_at(record, SILENT, at(10_000), POLICY) is None


# For whatever is known.

seconds = st.integers(62, 30_000)
maybe = st.none() | seconds


@st.composite
def readings(draw: st.DrawFn) -> GpuReading | None:
    """Points with holes and bursts between them; perhaps a reading that failed after them."""
    times = sorted(draw(st.lists(st.integers(4, 2000), max_size=40, unique=True)))
    busy = draw(st.lists(st.sampled_from([0.0, 0.0, 4.0, 60.0]), min_size=len(times), max_size=len(times)))
    if not times:
        return None
    every = [Point(at=at(t * 15), busy=b) for t, b in zip(times, busy, strict=True)]
    gpu = with_points(None, every, at(times[-1] * 15 + 60))
    return unread(gpu, at(times[-1] * 15 + 200), "out") if draw(st.booleans()) else gpu


@st.composite
def drawn(draw: st.DrawFn) -> Record:
    lifetime, pin, warned = draw(st.none() | st.integers(1, 600)), draw(maybe), draw(maybe)
    record = under(
        draw(st.sampled_from(list(Activity))),
        idle=timedelta(minutes=draw(st.integers(1, 300))),
        enabled=draw(st.booleans()),
        max_lifetime=timedelta(minutes=lifetime) if lifetime else None,
        pinned_until=at(pin) if pin else None,
    )
    told = Warned(due=at(warned), at=at(warned - 60), stops_at=at(warned)) if warned else None
    return replace(record, run=replace(record.run, gpu=draw(readings()), warned=told))


@st.composite
def operators(draw: st.DrawFn) -> IdlePolicy:
    return IdlePolicy(on=draw(st.booleans()), warn=timedelta(minutes=draw(st.integers(0, 60))))


records, policies = drawn(), operators()


@settings(max_examples=400)
@given(records, maybe, maybe, seconds, policies)
def test_it_answers_for_whatever_is_known(
    record: Record, last: int | None, since: int | None, now: int, policy: IdlePolicy
) -> None:
    heard = Heard(last=at(last) if last else None, since=at(since) if since else None)
    action, due = due_now(record, heard, at(now), policy), stop_due(record, heard, policy)
    following = next_at(record, heard, at(now), policy)
    assert following is None or following > at(now)
    if action in {"warn", "stop"}:
        assert due
        assert at(now) >= due.at - notice(due, policy.warn)
    if action == "stop":
        assert due
        assert at(now) >= stops_at(record, due) >= due.at
        assert record.run.warned
    if due and action is None and due.at > at(now):
        assert following, "nothing would wake it"


@settings(max_examples=400)
@given(records, maybe, maybe, seconds, policies)
def test_unknown_never_stops(record: Record, last: int | None, since: int | None, now: int, policy: IdlePolicy) -> None:
    heard = Heard(last=at(last) if last else None, since=at(since) if since else None)
    due = stop_due(record, heard, policy)
    if verdict(record, heard, at(now)) is State.UNKNOWN and due_now(record, heard, at(now), policy) == "stop":
        assert due
        assert due.rule == "lifetime"


@settings(max_examples=400)
@given(records, maybe, seconds, st.integers(0, 20_000), policies)
def test_more_activity_never_stops_earlier(
    record: Record, last: int | None, now: int, later: int, policy: IdlePolicy
) -> None:
    """A later heartbeat, a later mark of listening, a later busy point, a later pin."""
    heard = Heard(last=at(last) if last else None)
    used_at = at((last or 62) + later)
    own, gpu = record.auto_stop, record.run.gpu
    more = [
        (record, Heard(last=used_at)),
        (record, Heard(last=heard.last, since=used_at)),
        (replace(record, auto_stop=replace(own, pinned_until=max(own.pinned_until or used_at, used_at))), heard),
    ]
    if gpu:
        points_too = with_points(gpu, [Point(at=max(gpu.quiet_to or used_at, used_at), busy=90.0)], gpu.read_at)
        more.append((reading(record, replace(points_too, fault=gpu.fault)), heard))
    before = stop_due(record, heard, policy)
    for record_then, heard_then in more:
        after = stop_due(record_then, heard_then, policy)
        assert (before is None) == (after is None)
        if before and after:
            assert after.at >= before.at
        if due_now(record_then, heard_then, at(now), policy) == "stop":
            assert due_now(record, heard, at(now), policy) in {"stop", "warn", "measure", None}
            assert after
            assert after.at <= at(now)


# What people are told.


def test_the_words_at_create_tell_each_policy() -> None:
    told = {activity: promise(AutoStop(activity=activity), POLICY) for activity in Activity}
    assert "without a heartbeat" in told[Activity.HEARTBEAT]
    assert "whatever its GPU does" in told[Activity.HEARTBEAT]
    assert "use of its GPU" in told[Activity.GPU]
    assert "neither" in told[Activity.ANY]
    off = promise(AutoStop(enabled=False, max_lifetime=timedelta(hours=2)), POLICY)
    assert "not stopped for idleness" in off
    assert "120 minutes of running" in off
    assert "not stopped for idleness" in promise(AutoStop(), IdlePolicy(on=False))


def test_a_stop_may_cost_what_is_on_no_network_volume() -> None:
    spec = ready().spec
    assert "no network volume" in may_cost(spec)
    volume = replace(spec, network_storages=(Storage(id="ns-1", mount_point="/network"),))
    assert "/network" in may_cost(volume)
    assert all("7 days" in may_cost(each) for each in (spec, volume))


def test_what_keeps_it_names_only_what_its_policy_looks_at() -> None:
    by_gpu = " ".join(to_keep(under(Activity.GPU), "idle"))
    assert "heartbeat" not in by_gpu
    assert "maxLifetimeMinutes" in " ".join(to_keep(under(Activity.GPU), "lifetime"))
