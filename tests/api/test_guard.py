"""Every route asks for what its operation says, and nothing is open that is not in the table."""

import pytest
from litestar.routes import HTTPRoute

from novita_gpu.api.operation import Operation, Scope
from tests.api.served import KEYS, Answer, Served

OPEN = {
    (method, path)
    for method in ("GET", "HEAD")
    for path in (
        *("/health", "/health/live", "/health/ready", "/openapi.json"),
        *("/docs", "/docs/docs.js", "/docs/docs.css"),
    )
}
SCOPES = {
    ("POST", "/api/instances"): Scope.ADMIN,
    ("GET", "/api/instances"): Scope.READ,
    ("GET", "/api/instances/comprehensive"): Scope.READ,
    ("POST", "/api/instances/plan"): Scope.READ,
    ("GET", "/api/products"): Scope.READ,
    ("GET", "/api/regions"): Scope.READ,
    ("GET", "/api/templates"): Scope.READ,
    ("GET", "/api/templates/{id}"): Scope.READ,
    ("GET", "/api/costs"): Scope.READ,
    ("GET", "/api/costs/history"): Scope.READ,
    ("GET", "/api/settings"): Scope.ADMIN,
    ("GET", "/api/instances/{id}"): Scope.READ,
    ("GET", "/api/instances/{id}/wait"): Scope.READ,
    ("GET", "/api/instances/{id}/events"): Scope.READ,
    ("PATCH", "/api/instances/{id}"): Scope.OPERATE,
    ("POST", "/api/instances/{id}/start"): Scope.OPERATE,
    ("POST", "/api/instances/start"): Scope.OPERATE,
    ("POST", "/api/instances/{id}/stop"): Scope.OPERATE,
    ("POST", "/api/instances/stop"): Scope.OPERATE,
    ("POST", "/api/instances/{id}/restart"): Scope.OPERATE,
    ("DELETE", "/api/instances/{id}"): Scope.ADMIN,
    ("POST", "/api/instances/delete"): Scope.ADMIN,
    ("PUT", "/api/instances/{id}/last-used"): Scope.OPERATE,
    ("POST", "/api/instances/stop-all"): Scope.ADMIN,
    ("POST", "/api/instances/sync"): Scope.ADMIN,
    ("GET", "/api/instances/{id}/explain"): Scope.READ,
    ("GET", "/api/instances/{id}/utilisation"): Scope.READ,
    ("GET", "/api/instances/migration/status"): Scope.READ,
    ("POST", "/api/instances/migration/trigger"): Scope.ADMIN,
    ("POST", "/api/instances/migration/check-failed"): Scope.ADMIN,
    ("GET", "/api/instances/auto-stop/stats"): Scope.READ,
    ("POST", "/api/instances/auto-stop/trigger"): Scope.ADMIN,
    ("GET", "/api/events"): Scope.READ,
    ("GET", "/api/webhooks/deliveries"): Scope.READ,
    ("POST", "/api/webhooks/deliveries/{id}/replay"): Scope.ADMIN,
    ("POST", "/api/webhooks/deliveries/replay"): Scope.ADMIN,
    ("POST", "/api/webhooks/test"): Scope.ADMIN,
    ("GET", "/api/webhooks/endpoints"): Scope.ADMIN,
    ("POST", "/api/webhooks/endpoints"): Scope.ADMIN,
    ("PATCH", "/api/webhooks/endpoints/{id}"): Scope.ADMIN,
    ("DELETE", "/api/webhooks/endpoints/{id}"): Scope.ADMIN,
    ("POST", "/api/webhooks/endpoints/{id}/rotate"): Scope.ADMIN,
    ("GET", "/api/keys"): Scope.ADMIN,
    ("POST", "/api/keys"): Scope.ADMIN,
    ("DELETE", "/api/keys/{id}"): Scope.ADMIN,
    ("GET", "/metrics"): Scope.READ,
    ("GET", "/api/metrics"): Scope.READ,
    ("GET", "/api/metrics/summary"): Scope.READ,
    ("GET", "/api/cache/stats"): Scope.READ,
    ("POST", "/api/cache/clear"): Scope.ADMIN,
}


def routes(api: Served) -> dict[tuple[str, str], Operation | None]:
    return {
        (method, route.path_format): handler.opt.get("operation")
        for route in api.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }


async def test_s1_each_route_needs_the_scope_of_the_table(api: Served) -> None:
    found = {at: operation.scope if operation else None for at, operation in routes(api).items()}
    assert {at for at, scope in found.items() if scope is None} == OPEN
    assert {at: scope for at, scope in found.items() if scope} == SCOPES


async def call(api: Served, at: tuple[str, str], key: str | None) -> Answer:
    method, path = at
    return await api.ask(method, path.replace("{id}", "nobody"), {} if method not in ("GET", "HEAD") else None, key=key)


async def test_s1_no_route_answers_without_a_key_but_the_open_ones(api: Served) -> None:
    for at in routes(api):
        answer = await call(api, at, None)
        if at in OPEN:
            assert answer.status == 200
        else:
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_that_allows_less_is_refused_and_one_that_allows_more_is_not(api: Served) -> None:
    for at, needed in SCOPES.items():
        for scope in Scope:
            status = (await call(api, at, KEYS[scope])).status
            assert (status == 403) == (not scope.holds(needed)), (at, scope)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic " + KEYS[Scope.ADMIN], KEYS[Scope.ADMIN], "Bearer " + "x" * 5000],
)
async def test_what_is_no_key_is_no_key(api: Served, authorization: str) -> None:
    assert (await api.get("/api/instances", key=None, Authorization=authorization)).status == 401


async def test_the_scheme_is_not_case_sensitive(api: Served) -> None:
    answer = await api.get("/api/instances", key=None, Authorization=f"bearer {KEYS[Scope.READ]}")
    assert answer.status == 200


async def test_options_is_not_taken_by_any_path(api: Served) -> None:
    answer = await api.ask("OPTIONS", "/api/instances", key=None, Origin="https://evil.example")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert "access-control-allow-origin" not in answer.headers


async def test_sync_of_local_state_needs_operate(api: Served) -> None:
    path = "/api/instances/comprehensive?syncLocalState=true"
    assert (await api.get(path, key=Scope.READ)).status == 403
    assert (await api.get(path, key=Scope.OPERATE)).status == 200
    assert api.bell.looks
