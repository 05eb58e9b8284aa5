"""What is shown of auto-stop, and what is asked of it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import ask, type_in
from tests.client.bodies import AT, BEFORE, COSTS, DISCARDED, EXPLAINED, LATER, STATS, TRIGGERED, USED, YOUNG, checked
from tests.client.plane import KEY, Said, instance, problem, serving

USE = "GET /api/instances/trainer-1/utilisation"
EXPLAIN = "GET /api/instances/trainer-1/explain"
TRIGGER = "POST /api/instances/auto-stop/trigger"
SHOW = "GET /api/instances/auto-stop/stats"


def rows(out: str) -> list[str]:
    """Lines that say something, with single spaces."""
    return [" ".join(line.split()) for line in out.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("words", "route", "body"),
    [
        (("explain", "trainer-1"), EXPLAIN, EXPLAINED),
        (("utilisation", "trainer-1"), USE, USED),
        (("auto-stop",), SHOW, STATS),
        (("auto-stop", "--check"), TRIGGER, TRIGGERED),
        (("pin", "trainer-1", "--off"), "PATCH /api/instances/trainer-1", instance()),
    ],
)
async def test_json_is_the_answer_as_it_came(
    tmp_path: Path, words: tuple[str, ...], route: str, body: dict[str, Any]
) -> None:
    async with serving() as plane:
        plane.tell(route, Said(body=body))
        told = await ask(tmp_path, plane.url, *words, "--json")
    assert (told.code, told.json, told.err) == (0, body, "")


async def test_an_explanation_shows_state_sources_and_what_puts_a_stop_off(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(EXPLAIN, Said(body=EXPLAINED))
        shown = await ask(tmp_path, plane.url, "explain", "trainer-1")
    assert shown.code == 0
    assert rows(shown.out) == [
        "trainer-1 ready as of 2026-01-31 12:00",
        "meant to be running",
        "because its port [8888] answers",
        "region AS-SGP-02, 4090.16c62g, by attempt 2 at 2026-01-31 11:30",
        "the first of 2 offers by region, then price",
        "next step rest until 2026-01-31 12:30: as wanted",
        "auto-stop on",
        "verdict active: in use (heartbeat: last heartbeat)",
        "SOURCE STATE EVIDENCE DECIDES REASON",
        "heartbeat active 2026-01-31 11:55 yes last heartbeat",
        "gpu unknown – no the cloud has no figures of it",
        "pin idle – yes no pin",
        "stops at 2026-01-31 12:30, in 30 min, by idleness, as far as is known now",
        "warned at 2026-01-31 11:55",
        "put off by a heartbeat (PUT …/last-used)",
        "a pin (PATCH autoStop.pinnedUntil)",
        "commands novita-gpu touch trainer-1, novita-gpu pin trainer-1 --for 2h",
        "a stop may cost Its system disk may be lost.",
    ]


async def test_one_that_is_stopped_is_explained_without_what_it_has_not(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(EXPLAIN, Said(body=DISCARDED))
        shown = await ask(tmp_path, plane.url, "explain", "trainer-1")
    assert rows(shown.out) == [
        "trainer-1 stopped as of 2026-01-31 12:00",
        "meant to be stopped",
        "next step warnDiscard: stopped for 7 days",
        "auto-stop off for idleness",
        "verdict unknown: it is not meant to run",
        "deleted at 2026-02-01 12:00, in 1 d 0 h",
        "put off by a start",
        "a stop may cost Its system disk may be lost.",
    ]


@pytest.mark.parametrize(
    ("rule", "stops_at", "line"),
    [
        ("lifetime", LATER, "2026-01-31 12:30, in 30 min, by its lifetime, as far as is known now"),
        ("idle", BEFORE, "2026-01-31 11:55, due for 5 min, by idleness, as far as is known now"),
        ("a-later-one", AT, "2026-01-31 12:00, due for 0 s, by a-later-one, as far as is known now"),
    ],
)
async def test_a_stop_is_told_with_its_rule_and_as_due_once_it_is(
    tmp_path: Path, rule: str, stops_at: str, line: str
) -> None:
    policy: dict[str, Any] = {**EXPLAINED["autoStop"], "rule": rule, "stopsAt": stops_at}
    async with serving() as plane:
        plane.tell(EXPLAIN, Said(body={**EXPLAINED, "autoStop": policy}))
        shown = await ask(tmp_path, plane.url, "explain", "trainer-1")
    assert f"stops at {line}" in rows(shown.out)
    assert ("novita-gpu touch" in shown.out) == (rule == "idle"), "a heartbeat puts off no other stop"


async def test_only_commands_that_its_policy_looks_at_are_named(tmp_path: Path) -> None:
    sources = [{**one, "decides": one["source"] != "heartbeat"} for one in EXPLAINED["autoStop"]["sources"]]
    async with serving() as plane:
        plane.tell(EXPLAIN, Said(body={**EXPLAINED, "autoStop": {**EXPLAINED["autoStop"], "sources": sources}}))
        shown = await ask(tmp_path, plane.url, "explain", "trainer-1")
    assert "commands novita-gpu pin trainer-1 --for 2h" in rows(shown.out)


async def test_how_busy_it_was_is_a_line_with_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    async with serving() as plane:
        points = [{"at": AT, "gpu": 0.0}, {"at": AT}, {"at": AT, "gpu": 100.0}]
        plane.tell(USE, Said(body={**USED, "points": points}), Said(body={**USED, "points": [], "stale": "out"}))
        shown, empty = [await ask(tmp_path, plane.url, "utilisation", "trainer-1") for _ in range(2)]
    assert rows(shown.out)[1] == "GPU ▁ █ 100 % 50 % 100 %"
    assert "GPU memory" not in shown.out
    assert "Nothing was measured" in empty.out


async def test_what_is_not_there_cannot_be_explained(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(EXPLAIN, Said(404, problem("INSTANCE_NOT_FOUND", "There is no such instance.")))
        told = await ask(tmp_path, plane.url, "explain", "trainer-1")
    assert (told.code, told.out) == (1, "")
    assert "`novita-gpu list` shows the names." in told.err


@pytest.mark.parametrize(
    ("words", "body"),
    [("touch a", {}), ("touch a --at 2026-01-31T12:00:00Z", {"lastUsedAt": AT}), ("last-used a", {})],
)
async def test_a_heartbeat_is_of_now_by_the_services_clock_or_of_a_time(
    tmp_path: Path, words: str, body: dict[str, Any]
) -> None:
    async with serving() as plane:
        plane.tell("PUT /api/instances/a/last-used", Said(body={"instanceId": "a", "message": "Recorded."}))
        shown = await ask(tmp_path, plane.url, *words.split())
    assert (shown.code, shown.out) == (0, "Recorded.\n")
    assert plane.seen[0].body == body


@pytest.mark.parametrize(("typed", "span"), [("90m", {"minutes": 90}), ("2h", {"hours": 2}), ("3d", {"days": 3})])
async def test_a_pin_for_a_span_ends_so_long_from_now(tmp_path: Path, typed: str, span: dict[str, int]) -> None:
    async with serving() as plane:
        plane.tell("PATCH /api/instances/a", Said(body=instance("a")))
        before = datetime.now(UTC)
        done = await ask(tmp_path, plane.url, "pin", "a", "--for", typed)
        after = datetime.now(UTC)
    assert done.code == 0
    until = datetime.fromisoformat(plane.seen[0].body["autoStop"]["pinnedUntil"])
    assert before - timedelta(milliseconds=1) <= until - timedelta(**span) <= after


async def test_a_pin_ends_at_a_time_of_the_callers_zone_or_is_taken_away(tmp_path: Path) -> None:
    policy = {"enabled": True, "pinnedUntil": "2999-01-31T10:00:00.000Z", "stopsAt": "2999-01-31T10:00:00.000Z"}
    async with serving() as plane:
        plane.tell("PATCH /api/instances/a", Said(body=instance("a", autoStop=policy)), Said(body=instance("a")))
        east = {"TZ": "XYZ-2", "NOVITA_GPU_URL": plane.url, "NOVITA_GPU_KEY": KEY}  # two hours ahead
        pinned = await type_in(tmp_path, "pin", "a", "--until", "2999-01-31T12:00", **east)
        off = await ask(tmp_path, plane.url, "pin", "a", "--off")
    assert [seen.body for seen in plane.seen] == [
        {"autoStop": {"pinnedUntil": "2999-01-31T10:00:00.000Z"}},
        {"autoStop": {"pinnedUntil": None}},
    ]
    assert rows(pinned.out) == [
        "a is pinned until 2999-01-31 12:00. As far as is known now it is stopped at 2999-01-31 12:00."
    ]
    assert off.out == "a is not pinned.\n"


@pytest.mark.parametrize("words", ["", "--off --for 2h", "--for 2h --until 2999-01-31T12:00:00Z"])
async def test_a_pin_says_how_many_ends_it_takes(tmp_path: Path, words: str) -> None:
    told = await type_in(tmp_path, "pin", "a", *words.split())
    assert told.code == 2
    assert "Exactly one of --for, --until and --off is needed" in told.err


async def test_a_check_is_dry_unless_it_is_for_real(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(TRIGGER, Said(body=TRIGGERED))
        await ask(tmp_path, plane.url, "auto-stop", "--check")
        shown = await ask(tmp_path, plane.url, "auto-stop", "--check", "--for-real")
    assert [seen.body for seen in plane.seen] == [{"dryRun": True}, {"dryRun": False}]
    assert (shown.code, rows(shown.out)) == (
        0,
        [
            "NAME VERDICT RULE STOPS AT OUTCOME REASON",
            "trainer-1 idle idle 2026-01-31 12:00 stopping no heartbeat for 20 minutes",
            "trainer-2 idle idle 2026-01-31 12:00 failed NOT_ANSWERED: No pass decided about it in time.",
            "[red]young unknown – – none it is not ready yet",
            "Of 3, 1 are being stopped and 0 were warned.",
        ],
    )


async def test_a_check_of_nothing_says_so(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(TRIGGER, Said(body={"dryRun": True, "results": [], "message": "Nothing was done."}))
        shown = await ask(tmp_path, plane.url, "auto-stop", "--check")
    assert rows(shown.out) == ["No instance is meant to run.", "Nothing was done."]


async def test_stats_show_when_it_checks_and_what_it_has_saved(tmp_path: Path) -> None:
    off: dict[str, Any] = {"schedulerRunning": False, "checkIntervalMinutes": 0.5, "savedRule": "As agreed."}
    async with serving() as plane:
        plane.tell(SHOW, Said(body=STATS), Said(body=off))
        shown = await ask(tmp_path, plane.url, "auto-stop")
        never = await ask(tmp_path, plane.url, "auto-stop")
    assert rows(shown.out) == [
        "scheduler running",
        "checks every 5 min",
        "last 2026-01-31 11:55",
        "next 2026-01-31 12:00",
        "last result 3 checked, 2 due, 1 stopped, 1 failed, in 12.5 ms",
        "idle after 20 min, where an instance has no limit of its own",
        "in all 120 checks, 7 stopped, 1 failed",
        "saved $12.34",
        "Compute from each stop until it was wanted again.",
    ]
    assert rows(never.out)[:4] == ["scheduler not running", "checks every 30 s", "last –", "next –"]
    assert "last result" not in never.out


LONG = "a-name-that-goes-on-and-on-for-longer-than-half-a-line"
AT_80 = {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": "80", "LINES": "25"}


@pytest.mark.parametrize(
    ("words", "route", "body", "kept"),
    [
        (
            ("auto-stop", "--check"),
            TRIGGER,
            {**TRIGGERED, "results": [checked(LONG, "stopping", reason=f"{'no heartbeat, ' * 9}at last"), YOUNG]},
            ("2026-01-31 12:00", "stopping", "unknown", "VERDICT", "last"),
        ),
        (
            ("costs",),
            "GET /api/costs",
            {**COSTS, "instances": [{**COSTS["instances"][0], "name": LONG}]},
            ("ready", "$11.65", "$0.3500", "$0.0042", "$0.7083", "$4.20", "COMPUTE"),
        ),
        (("explain", "trainer-1"), EXPLAIN, EXPLAINED, ("2026-01-31 11:55", "heartbeat", "unknown", "no pin")),
        (
            ("utilisation", "trainer-1"),
            USE,
            {**USED, "points": [{"at": AT, "gpu": n / 3, "gpuMemory": 40.0} for n in range(300)]},
            ("▁▁▁▁▁▂▂▂▂▂▃▃▃▃▃▃▄", "█", "100 %", "50 %", "40 %", "GPU memory"),
        ),
    ],
)
async def test_in_80_columns_long_texts_fold_and_nothing_is_cut_off(
    tmp_path: Path, words: tuple[str, ...], route: str, body: dict[str, Any], kept: tuple[str, ...]
) -> None:
    async with serving() as plane:
        plane.tell(route, Said(body=body))
        shown = await type_in(tmp_path, *words, NOVITA_GPU_URL=plane.url, NOVITA_GPU_KEY=KEY, **AT_80)
    assert max(map(len, shown.out.splitlines())) <= 80
    assert not re.search("…(?!/last-used)", shown.out)
    for word in kept:
        assert word in shown.out
