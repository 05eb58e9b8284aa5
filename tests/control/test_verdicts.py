"""From facts to verdicts: what is degraded or down, and in which words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from novita_gpu.cloud.base import Lane
from novita_gpu.cloud.circuit import Condition
from novita_gpu.contract import SyncFault
from novita_gpu.contract.idle import CheckView
from novita_gpu.control.idle_check import LastCheck
from novita_gpu.control.signs import Depth, Signs, Waiting, Worker
from novita_gpu.control.sync_log import SyncState
from novita_gpu.control.verdicts import CHECKS, Facts, judged, worst
from novita_gpu.domain.look import SweepMark

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
CHECKED = CheckView(total_checked=0, eligible=0, stopped=0, errors=0, dry_run=False, duration_ms=1)
CLOSED = tuple(Condition(lane=lane, state="closed") for lane in (Lane.LOOKING, Lane.SPENDING, Lane.SAVING))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


MARK = SweepMark(
    began_at=ago(20), ended_at=ago(19), complete=True, trusted=True, total=3, next_at=ago(-40), interval_s=60
)
WELL = Signs(
    at=NOW,
    store_ms=1.5,
    mark=MARK,
    last_check=LastCheck(at=ago(60), next_at=ago(-240), result=CHECKED, checks=1, errors=0),
    sync=SyncState(tried_at=ago(60), next_at=ago(-900)),
    worker=Worker(at=ago(5), by="process-1"),
    outages=(None, None, None),
    waiting=Waiting(at=NOW),
)


OVERDUE = LastCheck(at=ago(342), next_at=ago(42), result=CHECKED, checks=1, errors=0)
FAILED_SYNC = SyncState(tried_at=ago(6), next_at=ago(-9), errors=(SyncFault(code="X", message="page 2"),))


class Elsewhere:
    mode, since, reason = "fallback", ago(100), "the shared store does not answer"


def facts(signs: Signs = WELL, **known: Any) -> Facts:
    usual: dict[str, Any] = {
        "now": NOW,
        "began": ago(3600),
        "signs": signs,
        "fault": signs.store,
        "away": None,
        "circuits": CLOSED,
        "elsewhere": (),
        "answered_at": ago(19),
        "unanswered_at": None,
        "unanswered": "",
        "answer_ms": 80.0,
        "skew": timedelta(seconds=0.2),
        "auto_stop_on": True,
        "in_vain": (),
        "worker_late": timedelta(seconds=30),
        "stale": "",
        "view_lag": timedelta(0),
    }
    return Facts(**{**usual, **known})


def cut(lane: Lane, state: Any = "open") -> tuple[Condition, ...]:
    out = Condition(
        lane=lane, state=state, retry_after=timedelta(seconds=12), out_for=timedelta(seconds=95), fault="time-out"
    )
    return tuple(out if one.lane is lane else one for one in CLOSED)


def signs(**what: Any) -> Signs:
    return replace(WELL, **what)


def waits(queue: Depth = Depth(), delivery_due: datetime | None = None) -> Signs:  # noqa: B008 (it is frozen)
    return signs(waiting=Waiting(at=NOW, queue=queue, delivery_due=delivery_due))


def test_all_is_well() -> None:
    assert {name: one.status for name, one in judged(facts()).items()} == dict.fromkeys(CHECKS, "up")
    assert [one.why for one in judged(facts()).values()] == [None] * len(CHECKS)


POOR = [
    (
        "novitaApi",
        facts(circuits=cut(Lane.LOOKING)),
        "down",
        "reads are paused for 95 s (time-out), the next is tried in 12 s",
    ),
    ("novitaApi", facts(circuits=cut(Lane.SAVING)), "degraded", "stops are paused for 95 s"),
    (
        "novitaApi",
        facts(unanswered_at=ago(2), unanswered="listing: no answer: time-out"),
        "degraded",
        "the last call told nothing",
    ),
    ("novitaApi", facts(signs(held="no money")), "degraded", "creates are held: no money"),
    (
        "novitaApi",
        facts(elsewhere=("changes",)),
        "degraded",
        "another process gets no answer to its changes",
    ),
    ("novitaApi", facts(signs(mark=None)), "degraded", "no listing yet"),
    ("store", facts(signs(store="no answer")), "down", "no answer"),
    ("store", facts(away=Elsewhere()), "degraded", "the shared store does not answer; a private one goes on"),
    ("store", facts(view_lag=timedelta(seconds=45)), "degraded", "what is in memory is 45 s behind the store"),
    (
        "queue",
        facts(waits(Depth(size=3, oldest_at=ago(31)))),
        "degraded",
        "work is in hand or waits for a hand for 31 s",
    ),
    ("queue", facts(waits(Depth(due_at=ago(40)))), "degraded", "work is due for 40 s"),
    (
        "workers",
        facts(signs(worker=Worker(at=ago(31), by="p"))),
        "down",
        "no worker runs: the last word of one is 31 s old",
    ),
    ("workers", facts(signs(worker=None)), "down", "no worker runs: none has said a word"),
    ("sweep", facts(signs(mark=replace(MARK, next_at=ago(42)))), "degraded", "the listing of the cloud is 42 s late"),
    ("sync", facts(signs(sync=SyncState(tried_at=ago(60), next_at=ago(91)))), "degraded", "the sync is late"),
    ("sync", facts(signs(sync=FAILED_SYNC)), "degraded", "page 2"),
    ("autoStop", facts(signs(last_check=None)), "degraded", "no check yet"),
    ("autoStop", facts(signs(last_check=OVERDUE)), "degraded", "the check is 42 s late"),
    (
        "autoStop",
        facts(in_vain=("b", "a")),
        "degraded",
        "2 bill on though they are asked to stop again and again: a, b",
    ),
    ("webhooks", facts(waits(delivery_due=ago(301))), "degraded", "deliveries wait for 301 s"),
    ("clock", facts(skew=timedelta(seconds=-11)), "degraded", "the clock of this machine is 11 s behind the cloud's"),
    ("clock", facts(skew=timedelta(seconds=90)), "degraded", "90 s ahead of the cloud's"),
    (
        "cache",
        facts(stale="products: the cloud is out"),
        "degraded",
        "the catalogue is old: products: the cloud is out",
    ),
]


@pytest.mark.parametrize(("name", "it", "verdict", "why"), POOR)
def test_what_is_not_well_names_its_reason(name: str, it: Facts, verdict: str, why: str) -> None:
    found = judged(it)[name]
    assert found.status == verdict
    assert found.why
    assert why in found.why


SPARED = [
    ("novitaApi", facts(signs(mark=None), began=ago(20), answered_at=None)),
    ("novitaApi", facts(unanswered_at=ago(30), unanswered="get: time-out", answered_at=ago(29))),
    ("queue", facts(waits(Depth(size=1, oldest_at=ago(29), due_at=ago(-600))))),
    ("workers", facts(signs(worker=None), began=ago(20))),
    ("sync", facts(signs(sync=None), began=ago(20))),
    ("autoStop", facts(signs(last_check=None), began=ago(20))),
    ("webhooks", facts(waits(delivery_due=ago(-60)))),
    ("clock", facts(skew=None)),
]


@pytest.mark.parametrize(("name", "it"), SPARED)
def test_what_is_over_or_only_beginning_is_no_fault(name: str, it: Facts) -> None:
    assert judged(it)[name].status == "up"


def test_without_its_store_it_knows_of_nothing_that_the_store_would_tell() -> None:
    found = judged(facts(signs(store="no answer", mark=None, sync=None, worker=None)))
    down = {name for name, one in found.items() if one.status == "down"}
    assert down == {"store", "queue", "workers", "sweep", "sync", "autoStop", "webhooks"}
    assert [one.why for one in found.values() if one.why] == ["no answer"]


EVER = [
    facts(),
    facts(signs(store="no answer", at=ago(3))),
    facts(
        signs(mark=None, sync=None, worker=None, last_check=None, at=ago(3)), began=ago(5), answered_at=None, skew=None
    ),
]


@pytest.mark.parametrize("it", EVER, ids=["well", "without its store", "new"])
def test_of_each_it_is_told_when_it_was_looked_at(it: Facts) -> None:
    found = {name: one.at for name, one in judged(it).items()}
    assert [name for name, at in found.items() if at is None or at > NOW] == []
    assert found["clock"] == (it.answered_at or it.signs.at)
    assert found["cache"] == NOW


def test_the_cloud_and_the_store_answer_and_all_else_is_judged_by_these() -> None:
    assert {name for name, one in judged(facts()).items() if one.ms is not None} == {"novitaApi", "store"}


def test_switched_off_is_no_fault_and_the_worst_verdict_counts() -> None:
    assert judged(facts(auto_stop_on=False))["autoStop"].status == "disabled"
    assert worst(("up", "disabled", "degraded")) == "degraded"
    assert worst(("down", "degraded")) == "down"
