"""Figures: one source for Prometheus and JSON, bounded labels, rates of the last minute."""

from typing import Any

from msgspec.structs import replace
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from novita_gpu.control.rates import EVERY_S, Rates
from novita_gpu.domain.instance import InstanceId
from novita_gpu.figures import Figures
from tests.api.served import Served, served
from tests.domain.given import ready

MANY = 10_000


async def families(api: Served) -> dict[str, Metric]:
    """What the official parser makes of the page. It raises where the text is none."""
    answer = await api.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def value(family: Metric, **labels: str) -> float:
    (found,) = [one.value for one in family.samples if labels.items() <= one.labels.items()]
    return found


def series(found: dict[str, Metric]) -> int:
    return sum(len(family.samples) for family in found.values())


async def test_each_figure_has_a_text_a_type_and_base_units(api: Served) -> None:
    await api.get("/api/products")
    for name, family in (await families(api)).items():
        assert name.startswith(("novita_gpu_", "process_")), name
        assert family.documentation, name
        assert family.type in {"counter", "gauge", "histogram", "summary"}, name
        assert not name.endswith(("_ms", "_milliseconds", "_percent", "_mb", "_minutes")), name
        assert not {"id", "instance", "instance_id", "path", "key", "name"} & {
            label for sample in family.samples for label in sample.labels
        }, name


async def test_requests_are_counted_by_template_and_the_cloud_by_meaning(api: Served) -> None:
    record = await api.created()
    for ref in (record.id, record.name, "ins_nobody"):
        await api.get(f"/api/instances/{ref}")
    await api.get("/api/products")
    found = await families(api)
    requests = found["novita_gpu_http_requests"]
    of_get = [one for one in requests.samples if one.labels["method"] == "GET" and "{" in one.labels["route"]]
    assert {(one.labels["status"], one.value) for one in of_get} == {("200", 2.0), ("404", 1.0)}
    calls = found["novita_gpu_cloud_calls"]
    assert value(calls, operation="clusters", meaning="ok") == 1
    told = (await api.get("/api/metrics")).json["data"]
    assert told["novita"]["byOperation"]["clusters"] == {"ok": 1}
    assert told["requests"]["byStatus"]["4xx"] == 1
    assert told["requests"]["total"]["count"] == sum(told["requests"]["byRoute"].values())


async def strange(api: Served, number: int) -> None:
    """One request as the server hands it to the application."""
    scope: Any = {"type": "http", "method": "GET" if number % 2 else f"M{number}", "path": f"/no/such/{number}"}
    scope |= {"raw_path": scope["path"].encode(), "query_string": b"", "headers": [], "root_path": "", "scheme": "http"}
    scope |= {"http_version": "1.1", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {}}

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None: ...

    await api.app(scope, receive, send)


async def settled(api: Served) -> int:
    """How many series there are once `/metrics` itself has been asked for."""
    await families(api)
    return series(await families(api))


async def test_t11_ten_thousand_unknown_paths_and_methods_add_no_series(api: Served) -> None:
    await strange(api, 1)
    await strange(api, 2)
    before = await settled(api)
    for number in range(MANY - 2):
        await strange(api, number)
    found = await families(api)
    assert series(found) == before
    unknown = [one for one in found["novita_gpu_http_requests"].samples if one.labels["route"] == "unknown"]
    assert sum(one.value for one in unknown if one.name.endswith("_total")) == MANY


async def test_t11_ten_thousand_instances_add_no_series(valkey: str) -> None:
    async with served(valkey) as api:
        before = await settled(api)
        like = ready()
        for number in range(MANY):
            api.store.view.apply(replace(like, id=InstanceId(f"ins_{number:026}"), name=f"n-{number}"))
        found = await families(api)
    assert value(found["novita_gpu_instances"], status="ready") == MANY
    assert series(found) == before
    assert found["novita_gpu_burn_usd_per_hour"].samples[0].value >= 0


class Hand:
    """A clock and a processor that go on when they are told to."""

    def __init__(self) -> None:
        self.seconds, self.busy = 100.0, 0.0
        self.figures = Figures()
        self.rates = Rates(self.figures, monotonic=lambda: self.seconds, cpu=lambda: self.busy)

    def goes_on(self, seconds: float, *, requests: int = 0, status: int = 200, each_s: float = 0.01) -> None:
        for _ in range(int(seconds / EVERY_S)):
            for _ in range(requests):
                self.figures.answered("GET", "/x", status, each_s, held=False)
            self.seconds += EVERY_S
            self.rates.read()


def test_t11_rates_are_of_the_last_minute_and_not_of_a_life() -> None:
    it = Hand()
    it.goes_on(3600, requests=50)
    assert it.rates.performance().requests_per_minute == 600
    it.goes_on(30)
    assert it.rates.performance().requests_per_minute == 300
    it.goes_on(60)
    assert it.rates.performance().requests_per_minute == 0
    assert it.rates.requests_a_second() == 0
    it.busy += 3
    assert it.rates.system().cpu.usage == 5.0


def test_a_slow_one_in_a_hundred_is_seen_in_p99_and_held_requests_are_not() -> None:
    it = Hand()
    it.goes_on(EVERY_S, requests=980, each_s=0.004)
    it.goes_on(EVERY_S, requests=20, each_s=2.0, status=500)
    for _ in range(500):
        it.figures.answered("GET", "/wait", 200, 30.0, held=True)
    told = it.rates.performance()
    assert told.p99_response_time_ms == 2500
    assert told.average_response_time_ms == 43.92
    assert told.error_rate_percent == 1.33


async def test_the_summary_has_the_documented_fields(api: Served) -> None:
    answer = await api.get("/api/metrics/summary")
    assert answer.json["status"] == "success"
    data: Any = answer.json["data"]
    assert {name: set(part) for name, part in data.items()} == {
        "performance": {"requestsPerMinute", "averageResponseTimeMs", "p99ResponseTimeMs", "errorRatePercent"},
        "jobs": {"processingRatePerMinute"},
        "system": {"memoryUsageMB", "cpuUsagePercent", "uptimeSeconds"},
        "cache": {"hitRatePercent", "totalSize"},
    }
    assert data["system"]["memoryUsageMB"] > 10
