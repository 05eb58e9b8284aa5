"""What is shown of machines that were taken, and what is asked of their recovery."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import ask
from tests.cli.test_idle import rows
from tests.client.bodies import FAILED_MIGRATIONS, RECOVERED, RECOVERY
from tests.client.plane import Said, serving

STATUS = "GET /api/instances/migration/status"
TRIGGER = "POST /api/instances/migration/trigger"
FAILED = "POST /api/instances/migration/check-failed"


@pytest.mark.parametrize(
    ("words", "route", "body", "sent"),
    [
        ((), STATUS, RECOVERY, None),
        (("--check",), TRIGGER, RECOVERED, {"dryRun": True}),
        (("--check", "--for-real"), TRIGGER, RECOVERED, {"dryRun": False}),
        (("--failed",), FAILED, FAILED_MIGRATIONS, {"dryRun": True}),
        (("--failed", "--for-real"), FAILED, FAILED_MIGRATIONS, {"dryRun": False}),
    ],
)
async def test_each_asks_its_route_and_changes_nothing_unless_it_is_for_real(
    tmp_path: Path, words: tuple[str, ...], route: str, body: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    async with serving() as plane:
        plane.tell(route, Said(body=body))
        told = await ask(tmp_path, plane.url, "recovery", *words, "--json")
        (asked,) = plane.seen
    assert (told.code, told.json, told.err) == (0, body, "")
    assert sent is None or asked.body == sent


async def test_its_state_shows_the_policy_what_waits_and_what_came_back(tmp_path: Path) -> None:
    async with serving() as plane:
        plane.tell(STATUS, Said(body=RECOVERY))
        shown = await ask(tmp_path, plane.url, "recovery")
    assert rows(shown.out) == [
        "when one is taken migrate, where an instance says nothing else",
        "limit 3 a day, 30 min apart, doubled each time",
        "spot machines 2 are meant to run",
        "NAME STAGE BY LOST AT NEXT AT TODAY REASON",
        "trainer-1 waiting migrate 2026-01-31 12:00 2026-01-31 12:30 1 of 3 the cloud took its spot machine",
        "CAME BACK AT LOST BY REGION",
        "ins_2 2026-01-31 12:00 42 s recreate CN-HK-01",
    ]


@pytest.mark.parametrize("words", [("--check", "--failed"), ("--for-real",)])
async def test_what_does_not_go_together_is_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with serving() as plane:
        told = await ask(tmp_path, plane.url, "recovery", *words)
    assert (told.code, "go" in told.err) == (2, True)
