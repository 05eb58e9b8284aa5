"""The wire is read tolerantly: whatever JSON comes, nothing crashes and nothing is made up."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from canned import NOON, order
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from novita_gpu.cloud.base import CloudError, Unreadable
from novita_gpu.cloud.reading import (
    create_body,
    read_balance,
    read_cluster,
    read_detail,
    read_job,
    read_metrics,
    read_product,
    read_registry_auth,
    read_row,
    read_template,
)
from novita_gpu.cloud.wire import Fields, Lexicon, decode, parse, rows_of
from novita_gpu.domain.instance import Connection, PortMapping
from novita_gpu.domain.regions import region_of
from novita_gpu.domain.spec import Env

SPOT_ROW = {
    "id": "00aa11bb22cc33dd",
    "name": "w1",
    "clusterId": "us-ca-6",
    "clusterName": "US-CA-06 (California)",
    "status": "running",
    "imageUrl": "docker.io/library/ubuntu:22.04",
    "cpuNum": "16",
    "memory": "62",
    "gpuNum": "1",
    "portMappings": [{"port": 8080, "endpoint": "https://a-8080.example", "type": "http"}],
    "productId": "4090.16c62g",
    "productName": "RTX 4090 24GB",
    "rootfsSize": 60,
    "statusError": {"state": "oom", "message": "killed"},
    "envs": [{"key": "A", "value": "b"}, {"key": "NOVITA_GPU_MARKER", "value": "d/i/1"}],
    "billingMode": "spot",
    "spotStatus": "notified",
    "spotReclaimTime": "1780003600",
    "createdAt": "1779990000",
    "lastStartedAt": "1779990060",
}

_WORDS = """id Id name status clusterName portMappings port endpoint type envs key value spotReclaimTime statusError
    state message connectComponentSSH sshCommand password isRunning address price spotPrice regions template ports tools
    gpuUtilization avg timestamp total data availableBalance createdAt gpuNum"""
_keys = st.sampled_from(_WORDS.split())
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=6),
    max_leaves=25,
)


def test_a_row_as_the_cloud_sends_it() -> None:
    row = read_row(Fields(SPOT_ROW), NOON, Lexicon())
    assert row.marker == "d/i/1"
    assert (row.gpu_num, row.cpu_num, row.memory_gb, row.rootfs_size_gb) == (1, 16, 62, 60)
    assert row.region == "US-CA-06"
    assert row.seen.at == NOON
    assert row.seen.spot_status == "notified"
    assert row.seen.spot_reclaim_at == datetime.fromtimestamp(1780003600, UTC)
    assert (row.seen.error_state, row.seen.error_message) == ("oom", "killed")
    assert row.created_at == datetime.fromtimestamp(1779990000, UTC)


def test_a_row_of_nothing() -> None:
    row = read_row(Fields({}), NOON, Lexicon())
    assert (row.id, row.marker, row.seen.status, row.seen.spot_reclaim_at) == ("", "", "", None)


@given(_json)
def test_no_object_crashes_a_reader(value: object) -> None:
    fields, lexicon = Fields.of(decode(msgspec.json.encode(value))), Lexicon()
    for read in (read_row, read_detail):
        read(fields, NOON, lexicon)
    for read in (read_product, read_template, read_job):
        read(fields, lexicon)
    for read in (read_cluster, read_registry_auth, read_metrics, read_balance):
        read(fields)


@given(_json)
def test_a_list_is_read_or_unreadable(value: object) -> None:
    try:
        rows = rows_of(parse(msgspec.json.encode(value)), "data", "template")
    except CloudError as error:
        assert type(error) is Unreadable
    else:
        assert all(isinstance(row, Fields) for row in rows.fields)


@pytest.mark.parametrize("value", [None, "", "0", "-1", 0, -1, "soon", [], {}, True, 1e30, "9" * 30, "1e999999"])
def test_no_time(value: object) -> None:
    assert Fields({"t": value}).at("t") is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("16", 16),
        (16, 16),
        (16.0, 16),
        (" 16 ", 16),
        ("16.0", 16),
        ("", None),
        (None, None),
        ("32GB", None),
        (True, None),
        ("nan", None),
        ("1e400", None),
        ([16], None),
    ],
)
def test_numbers(value: object, number: int | None) -> None:
    assert Fields({"n": value}).whole("n") == number


@pytest.mark.parametrize("word", ["hibernating", "RUNNING", "x" * 500])
def test_an_unknown_word_is_kept_and_logged_once(word: str) -> None:
    lexicon = Lexicon()
    with capture_logs() as logs:
        rows = [read_row(Fields({"id": "a", "status": word}), NOON, lexicon) for _ in range(3)]
    assert [row.seen.status for row in rows] == [word] * 3
    assert [(entry["event"], entry["word"]) for entry in logs] == [("word.unknown", word[:64])]


def test_known_and_empty_words_are_not_logged() -> None:
    with capture_logs() as logs:
        read_row(Fields(SPOT_ROW | {"billingMode": "", "spotStatus": ""}), NOON, Lexicon())
    assert logs == []


def test_logged_words_are_bounded() -> None:
    lexicon = Lexicon()
    with capture_logs() as logs:
        for number in range(1000):
            lexicon.word("status", f"w{number}", frozenset())
    assert len(logs) == 200


def test_a_detail_with_its_connection() -> None:
    answer = SPOT_ROW | {
        "connectComponentSSH": {"sshCommand": "ssh -p 1 root@h", "password": "pw", "isRunning": True},
        "connectComponentJupyter": {"address": "https://j", "isRunning": True},
        "connectComponentWebTerminal": {"address": "https://t", "isRunning": False},
    }
    connection = read_detail(Fields(answer), NOON, Lexicon()).connection
    assert connection == Connection(
        read_at=NOON,
        ports=(PortMapping(port=8080, type="http", endpoint="https://a-8080.example"),),
        ssh="ssh -p 1 root@h",
        ssh_password="pw",
        jupyter="https://j",
    )


def test_a_port_without_an_endpoint_connects_to_nothing() -> None:
    answer = {"id": "a", "portMappings": [{"port": 80, "type": "http"}, {"endpoint": "x"}, "y", None]}
    assert read_detail(Fields(answer), NOON, Lexicon()).connection.ports == ()


@pytest.mark.parametrize(
    ("price", "units"),
    [("67000", 67000), (67000, 67000), ("67000.5", 67001), ("0", 0), (0, 0), (None, None), ("", None), ("-1", None)],
)
def test_prices(price: object, units: int | None) -> None:
    product = read_product(Fields({"id": "p", "price": price, "spotPrice": price}), Lexicon())
    assert product is not None
    assert (product.on_demand_units, product.spot_units) == (units, units)


def test_a_product_that_cannot_be_told_apart_or_placed_is_none() -> None:
    assert read_product(Fields({"name": "RTX 4090 24GB"}), Lexicon()) is None
    assert read_product(Fields({"id": "p", "regions": [{"name": "US"}]}), Lexicon()) is None
    everywhere = read_product(Fields({"id": "p", "regions": None}), Lexicon())
    assert everywhere is not None
    assert everywhere.regions == ()


def test_region_names_in_both_forms() -> None:
    assert region_of("US-CA-06 (California)") == region_of("US-CA-06") == region_of(" US-CA-06 ") == "US-CA-06"
    assert region_of("") == ""


def test_a_template() -> None:
    template = read_template(
        Fields(
            {
                "Id": 101,
                "image": "i",
                "rootfsSize": "60",
                "ports": [{"type": "http", "ports": [80, "8080"]}, {"type": "udp", "ports": [53]}],
                "tools": [{"name": "Jupyter", "describe": "", "port": "8888", "type": "http"}],
                "envs": [{"key": "A", "value": ""}, {"key": "", "value": "b"}],
            }
        ),
        Lexicon(),
    )
    assert template.id == "101"
    assert [(p.port, p.type) for p in template.ports] == [(80, "http"), (8080, "http")]
    assert [(t.name, t.port) for t in template.tools] == [("Jupyter", 8888)]
    assert [e.key for e in template.envs] == ["A"]


def test_a_registry_password_stops_here() -> None:
    auth = read_registry_auth(Fields({"id": "1", "name": "n", "username": "u", "password": "registry-password"}))
    assert "registry-password" not in repr(msgspec.to_builtins(auth))


def test_a_job_with_either_error_field() -> None:
    job = read_job(Fields({"Id": "j", "state": {"state": "fail", "message": "no gpu"}, "instanceId": "m"}), Lexicon())
    assert (job.id, job.state, job.error, job.instance) == ("j", "fail", "no gpu", "m")
    assert read_job(Fields({"id": "j", "state": "success"}), Lexicon()).state == "success"


def test_a_missing_sample_is_not_a_zero() -> None:
    points = [{"timestamp": "1780000000", "value": "12.5"}, {"timestamp": "1780000015"}, {"value": 0}]
    metrics = read_metrics(Fields({"gpuUtilization": {"avg": points}}))
    assert [sample.percent for sample in metrics.gpu] == [12.5]
    assert metrics.gpu_memory == ()


def test_one_busy_gpu_of_eight_is_use() -> None:
    def series(value: float) -> list[dict[str, object]]:
        return [{"timestamp": "1767225600", "value": value}]

    gpus = [{"gpuId": str(n), "items": series(90.0 if n == 3 else 0.0)} for n in range(8)]
    metrics = read_metrics(Fields({"gpuUtilization": {"avg": series(11.25), "gpuIds": gpus}}))
    assert [sample.percent for sample in metrics.gpu] == [90.0]


def test_a_balance() -> None:
    balance = read_balance(Fields({"availableBalance": "123456", "cashBalance": "", "creditLimit": None}))
    assert balance is not None
    assert (balance.available_usd, balance.cash_usd) == (Decimal("12.3456"), Decimal(0))
    assert read_balance(Fields({"code": 401})) is None


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"[]", b'"id"', b"null", b"<html>", b"\xff", b"{", b"[" * 100_000], ids=range(9)
)
def test_what_is_no_object_is_unreadable_and_not_repeated(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(body)
    assert "html" not in caught.value.message


@pytest.mark.parametrize("answer", [{}, {"code": 401, "message": "expired"}, {"data": {}}, {"data": "x", "total": 0}])
def test_an_answer_without_its_list_is_no_empty_list(answer: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        rows_of(Fields(answer), "data")


def test_a_list_left_out_beside_a_total_is_empty() -> None:
    assert rows_of(Fields({"total": "0"}), "instances").total == 0
    assert rows_of(Fields({"instances": None, "total": 0}), "instances").fields == ()


def test_the_body_of_a_create() -> None:
    assert create_body(order()) == {
        "name": "w1-d-i-1",
        "kind": "gpu",
        "productId": "4090.16c62g",
        "clusterId": "us-ca-6",
        "gpuNum": 2,
        "rootfsSize": 80,
        "imageUrl": "docker.io/library/ubuntu:22.04",
        "billingMode": "spot",
        "ports": "80/http, 3306/tcp",
        "envs": [{"key": "TOKEN", "value": "env-secret-value"}, {"key": "NOVITA_GPU_MARKER", "value": "d/i/1"}],
        "tools": [{"name": "Jupyter", "port": "8888", "type": "http"}],
        "command": "sleep 1",
        "networkStorages": [{"Id": "s1", "mountPoint": "/network"}],
    }


def test_empty_optionals_are_left_out_and_a_foreign_marker_is_replaced() -> None:
    forged = (Env(key="NOVITA_GPU_MARKER", value="other"),)
    body = create_body(order(ports=(), tools=(), command="", network_storages=(), envs=forged))
    assert set(body) == {
        "name",
        "kind",
        "productId",
        "clusterId",
        "gpuNum",
        "rootfsSize",
        "imageUrl",
        "billingMode",
        "envs",
    }
    assert body["envs"] == [{"key": "NOVITA_GPU_MARKER", "value": "d/i/1"}]
