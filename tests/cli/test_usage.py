"""Help, wrong usage, wrong settings; and how quickly it answers."""

import ast
import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.cli.process import type_in

COMMANDS = [
    *("demo", "serve", "work", "simulate", "doctor", "version"),
    *("create", "plan", "list", "get", "wait", "start", "stop", "restart", "delete", "events", "sync"),
    "stop-all",
    *("explain", "utilisation", "touch", "pin", "auto-stop"),
    *("products", "regions", "templates", "costs"),
]

GROUPED = [
    f"webhooks {name}"
    for name in ["list", "replay", "test", "listen", "endpoints", "add", "rotate", "switch", "remove"]
] + ["keys create", "keys list", "keys revoke"]


async def test_help_names_every_command_and_exit_code(tmp_path: Path) -> None:
    told = await type_in(tmp_path, "--help")
    bare = await type_in(tmp_path)
    assert told.code == bare.code == 0
    assert told.out == bare.out
    for command in (*COMMANDS, "webhooks", "keys"):
        assert f"\n  {command} " in told.out
    for line in ("0  ok", "1  the service said no", "2  wrong usage", "3  the service cannot", "4  the time", "5  the"):
        assert line in told.out


async def test_the_former_name_of_touch_works_and_is_not_listed(tmp_path: Path) -> None:
    listed, former, now = await asyncio.gather(
        type_in(tmp_path, "--help"), type_in(tmp_path, "last-used", "--help"), type_in(tmp_path, "touch", "--help")
    )
    assert "last-used" not in listed.out
    assert former.out.replace("last-used", "touch") == now.out


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPED])
async def test_every_command_explains_itself_and_takes_json(tmp_path: Path, command: str) -> None:
    told = await type_in(tmp_path, *command.split(), "--help")
    assert told.code == 0
    assert "--json" in told.out


@pytest.mark.parametrize(
    "words",
    [
        "nope",
        "list --nope",
        "create",
        "create a --gpus many",
        "create a --billing-mode free",
        "create a --port ssh",
        "create a --env NOT_SET_ANYWHERE",
        "get a/b",
        "list --url nonsense",
        "last-used a --at yesterday",
        "touch a --at yesterday",
        "webhooks replay",
        "webhooks replay msg_1 --since 24h",
        "webhooks listen --secret nonsense",
        "webhooks listen",
        "keys create ci",
        "keys create ci --scope read --expires soon",
        "explain",
        "explain a/b",
        "utilisation a --hours 25",
        "pin a --for 2w",
        "pin a --for 2",
        "pin a --for -2h",
        "pin a --for 0m",
        "pin a --until tomorrow",
        "pin a --until 2026-01-31T12:00:00Z",
        "pin --off",
        "auto-stop --for-real",
        "list --limit 0",
        "plan",
        "plan a --wait",
        "plan a --port ssh",
        "products --billing-mode free",
        "templates a/b",
        "costs --since yesterday",
        "costs --since 24",
        "costs --since 2026-02-30",
        "costs --since 0001-01-01",
        "costs --until -7d",
        "costs --until 9w",
    ],
)
async def test_wrong_usage_is_told_and_exits_2(tmp_path: Path, words: str) -> None:
    told = await type_in(tmp_path, *words.split(), "--json")
    assert told.code == 2
    assert told.out == ""
    assert told.error["code"] == "WRONG_USAGE"


async def test_plan_takes_what_create_takes_and_waits_for_nothing(tmp_path: Path) -> None:
    create, plan = await asyncio.gather(*(type_in(tmp_path, name, "--help") for name in ("create", "plan")))
    options = [set(re.findall("--[a-z-]+", told.out)) for told in (create, plan)]
    assert options[0] - options[1] == {"--wait", "--timeout", "--idempotency-key"}
    assert not options[1] - options[0]


async def test_all_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    variables = {"PORT": "many", "NOVITA_API_BASE_URL": "ftp://x"}
    for command in ("serve", "work", "doctor"):
        told = await type_in(tmp_path, command, **variables)
        assert told.code == 2
        assert "PORT: " in told.err
        assert "NOVITA_API_BASE_URL: " in told.err


async def test_version(tmp_path: Path) -> None:
    plain, as_json = await asyncio.gather(type_in(tmp_path, "version"), type_in(tmp_path, "version", "--json"))
    assert plain.out.strip() == as_json.json["version"] == "0.1.0"


async def test_help_stays_quick_because_nothing_heavy_is_imported_for_it(tmp_path: Path) -> None:
    """These five take from 0.1 s to 1 s; without them help is there after 0.2 s."""
    script = "import sys; from novita_gpu.cli.app import run; run(['--help']); print(sorted(sys.modules))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    loaded = set(ast.literal_eval(out.decode().strip().split("\n")[-1]))
    assert "typer" in loaded
    assert not loaded & {"aiohttp", "rich", "pydantic", "litestar", "redis"}
