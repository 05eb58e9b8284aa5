"""What a caller may send: strict, and every fault at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from novita_gpu.cloud.base import MARKER_ENV
from novita_gpu.contract import (
    CreateInstance,
    ListQuery,
    PatchInstance,
    Request,
    StartInstance,
    Unreadable,
    WaitQuery,
    read_json,
    read_query,
)
from novita_gpu.contract.fields import RESERVED_ENV_PREFIX
from novita_gpu.domain.errors import Fault, Invalid
from novita_gpu.domain.instance import Status
from novita_gpu.domain.spec import AutoStop, BillingMode, HealthCheck, Recovery

LEAST = {"name": "trainer-1", "productName": "RTX 4090 24GB", "imageUrl": "docker.io/library/ubuntu:22.04"}


def create(**more: object) -> CreateInstance:
    return read_json(msgspec.json.encode({**LEAST, **more}), CreateInstance)


def faults(act: Callable[[], object]) -> dict[str, Fault]:
    with pytest.raises(Invalid) as caught:
        act()
    return {fault.field: fault for fault in caught.value.faults}


def test_the_least_that_makes_an_instance() -> None:
    request = create()
    assert (request.name, request.gpu_num, request.billing_mode, request.fallback) == (
        "trainer-1",
        1,
        BillingMode.ON_DEMAND,
        True,
    )


def test_every_fault_is_named_at_once() -> None:
    found = faults(
        lambda: create(
            name="has space",
            gpuNum=9,
            rootfsSize="60",
            colour="red",
            maxPricePerHour=0.35,
            webhookUrl="ftp://example.com",
            ports=[{"port": 2223, "type": "udp"}, {"port": 80}],
            healthCheck={"timeoutMs": 1, "pathh": "/"},
            autoStop={"enabled": "yes"},
            templateId="12",
        )
    )
    assert set(found) == {
        "name",
        "gpuNum",
        "rootfsSize",
        "colour",
        "maxPricePerHour",
        "webhookUrl",
        "ports[0].port",
        "ports[0].type",
        "ports[1].type",
        "healthCheck.timeoutMs",
        "healthCheck.pathh",
        "autoStop.enabled",
        "templateId",
    }
    assert found["gpuNum"] == Fault(field="gpuNum", message="must be a whole number of 1 to 8", value=9)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gpuNum", "2"),
        ("gpuNum", 1.5),
        ("gpuNum", True),
        ("fallback", 1),
        ("fallback", "true"),
        ("maxPricePerHour", 1),
        ("maxPricePerHour", "0.35001"),
        ("maxPricePerHour", "NaN"),
        ("maxPricePerHour", "0.0000"),
        ("maxPricePerHour", "-1"),
        ("region", None),
        ("regions", []),
        ("regions", ["AS-SGP-02", "AS-SGP-02"]),
        ("minCudaVersion", "12.4\n"),
        ("billingMode", "monthly"),
        ("envs", [{"key": "NOVITA_GPU_MARKER", "value": "x"}]),
        ("envs", [{"key": "A", "value": "1"}, {"key": "A", "value": "2"}]),
        ("ports", [{"port": 80, "type": "http"}, {"port": 80, "type": "tcp"}]),
        ("ports", [{"port": p, "type": "tcp"} for p in range(1, 17)]),
        ("networkStorages", [{"id": "v", "mountPoint": "data"}]),
        ("autoStop", {"pinnedUntil": "2026-01-31T12:00:00"}),
        ("autoStop", {"pinnedUntil": "0001-01-01T00:00:00+14:00"}),
        ("autoStop", {"idleMinutes": 0}),
        ("webhookUrl", "https://user:pass@example.com/"),
        ("webhookUrl", "https://"),
        ("webhookUrl", "https://example.com:99999/"),
        ("webhookUrl", "https://exa mple.com/"),
        ("webhookUrl", "https://[::1"),
    ],
)
def test_what_is_refused(field: str, value: object) -> None:
    found = faults(lambda: create(**{field: value}))
    assert all(name.startswith(field) for name in found)


@pytest.mark.parametrize(
    "name",
    ["start", "stop-all", "migration", "00aa11bb22cc33dd", "ABCDEF0123456789", "ins_1", "", "a" * 101, "a\n", "ä"],
)
def test_names_that_could_be_taken_for_something_else_are_refused(name: str) -> None:
    assert set(faults(lambda: create(name=name))) == {"name"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"templateId": 1}, "templateId"),
        ({"imageUrl": msgspec.UNSET}, "templateId"),
        ({"productName": msgspec.UNSET}, "productName"),
    ],
)
def test_rules_that_span_fields(given: dict[str, Any], field: str) -> None:
    body = {k: v for k, v in {**LEAST, **given}.items() if v is not msgspec.UNSET}
    assert set(faults(lambda: read_json(msgspec.json.encode(body), CreateInstance))) == {field}


def test_a_template_is_a_number_or_a_string_of_digits() -> None:
    for given in (312, "312"):
        body = {"name": "a", "productId": "p", "templateId": given}
        assert read_json(msgspec.json.encode(body), CreateInstance).template == "312"


def test_no_secret_is_repeated_in_a_fault() -> None:
    bodies: list[dict[str, Any]] = [
        {"envs": [{"key": "A", "value": 77}, {"key": "9", "value": "hunter2", "hunter2x": 1}]},
        {"envs": "TOKEN=hunter2"},
        {"env": "hunter2"},
        {"command": ["run", "hunter2"]},
        {"entrypoint": "hunter2" * 1000},
    ]
    for body in bodies:
        told = msgspec.json.encode(list(faults(lambda body=body: create(**body)).values())).decode()
        assert "hunter2" not in told.replace("hunter2x", "")
        assert "77" not in told


@pytest.mark.parametrize(
    "body", [b"{", b"[1", b"\xff\xfe", b'{"a":1e999}', b"[" * 100_000, b'{"a":' * 40 + b"1" + b"}" * 40, b"nul"]
)
def test_what_is_not_json_is_told_as_that(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(body, CreateInstance)


def test_a_body_must_be_an_object() -> None:
    assert set(faults(lambda: read_json(b"[]", StartInstance))) == {"body"}
    assert read_json(b"", StartInstance) == StartInstance()


def test_faults_are_capped() -> None:
    body = msgspec.json.encode({f"f{i}": 1 for i in range(10_000)})
    assert len(faults(lambda: read_json(body, StartInstance))) == 100


def test_what_is_left_out_is_as_configured() -> None:
    base = HealthCheck(retry_attempts=7, path="/up")
    start = read_json(b'{"healthCheckConfig":{"timeoutMs":1000,"targetPort":80},"targetPort":81}', StartInstance)
    check = start.health_check(base)
    assert (check.timeout, check.retry_attempts, check.path) == (timedelta(seconds=1), 7, "/up")
    assert check.target_port == 81


def test_a_patch_can_take_a_limit_away() -> None:
    base = AutoStop(idle=timedelta(minutes=9), max_lifetime=timedelta(hours=1), pinned_until=datetime.now(UTC))
    untouched = read_json(b'{"autoStop":{"enabled":false}}', PatchInstance)
    assert untouched.auto_stop
    assert untouched.webhook_url is msgspec.UNSET
    assert untouched.auto_stop.over(base) == msgspec.structs.replace(base, enabled=False)
    taken = read_json(b'{"webhookUrl":null,"autoStop":{"pinnedUntil":null,"maxLifetimeMinutes":null}}', PatchInstance)
    assert taken.auto_stop
    assert taken.webhook_url is None
    assert taken.auto_stop.over(base) == AutoStop(idle=timedelta(minutes=9))


def test_a_recovery_policy_is_laid_over_the_configured_one() -> None:
    patch = read_json(b'{"recovery":{"maxPerDay":0}}', PatchInstance)
    assert patch.recovery
    assert patch.recovery.over(Recovery(save_image=True)) == Recovery(save_image=True, max_per_day=0)


def test_queries_spell_numbers_as_text() -> None:
    query = read_query([("for", "ready"), ("for", "stopped"), ("timeoutMs", "5")], WaitQuery)
    assert (query.wanted, query.timeout_ms) == ((Status.READY, Status.STOPPED), 5)
    assert read_query([], WaitQuery) == WaitQuery()


def test_a_query_is_as_strict_as_a_body() -> None:
    pairs = [("status", "ready"), ("status", "nice"), ("limit", "0"), ("limit", "1"), ("source", "x"), ("q", "1")]
    assert set(faults(lambda: read_query(pairs, ListQuery))) == {"status[1]", "limit", "source", "q"}


def test_a_machine_is_known_as_ours_by_an_entry_that_no_caller_can_set() -> None:
    assert MARKER_ENV.startswith(RESERVED_ENV_PREFIX)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(sorted(f.encode_name for f in msgspec.structs.fields(CreateInstance)))


@for_all(st.dictionaries(FIELDS, JSON, max_size=8))
def test_any_json_is_read_or_refused_by_name(body: dict[str, Any]) -> None:
    raw = msgspec.json.encode(body)
    for kind in (CreateInstance, PatchInstance, StartInstance):
        try:
            request: Request = read_json(raw, kind)
        except (Invalid, Unreadable):
            continue
        assert isinstance(request, kind)
