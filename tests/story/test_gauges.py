"""What people watch: each query and alert in `deploy/` is about a figure that there is, and is explained."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.architecture.pages import ROOT
from tests.plane import KEY, Service

DASHBOARD = ROOT / "deploy" / "grafana" / "novita-gpu.json"
RULES = ROOT / "deploy" / "prometheus" / "novita-gpu.rules.yaml"
SCRAPE = ROOT / "deploy" / "prometheus" / "scrape.yaml"
PAGE = ROOT / "docs" / "alerts.md"
# Prometheus makes these itself.
OF_PROMETHEUS = {"up": {"job", "instance"}}
ENDS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
    "gauge": ("",),
}
NAMED = re.compile(r"\b(up|(?:novita_gpu|process)_\w+)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
COUNTED = re.compile(r'increase\((\w+)(?:\{(\w+)="([^"]*)"\})?\[')
# A target's own label, and the one of histograms.
ALWAYS = {"instance", "le"}


def alerts() -> list[dict[str, Any]]:
    told: Any = yaml.safe_load(RULES.read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def queries() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in alerts())


async def figures(service: Service) -> Mapping[str, set[str]]:
    """The names of all series that there are, each with its labels; those that never had a value have none."""
    families = await exposed(service)
    return {name: labels for family in families for name, labels in _series(family)} | OF_PROMETHEUS


async def exposed(service: Service) -> list[Metric]:
    async with service.http.get(f"{service.root}/metrics", headers={"Authorization": f"Bearer {KEY}"}) as answer:
        return list(text_string_to_metric_families(await answer.text()))


def _series(family: Metric) -> Iterator[tuple[str, set[str]]]:
    labels = {label for sample in family.samples for label in sample.labels}
    for end in ENDS[family.type]:
        yield family.name + end, labels


async def test_n20_every_query_names_a_figure_and_labels_that_there_are(service: Service) -> None:
    await service.ready()
    await service.plane.health.check()
    known = await figures(service)
    asked = list(queries())
    assert len(asked) > 50
    for query in asked:
        found = NAMED.findall(query)
        assert found, query
        assert {name for name, _ in found} <= known.keys(), query
        assert labels_in(query, found) <= {label for name, _ in found for label in known[name]} | ALWAYS, query


async def test_what_an_alert_counts_is_there_before_it_happens(service: Service) -> None:
    """A series that appears with its first failure has not increased, for Prometheus."""
    await service.ready()
    known = [sample for family in await exposed(service) for sample in family.samples]
    asked = [one for rule in alerts() for one in COUNTED.findall(rule["expr"])]
    assert len(asked) == sum("increase(" in rule["expr"] for rule in alerts())
    for name, label, value in asked:
        found = [one for one in known if one.name == name and (not label or one.labels[label] == value)]
        assert [one.value for one in found] == [0] * len(found) != [], (name, value)
    done = {one.labels["job"] for one in known if one.name == "novita_gpu_job_duration_seconds_count"}
    assert "reconcile" in done
    assert done <= {one.labels["job"] for one in known if one.name == "novita_gpu_jobs_failed_total"}


def labels_in(query: str, found: list[tuple[str, str]]) -> set[str]:
    """What is matched and grouped by."""
    matched = {one.split("=")[0].rstrip("!~ ") for _, matchers in found for one in matchers.split(",") if one}
    return matched | {one.strip() for group in GROUPED.findall(query) for one in group.split(",")}


def test_every_alert_has_its_paragraph_and_every_paragraph_its_alert() -> None:
    parts = PAGE.read_text().split("\n## ")[1:]
    told = {part.split("\n", 1)[0]: part.split("\n", 1)[1].strip() for part in parts}
    assert list(told) == [rule["alert"] for rule in alerts()]
    assert all(len(text) > 100 for text in told.values())


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_happened(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]


def test_what_is_scraped_is_what_the_rules_are_about() -> None:
    told: Any = yaml.safe_load(SCRAPE.read_text())
    (job,) = told["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("novita-gpu", "/metrics")
    assert told["rule_files"] == [RULES.name]
