"""The check for idle instances: what it finds, what a dry run leaves as it was, and how its silence is told."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.metered import Meters
from novita_gpu.contract import HealthView
from novita_gpu.contract.idle import TriggerView
from novita_gpu.control.caches import Caches
from novita_gpu.control.health import Health
from novita_gpu.control.idle_check import IdleCheck
from novita_gpu.control.listening import GAP, MARK_EVERY, Listening
from novita_gpu.control.outages import Outages
from novita_gpu.control.rates import Rates
from novita_gpu.control.signs import Depth, Reading
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.events import EventType
from novita_gpu.domain.idle import IdlePolicy
from novita_gpu.domain.instance import CloudId, InstanceId, MutationKind, Record, RunKind, Warned, Wish
from novita_gpu.domain.saving import Saving
from novita_gpu.domain.spec import Activity, AutoStop
from novita_gpu.figures import Figures
from tests.control.scene import Scene
from tests.control.test_sync import contents
from tests.domain.given import T0, at, mutation, ready, stopped


class Shared:
    """A shared server without a private one behind it."""

    is_shared, fallback = True, None


pytest_plugins = ("tests.valkey",)

EVERY = timedelta(minutes=5)


def check_of(scene: Scene, *, on: bool = True) -> IdleCheck:
    """Nobody answers its rings."""
    return IdleCheck(
        store=scene.store,
        bell=scene.bell,
        listening=Listening(scene.store, lambda: scene.now),
        policy=IdlePolicy(on=on),
        every=EVERY,
        threshold=timedelta(minutes=20),
        now=lambda: scene.now,
        answer_within=timedelta(0),
    )


async def listening(scene: Scene, seconds: float) -> None:
    """Somebody takes heartbeats until then, without a gap."""
    mark = Listening(scene.store, lambda: scene.now)
    while scene.now < at(seconds):
        await mark.mark()
        scene.turn(MARK_EVERY.total_seconds())
    await mark.mark()


async def there(scene: Scene, name: str, **given: Any) -> Record:
    """A ready instance with a machine of its own."""
    record = ready()
    assert record.machine
    machine = replace(record.machine, id=CloudId(name.encode().hex()[:16].rjust(16, "0")))
    changed = {"id": InstanceId(f"ins_{name}"), "name": name, "machine": machine, **given}
    return await scene.keep(replace(record, **changed))


async def fleet(scene: Scene) -> None:
    """One of each verdict, half an hour after all became ready."""
    await there(scene, "idle")
    await there(scene, "used")
    await there(scene, "off", auto_stop=AutoStop(enabled=False))
    await there(scene, "pinned", auto_stop=AutoStop(pinned_until=at(86_400)))
    await there(scene, "unread", auto_stop=AutoStop(activity=Activity.GPU))
    await there(scene, "stopped", wants=Wish.STOPPED, seen=stopped().seen, stopped_at=at(100))
    await listening(scene, 1800)
    await scene.store.records.touch(InstanceId("ins_used"), at(1700))


def outcomes(told: TriggerView) -> dict[str, tuple[str, str]]:
    return {row.name: (row.verdict.value, row.outcome) for row in told.results}


async def test_n18_a_dry_run_tells_each_verdict_and_writes_nothing(scene: Scene) -> None:
    await fleet(scene)
    foreign = scene.machine("somebody-elses", "")
    before, calls = await contents(scene), len(scene.calls(""))
    told = await check_of(scene).check(dry_run=True)
    assert outcomes(told) == {
        "idle": ("idle", "due"),
        "used": ("active", "none"),
        "off": ("idle", "none"),
        "pinned": ("active", "none"),
        "unread": ("unknown", "none"),
    }
    assert (told.total_checked, told.eligible, told.stopped, told.errors) == (5, 1, 0, 0)
    assert all(row.reason for row in told.results)
    assert "Nothing was done" in told.message
    assert await contents(scene) == before
    assert len(scene.calls("")) == calls
    assert scene.bell.instances == []
    assert foreign in scene.alive()


async def test_it_rings_only_for_what_is_due_and_tells_that_nobody_came(scene: Scene) -> None:
    await fleet(scene)
    told = await check_of(scene).check(dry_run=False)
    assert sorted(scene.bell.instances) == ["ins_idle", "ins_unread"]
    failed = {row.name: row.error.code for row in told.results if row.error}
    assert failed == {"idle": "NOT_ANSWERED", "unread": "NOT_ANSWERED"}
    assert (told.eligible, told.errors) == (1, 2)
    assert await scene.events() == []


async def test_what_was_warned_of_is_stopped_when_its_time_has_come(scene: Scene) -> None:
    due = at(62 + 1200)
    run = replace(ready().run, warned=Warned(due=due, at=at(1142), stops_at=at(2000)))
    await there(scene, "warned", run=run)
    await listening(scene, 1980)
    told = await check_of(scene).check(dry_run=True)
    assert outcomes(told) == {"warned": ("idle", "none")}
    scene.turn(60)
    assert outcomes(await check_of(scene).check(dry_run=True)) == {"warned": ("idle", "due")}


async def test_stats_tell_the_last_check_and_the_next(scene: Scene) -> None:
    check = check_of(scene)
    before = await check.stats()
    assert (before.last_check_at, before.last_result, before.totals.checks) == (None, None, 0)
    await fleet(scene)
    await check.run()
    began = scene.now
    await check.check(dry_run=True)
    stats = await check.stats()
    assert stats.scheduler_running
    assert (stats.check_interval_minutes, stats.default_inactivity_threshold_minutes) == (5, 20)
    assert stats.next_check_at
    assert stats.last_check_at
    assert stats.next_check_at > stats.last_check_at
    assert stats.last_result
    assert (stats.last_result.total_checked, stats.last_result.dry_run) == (5, False)
    assert (stats.totals.checks, stats.totals.errors) == (1, 2)
    scene.now = began + EVERY + timedelta(seconds=31)
    assert not (await check.stats()).scheduler_running


async def test_stats_count_stops_and_what_they_saved(scene: Scene) -> None:
    saving = Saving(stops=2, open=True, rate=36_000 * 24, spared=0)
    await there(scene, "stopped", wants=Wish.STOPPED, seen=stopped().seen, stopped_at=T0, saving=saving)
    scene.now = T0 + timedelta(hours=10)
    totals = (await check_of(scene).stats()).totals
    assert (totals.stopped, totals.saved_usd) == (2, "3.6000")


async def test_switched_off_it_looks_at_nothing(scene: Scene) -> None:
    await fleet(scene)
    check = check_of(scene, on=False)
    await check.run()
    assert scene.bell.instances == []
    stats = await check.stats()
    assert (stats.scheduler_running, stats.last_check_at) == (False, None)
    told = await check.check(dry_run=True)
    assert told.eligible == 0
    assert any("AUTO_STOP_ENABLED" in row.reason for row in told.results)


# Health.


class Working:
    """A queue with nothing in it, and a worker beside it."""

    def __init__(self) -> None:
        self.answers, self.found = True, Depth()

    async def depth(self) -> Depth:
        return self.found


def health_of(scene: Scene, check: IdleCheck, queue: Working | None = None, **parts: Any) -> Health:
    """`parts` take the place of what it is built of."""
    built: dict[str, Any] = {
        "reading": Reading(scene.store, queue or Working(), "process-1", lambda: scene.now),
        "view": scene.store.view,
        "upstream": scene.cloud,
        "calls": Meters(),
        "place": Shared(),
        "idle_check": check,
        "outages": Outages(
            scene.store, lambda: scene.cloud.circuits, owner="process-1", now=lambda: scene.now, new_id=scene.new_id
        ),
        "rates": Rates(Figures()),
        "caches": Caches(scene.store.facts, lambda: scene.now),
        "version": "1",
        "now": lambda: scene.now,
        **parts,
    }
    return Health(**built)


async def shown(scene: Scene, health: Health) -> HealthView:
    await scene.swept()
    await health.check()
    return health.view(True)


async def test_n20_a_check_that_is_late_is_told_of_with_its_lag(scene: Scene) -> None:
    check = check_of(scene)
    health = health_of(scene, check)
    await check.run()
    await scene.sync()
    view = await shown(scene, health)
    assert (view.status, view.services.auto_stop) == ("healthy", "up")
    assert view.auto_stop
    assert view.auto_stop.late_seconds == 0
    scene.turn(EVERY.total_seconds() + 42)
    view = await shown(scene, health)
    assert (view.status, view.services.auto_stop) == ("degraded", "degraded")
    assert view.auto_stop
    assert view.auto_stop.late_seconds == 42
    assert view.dependencies
    assert view.dependencies["autoStop"].detail == "the check is 42 s late"
    await check.run()
    assert (await shown(scene, health)).status == "healthy"


async def test_n20_a_timer_that_never_ran_is_told_of(scene: Scene) -> None:
    health = health_of(scene, check_of(scene))
    assert (await shown(scene, health)).services.auto_stop == "up"
    scene.turn(31)
    view = await shown(scene, health)
    assert view.services.auto_stop == "degraded"
    assert view.dependencies
    assert view.dependencies["autoStop"].detail == "no check yet"


async def test_switched_off_health_says_so(scene: Scene) -> None:
    view = await shown(scene, health_of(scene, check_of(scene, on=False)))
    assert (view.status, view.services.auto_stop) == ("healthy", "disabled")


@pytest.mark.parametrize(("tries", "expected"), [(3, "up"), (4, "degraded")])
async def test_n19_what_bills_though_it_is_asked_to_stop_again_and_again_is_named(
    scene: Scene, tries: int, expected: str
) -> None:
    sent = mutation(MutationKind.STOP, 100, tries=tries, answered_at=None)
    await there(scene, "stubborn", wants=Wish.STOPPED, mutation=sent)
    check = check_of(scene)
    await check.run()
    view = await shown(scene, health_of(scene, check))
    assert view.services.auto_stop == expected
    assert view.dependencies
    assert ("stubborn" in (view.dependencies["autoStop"].detail or "")) is (expected == "degraded")


# Since when heartbeats could arrive.


async def test_a_missing_mark_makes_the_silence_before_it_worthless(scene: Scene) -> None:
    mark = Listening(scene.store, lambda: scene.now)
    assert await mark.since() == T0
    await listening(scene, 600)
    assert await mark.since() == T0
    scene.turn(GAP.total_seconds())
    assert await mark.since() == T0
    scene.turn(1)
    assert await mark.since() == scene.now
    await mark.mark()
    back = scene.now
    scene.turn(60)
    await mark.mark()
    assert await mark.since() == back
    assert scene.store.view.heard(InstanceId("ins_x")) == Heard(since=back)


async def test_while_nobody_listens_nothing_is_idle(scene: Scene) -> None:
    await there(scene, "silent")
    scene.turn(86_400)
    told = await check_of(scene).check(dry_run=True)
    assert outcomes(told) == {"silent": ("active", "none")}
    assert "may be lost" in told.results[0].reason


async def test_a_machine_that_was_taken_in_is_in_no_danger(scene: Scene) -> None:
    """N17"""
    run = replace(ready().run, kind=RunKind.TAKEN_IN)
    await there(scene, "taken-in", run=run, auto_stop=AutoStop(enabled=False))
    await listening(scene, 7200)
    assert outcomes(await check_of(scene).check(dry_run=False)) == {"taken-in": ("idle", "none")}
    assert scene.bell.instances == []


async def test_two_replicas_that_check_at_once_tell_of_one_stop(scene: Scene) -> None:
    await fleet(scene)
    for check in (check_of(scene), check_of(scene)):
        await check.run()
    for _ in range(3):
        await scene.passes()
    told = [event for event in await scene.events() if event is EventType.AUTO_STOP_WARNING]
    assert len(told) == 1


async def test_a_clock_that_jumped_ahead_and_back_switches_nothing_off(scene: Scene) -> None:
    mark = Listening(scene.store, lambda: scene.now)
    await mark.mark()
    scene.now += timedelta(days=365)
    await mark.mark()
    scene.now -= timedelta(days=365)
    back = scene.now
    await mark.mark()
    assert await mark.since() == back
