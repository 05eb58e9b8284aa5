"""What each wish gets in each status, over HTTP, by id and by name."""

import pytest
from msgspec.structs import replace

from novita_gpu.domain.instance import AttemptState, Failure, MutationKind, Record, Run, RunKind, Wish
from tests.api.served import Scope, Served
from tests.domain import given

FAILED = replace(
    given.new(),
    attempts=(given.attempt(state=AttemptState.REFUSED),),
    failure=Failure(code="NO_OFFER", message="none", at=given.at(5)),
)
STATES: dict[str, Record] = {
    "creating": given.new(),
    "starting": given.running(run=Run(kind=RunKind.START, asked_at=given.at(99))),
    "running": given.running(),
    "ready": given.ready(),
    "stopping": given.ready(wants=Wish.STOPPED, mutation=given.mutation(MutationKind.STOP, 90)),
    "stopped": given.stopped(),
    "failed": FAILED,
    "deleting": given.ready(wants=Wish.DELETED),
    "deleted": given.ready(wants=Wish.DELETED, deleted_at=given.at(200)),
}
COLUMNS = ("creating", "starting", "running", "ready", "stopping", "stopped", "failed", "deleting", "deleted")
TABLE = {
    "start": (202, 202, 200, 200, 202, 202, 202, 409, 409),
    "stop": (202, 202, 202, 202, 202, 200, 200, 409, 409),
    "restart": (409, 409, 202, 202, 409, 409, 409, 409, 409),
    "delete": (202, 202, 202, 202, 202, 202, 202, 202, 200),
}
SAME = {("start", "creating"), ("start", "starting"), ("stop", "stopping"), ("delete", "deleting")}
CELLS = [(verb, at, code) for verb, row in TABLE.items() for at, code in zip(COLUMNS, row, strict=True)]


@pytest.mark.parametrize(("verb", "status", "code"), CELLS)
async def test_the_table_of_wishes(api: Served, verb: str, status: str, code: int) -> None:
    record = await api.created("w")
    record = await api.becomes(record, STATES[status])
    assert (await api.get("/api/instances/w")).json["status"] == status
    path = f"/api/instances/{record.id}"
    answer = await (api.ask("DELETE", path) if verb == "delete" else api.post(f"{path}/{verb}"))
    assert answer.status == code, answer.body
    if code == 409:
        assert answer.code in {"INSTANCE_NOT_STARTABLE", "INSTANCE_NOT_STOPPABLE", "INSTANCE_NOT_RUNNING"}
    else:
        assert (answer.json["operationId"] == record.operation) == ((verb, status) in SAME or code == 200)


@pytest.mark.parametrize(("verb", "shown"), [("start", "starting"), ("stop", "stopping"), ("delete", "deleting")])
async def test_t8_a_wish_is_shown_as_under_way_never_as_done(api: Served, verb: str, shown: str) -> None:
    record = await api.created("w")
    await api.becomes(record, given.stopped() if verb == "start" else given.ready())
    answer = await api.post(f"/api/instances/{verb}", {"instanceName": "w"})
    assert (answer.status, answer.json["status"]) == (202, shown)


@pytest.mark.parametrize("status", ["stopping", "stopped", "failed", "deleting", "deleted"])
async def test_a_refused_heartbeat_advises_what_can_be_done(api: Served, status: str) -> None:
    record = await api.becomes(await api.created("w"), STATES[status])
    path = f"/api/instances/{record.id}"
    refused = await api.ask("PUT", f"{path}/last-used")
    assert (refused.status, refused.code) == (409, "INSTANCE_NOT_RUNNING")
    is_startable = (await api.post(f"{path}/start")).status == 202
    advice = "start it to use it." if is_startable else "it is gone for good. Create a new one."
    assert refused.json["error"]["message"] == f"w is {status}; {advice}"


async def test_by_name_needs_the_name(api: Served) -> None:
    for verb in ("start", "stop", "delete"):
        answer = await api.post(f"/api/instances/{verb}", {})
        assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, "instanceName")


async def test_a_name_in_the_body_of_a_route_by_id_is_refused(api: Served) -> None:
    record = await api.created("w")
    answer = await api.post(f"/api/instances/{record.id}/stop", {"instanceName": "other"})
    assert answer.status == 400


async def test_start_takes_how_it_is_probed(api: Served) -> None:
    record = await api.created("w")
    await api.becomes(record, given.stopped())
    body = {"healthCheckConfig": {"timeoutMs": 1500, "path": "/up"}, "targetPort": 8080}
    assert (await api.post("/api/instances/w/start", body, key=Scope.OPERATE)).status == 202
    check = (await api.record(record.id)).health_check
    assert (check.timeout.total_seconds(), check.path, check.target_port) == (1.5, "/up", 8080)


async def test_delete_needs_admin_and_no_body(api: Served) -> None:
    await api.created("w")
    assert (await api.ask("DELETE", "/api/instances/w", key=Scope.OPERATE)).status == 403
    assert (await api.ask("DELETE", "/api/instances/w")).status == 202
