"""Ids, money, wishes, readiness."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from novita_gpu.domain.estimate import ready_by
from novita_gpu.domain.events import EventType
from novita_gpu.domain.ids import ENTROPY_BYTES, ID_CHARS, ulid
from novita_gpu.domain.instance import EndpointHealth, Record, RunKind, Status, status
from novita_gpu.domain.money import compute_rate, grains, price_limit, price_of, price_text, usd_of_grains, usd_text
from novita_gpu.domain.readiness import next_probe_at, probed, targets, targets_are_known
from novita_gpu.domain.spec import Env, HealthCheck, Port
from novita_gpu.domain.wishes import Response, Verb, response
from tests.domain.given import OFFER, at, launched, new, ready, running, stopped

UP = EndpointHealth(port=8080, endpoint="https://m-8080.example", healthy=True, status_code=200)
DOWN = replace(UP, healthy=False, status_code=502)


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_sort_by_time_and_differ_by_chance(a: bytes, b: bytes) -> None:
    assert len(ulid(at(0), a)) == ID_CHARS
    assert ulid(at(0), a) < ulid(at(0.002), b)
    assert (ulid(at(0), a) == ulid(at(0), b)) is (a == b)
    assert ENTROPY_BYTES == 10


def test_prices_are_per_gpu_in_hundred_thousandths() -> None:
    assert price_text(price_of(67_000, 2)) == "1.3400"


def test_cost_is_by_the_second_and_never_negative() -> None:
    assert usd_text(usd_of_grains(grains(compute_rate(36_000), timedelta(seconds=10)))) == "0.0010"
    assert grains(compute_rate(36_000), timedelta(seconds=-10)) == 0


@pytest.mark.parametrize(("usd", "price"), [("0.35", 35_000), ("0.350001", 35_000), ("0.3499", 34_990), ("1", 100_000)])
def test_a_limit_is_the_highest_price_that_is_not_above_it(usd: str, price: int) -> None:
    assert price_limit(Decimal(usd)) == price


def test_every_wish_has_an_answer_in_every_status() -> None:
    assert all(response(verb, state) in Response for verb in Verb for state in Status)


@pytest.mark.parametrize(
    ("verb", "state", "expected"),
    [
        (Verb.START, Status.READY, Response.NOTHING),
        (Verb.START, Status.FAILED, Response.BEGIN),
        (Verb.START, Status.DELETED, Response.REFUSE),
        (Verb.STOP, Status.STOPPED, Response.NOTHING),
        (Verb.STOP, Status.CREATING, Response.BEGIN),
        (Verb.RESTART, Status.STOPPED, Response.REFUSE),
        (Verb.DELETE, Status.DELETED, Response.NOTHING),
        (Verb.DELETE, Status.DELETING, Response.SAME),
    ],
)
def test_the_table_of_wishes(verb: Verb, state: Status, expected: Response) -> None:
    assert response(verb, state) is expected


def test_records_come_back_from_their_document_as_they_were() -> None:
    for record in (new(), launched(), running(), ready(), stopped()):
        assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


def test_environment_values_do_not_print() -> None:
    """S6"""
    assert "hunter2" not in repr(Env(key="TOKEN", value="hunter2"))


def test_ready_when_every_endpoint_answers() -> None:
    after = probed(running(), [UP], at(70)).record
    assert status(after) is Status.READY
    assert after.ready_at == at(70)


def test_ready_at_once_with_nothing_to_probe() -> None:
    record = running(spec=replace(new().spec, ports=()))
    assert status(probed(record, [], at(61)).record) is Status.READY


def test_one_that_does_not_answer_keeps_it_waiting() -> None:
    assert status(probed(running(), [UP, DOWN], at(70)).record) is Status.RUNNING


def test_readiness_fails_once_and_the_instance_keeps_running() -> None:
    late = 60 + 600
    after = probed(running(), [DOWN], at(late))
    assert after.record.run.readiness.state == "failed"
    assert [n.type for n in after.notes] == [EventType.READINESS_FAILED]
    assert status(after.record) is Status.RUNNING
    assert probed(after.record, [DOWN], at(late + 60)).notes == ()
    assert status(probed(after.record, [UP], at(late + 60)).record) is Status.READY


def test_probes_come_in_rounds_and_slowly_after_failure() -> None:
    record, pauses = running(), list[float]()
    for second in range(70, 75):
        record = probed(record, [DOWN], at(second)).record
        pauses.append((next_probe_at(record) - at(second)).total_seconds())
    assert pauses == [2, 2, 2, 5, 2]
    failed = probed(record, [DOWN], at(700)).record
    assert next_probe_at(failed) == at(760)


def test_only_http_ports_are_probed_unless_one_is_named() -> None:
    spec = replace(new().spec, ports=(Port(port=8080, type="http"), Port(port=22, type="tcp")))
    record = running(spec=spec)
    assert [t.port for t in targets(record)] == [8080]
    named = replace(record, health_check=HealthCheck(target_port=22, max_wait=timedelta(seconds=1)))
    assert targets(named) == ()
    assert not targets_are_known(named)


def test_an_estimate_is_the_median_of_runs_alike() -> None:
    took = [replace(ready(), run=replace(ready().run, ready_at=at(seconds))) for seconds in (60, 70, 500)]
    assert ready_by(took, OFFER, RunKind.LAUNCH, at(1000)) == at(1070)
    assert ready_by(took, OFFER, RunKind.START, at(1000)) is None
    assert ready_by(took, replace(OFFER, region="CN-HK-01"), RunKind.LAUNCH, at(1000)) is None
    assert ready_by([launched()], OFFER, RunKind.LAUNCH, at(1000)) is None
