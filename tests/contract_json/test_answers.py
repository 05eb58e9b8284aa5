"""What is answered: absent is absent, times and money are text, and no secret leaves."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from novita_gpu.contract import (
    Accepted,
    Outcome,
    answer_of,
    encode,
    event_view,
    instance_view,
    problem_answer,
    time_text,
)
from novita_gpu.domain.activity import Heard
from novita_gpu.domain.bill import Bill, Charge, Rate
from novita_gpu.domain.errors import Fault
from novita_gpu.domain.events import Event, EventType
from novita_gpu.domain.instance import Connection, InstanceId, PortMapping, Record, Status
from novita_gpu.domain.spec import AutoStop, Env
from tests.domain import given

SECRETS = ("hunter2", "s3cret")


def with_secrets() -> Record:
    base = given.ready()
    connection = Connection(
        read_at=given.at(61),
        ports=(PortMapping(port=8080, type="http", endpoint="https://m-8080.example"),),
        ssh="ssh -p 1 root@m.example",
        ssh_password="s3cret",
    )
    return replace(
        base,
        spec=replace(base.spec, envs=(Env(key="TOKEN", value="hunter2"),)),
        run=replace(base.run, connection=connection),
    )


def shown(record: Record, **how: Any) -> dict[str, Any]:
    how.setdefault("heard", Heard())
    return msgspec.json.decode(encode(instance_view(record, **how)))


def nulls(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(nulls(v) for v in tree.values())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(tree, list):
        return any(nulls(v) for v in tree)  # pyright: ignore[reportUnknownVariableType]
    return tree is None


@pytest.mark.parametrize("record", [given.new(), given.launched(), given.running(), given.ready(), given.stopped()])
def test_an_absent_optional_is_absent_and_the_rest_is_there(record: Record) -> None:
    view = shown(record)
    assert not nulls(view)
    assert {
        "id",
        "name",
        "status",
        "desired",
        "productName",
        "gpuNum",
        "rootfsSize",
        "billingMode",
        "costUsd",
        "envs",
        "portMappings",
        "connectionDetails",
        "readiness",
        "autoStop",
        "createdAt",
        "sequence",
    } <= set(view)


def test_s6_secrets_are_shown_to_nobody_and_the_password_only_when_asked_for() -> None:
    record = with_secrets()
    assert not any(secret in encode(instance_view(record, heard=Heard())).decode() for secret in SECRETS)
    view = shown(record, secrets=True)
    assert view["connectionDetails"]["sshPassword"] == "s3cret"
    assert view["envs"] == ["TOKEN"]
    assert "hunter2" not in str(view)


def test_t14_what_was_read_of_a_run_is_not_shown_after_it() -> None:
    down = replace(with_secrets(), wants=given.stopped().wants, seen=given.stopped().seen)
    view = shown(down, secrets=True)
    assert (view["status"], view["portMappings"], view["connectionDetails"]) == ("stopped", [], {})
    assert view["readiness"] == {"state": "pending", "endpoints": []}


def test_times_are_utc_with_milliseconds() -> None:
    east = datetime(2026, 1, 31, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert time_text(east) == "2026-01-31T12:00:00.123Z"
    assert time_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_cost_runs_until_the_moment_asked_for() -> None:
    charge = Charge(since=given.at(-3600), until=given.at(0), rate=Rate(compute=150_000 * 24))
    bill = Bill(charges=(charge,), since=given.at(0), rate=Rate(compute=36_000 * 24))
    record = given.ready(bill=bill)
    assert shown(record, as_of=given.at(3600))["costUsd"] == "1.8600"
    assert shown(record)["costUsd"] == "1.5000"


def test_it_says_when_it_is_stopped_and_what_keeps_it() -> None:
    record = given.ready(auto_stop=AutoStop(idle=timedelta(minutes=10)))
    fresh, used = shown(record)["autoStop"], shown(record, heard=Heard(last=given.at(300)))["autoStop"]
    assert (fresh["lastActivitySource"], used["lastActivitySource"]) == ("ready", "heartbeat")
    assert used["stopsAt"] == time_text(given.at(300) + timedelta(minutes=10))


def test_an_event_carries_its_sequence_and_the_instance_as_it_was() -> None:
    snapshot = msgspec.Raw(encode(instance_view(given.ready(), heard=Heard())))
    event = Event(
        id="evt_1",
        type=EventType.READY,
        at=given.at(62),
        actor="control",
        instance_id=InstanceId("ins_abc"),
        previous_status=Status.RUNNING,
        instance=snapshot,
        sequence=7,
    )
    view = msgspec.json.decode(encode(event_view(event)))
    assert view["type"] == "instance.ready"
    assert view["data"]["sequence"] == 7
    assert view["data"]["instance"]["name"] == "train-1"
    assert not nulls(view)


@pytest.mark.parametrize(("began", "created", "status"), [(True, True, 201), (True, False, 202), (False, False, 200)])
def test_the_status_of_a_wish(began: bool, created: bool, status: int) -> None:
    accepted = Accepted(instance_id="ins_1", operation_id="op_1", status=Status.CREATING, message="Accepted.")
    code, body = answer_of(Outcome(accepted=accepted, began=began, created=created))
    assert code == status
    assert msgspec.json.decode(body) == {
        "instanceId": "ins_1",
        "operationId": "op_1",
        "status": "creating",
        "message": "Accepted.",
    }


def test_the_error_envelope() -> None:
    answer = problem_answer(
        "VALIDATION_ERROR",
        "No.",
        timestamp="2026-01-31T12:00:00.000Z",
        request_id="req_1",
        details=(Fault(field="gpuNum", message="must be less", value=9), Fault(field="name", message="is required")),
        retry_after=timedelta(milliseconds=1500),
    )
    assert msgspec.json.decode(encode(answer)) == {
        "error": {
            "code": "VALIDATION_ERROR",
            "message": "No.",
            "details": [
                {"field": "gpuNum", "message": "must be less", "value": 9},
                {"field": "name", "message": "is required"},
            ],
            "timestamp": "2026-01-31T12:00:00.000Z",
            "requestId": "req_1",
            "retryAfterMs": 1500,
        }
    }
