"""What is shown of the cloud's offers and of money, and what is asked for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import ask, type_in
from tests.client.bodies import COSTS, LIMITS, ONE_TEMPLATE, PLAN, PRODUCTS, REFUSED, REGIONS, TEMPLATES, stale
from tests.client.plane import KEY, Said, problem, serving

PLANNED = ("plan", "trainer-1", "--product", "RTX 4090 24GB", "--image", "ubuntu")


def rows(out: str) -> list[str]:
    """Lines with single spaces."""
    return [" ".join(line.split()) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "route", "body"),
    [
        (("products",), "GET /api/products", PRODUCTS),
        (("regions",), "GET /api/regions", REGIONS),
        (("templates",), "GET /api/templates", TEMPLATES),
        (("templates", "20001"), "GET /api/templates/20001", ONE_TEMPLATE),
        (("costs",), "GET /api/costs", COSTS),
        (PLANNED, "POST /api/instances/plan", REFUSED),
    ],
)
async def test_json_is_the_answer_as_it_came(
    tmp_path: Path, words: tuple[str, ...], route: str, body: dict[str, Any]
) -> None:
    async with serving() as plane:
        plane.tell(route, Said(body=body))
        told = await ask(tmp_path, plane.url, *words, "--json")
    assert (told.code, told.json, told.err) == (0, body, "")


async def test_products_show_prices_stock_and_where_it_is_empty(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/products", Said(body=PRODUCTS), Said(body={"products": []}))
        shown = await ask(tmp_path, plane.url, "products")
        none = await ask(tmp_path, plane.url, "products", "--region", "AS-SGP-02", "--billing-mode", "spot")
    places = "AS-SGP-02 (spot empty), CN-HK-01 (empty)"
    assert rows(shown.out) == [
        "NAME ID CPU RAM ON DEMAND SPOT STOCK REGIONS",
        f"RTX 4090 24GB 4090.16c62g 16 62 GB $0.3500/h $0.1750/h on demand high, spot none {places}",
        "[red]odd odd 8 31 GB – $1.25/h yes us-ca-6, us-ca-7",
        "CPU, RAM and prices are for one GPU.",
    ]
    assert none.out == "Nothing is sold so.\n"
    assert [seen.query for seen in plane.seen] == [{}, {"region": ["AS-SGP-02"], "billingMode": ["spot"]}]


async def test_regions_show_their_order_and_what_is_empty(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/regions", Said(body=REGIONS))
        shown = await ask(tmp_path, plane.url, "regions")
    assert rows(shown.out)[:3] == [
        "PRIORITY NAME ID VOLUMES PRODUCTS EMPTY UNTIL",
        "1 AS-SGP-02 as-sgp-2 yes RTX 4090 24GB, RTX 5090 32GB 2026-01-31 12:30 2 × 4090.16c62g spot",
        "– EU-DE-01 eu-de-1 no – –",
    ]


async def test_templates_are_listed_and_one_is_shown_whole(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/templates", Said(body=TEMPLATES), Said(body={"templates": []}))
        plane.tell("GET /api/templates/20001", Said(body=ONE_TEMPLATE))
        plane.tell("GET /api/templates/7", Said(404, problem("TEMPLATE_NOT_FOUND", "There is no template 7.")))
        listed = await ask(tmp_path, plane.url, "templates")
        none = await ask(tmp_path, plane.url, "templates")
        one = await ask(tmp_path, plane.url, "templates", "20001")
        missing = await ask(tmp_path, plane.url, "templates", "7")
    assert rows(listed.out) == [
        "ID NAME CHANNEL IMAGE DISK PORTS CUDA",
        "20001 team-worker private registry.example.com/team/worker:1.4 80 GB 8188/http, 22/tcp 12.4",
    ]
    assert none.out == "No templates.\n"
    for line in (
        *("ports 8188/http, 22/tcp", "environment WORKER_MODE", "tools Jupyter", "CUDA 12.4 or later"),
        *("registry team", "description The team's own."),
    ):
        assert line in rows(one.out)
    assert missing.code == 1
    assert "`novita-gpu templates` shows their ids." in missing.err


async def test_a_plan_shows_offers_reasons_and_money(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("POST /api/instances/plan", Said(body=PLAN))
        shown = await ask(tmp_path, plane.url, *PLANNED)
    assert shown.code == 0
    assert [line for line in rows(shown.out) if line] == [
        "trainer-1 docker.io/library/ubuntu:22.04 100 GB disk",
        "REGION PRODUCT GPUS PRICE",
        "1. AS-SGP-02 4090.16c62g 2 × RTX 4090 24GB $0.7000/h",
        "2. CN-HK-01 4090.16c62g 2 × RTX 4090 24GB $0.7000/h empty until 2026-01-31 12:30",
        "why the first of 2 offers by region, then price",
        "passed over AS-SGP-02: odd is out of stock",
        "AS-IN-01: the product is not offered there",
        "spend $0.7083 an hour, $17.00 a day, $510.00 in 30 days",
        "disk $0.2000 a day of it, also while it is stopped",
        "ready in about 4 min, as our own last launches",
        "balance $98.76, lasts 2 d 1 h with it",
        "limits 1 of 5 instances, $0.3500 of $2.00 an hour reserved, at most $1.00 an hour for one",
        "auto-stop Once ready it is stopped after 20 minutes.",
        "a stop may cost Its system disk may be lost.",
    ]


async def test_a_plan_that_would_be_refused_says_so_and_is_an_answer(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("POST /api/instances/plan", Said(body=REFUSED))
        shown = await ask(tmp_path, plane.url, *PLANNED)
    assert (shown.code, shown.err) == (0, "")
    lines = rows(shown.out)
    assert "Nothing fits." in lines
    assert "balance -$3.50" in lines
    assert lines[-1] == "refused NO_OFFER: No region offers [it]."
    assert not any(line.startswith(("why", "spend", "ready", "limits")) for line in lines)


async def test_costs_show_each_instance_and_all_of_them(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell("GET /api/costs", Said(body=COSTS))
        shown = await ask(tmp_path, plane.url, "costs")
    assert [line for line in rows(shown.out) if line] == [
        "From 2026-01-01 12:00 to 2026-01-31 12:00",
        "NAME STATUS COST COMPUTE DISK ± NOW/h SAVED",
        "trainer-1 ready $12.00 $11.65 $0.3500 $0.0042 $0.7083 $4.20",
        "[red]odd deleted $0.3500 $0.3500 – – – –",
        "total $12.35 $12.00 $0.3500 $0.0042 $0.7083 $4.20",
        "now $0.7083/h",
        "saved $4.20 by auto-stop, in all",
        "balance $98.76, lasts 2 d 1 h",
        "limits 1 of 5 instances, $0.3500 of $2.00 an hour reserved, at most $1.00 an hour for one",
        "Compute from pulling until stopped.",
        "Compute from each stop until it was wanted again.",
    ]


async def test_costs_of_nothing_and_a_balance_that_lasts(tmp_path: Path) -> None:
    balance = {"availableUsd": "1000.0000", "hoursLeft": 1e12}
    body: dict[str, Any] = {**COSTS, "instances": [], "balance": balance, "limits": {**LIMITS, "maxInstances": None}}
    async with serving() as plane:
        plane.tell("GET /api/costs", Said(body=body))
        shown = await ask(tmp_path, plane.url, "costs")
    assert "Nothing was spent." in shown.out
    assert "lasts more than a year" in shown.out
    assert "instances" not in shown.out


async def test_costs_take_times_days_and_spans(tmp_path: Path) -> None:
    east = {"TZ": "XYZ-2", "NOVITA_GPU_KEY": KEY}  # two hours ahead
    async with serving() as plane:
        plane.tell("GET /api/costs", Said(body=COSTS))
        where = {**east, "NOVITA_GPU_URL": plane.url}
        await type_in(tmp_path, "costs", "--since", "2026-01-01T12:00:00+05:00", "--until", "2026-01-31", **where)
        await type_in(tmp_path, "costs", "--since", "2026-01-01T12:00", "--until", "2026-01-01T12:00:00.5Z", **where)
        before = datetime.now(UTC)
        await type_in(tmp_path, "costs", "--since", "7d", "--until", "90m", **where)
        after = datetime.now(UTC)
    first, second, third = (seen.query for seen in plane.seen)
    assert first == {"since": ["2026-01-01T07:00:00.000Z"], "until": ["2026-01-30T22:00:00.000Z"]}
    assert second == {"since": ["2026-01-01T10:00:00.000Z"], "until": ["2026-01-01T12:00:00.500Z"]}
    for name, span in (("since", timedelta(days=7)), ("until", timedelta(minutes=90))):
        at = datetime.fromisoformat(third[name][0])
        assert before - span - timedelta(milliseconds=1) <= at <= after - span


@pytest.mark.parametrize(
    ("words", "route", "body"),
    [
        (("products",), "GET /api/products", PRODUCTS),
        (("regions",), "GET /api/regions", REGIONS),
        (("templates",), "GET /api/templates", TEMPLATES),
        (("templates", "20001"), "GET /api/templates/20001", ONE_TEMPLATE),
        (PLANNED, "POST /api/instances/plan", PLAN),
    ],
)
async def test_what_is_old_is_told_as_old(
    tmp_path: Path, words: tuple[str, ...], route: str, body: dict[str, Any]
) -> None:
    async with serving() as plane:
        plane.tell(route, Said(body=stale(body)))
        told = await ask(tmp_path, plane.url, *words)
    assert told.code == 0
    assert rows(told.out)[-1] == (
        "The cloud does not answer now (calls to it are paused); this is as of 2026-01-31 12:00."
    )


async def test_a_plan_without_any_catalogue_says_that_nothing_is_known(tmp_path: Path) -> None:
    body = {"name": "trainer-1", "message": "It is not stopped.", "stale": True, "fault": "it is out"}
    async with serving() as plane:
        plane.tell("POST /api/instances/plan", Said(body=body))
        told = await ask(tmp_path, plane.url, *PLANNED)
    assert rows(told.out)[-1] == "The cloud does not answer now (it is out); what it sells is not known."
    assert "Nothing fits." not in told.out
