"""What `deploy/` says is so here: variables, commands, addresses, ports and times. No engine runs it."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
import yaml

from novita_gpu.cli.app import build
from novita_gpu.observe import axiom, tracing
from novita_gpu.programs import ENOUGH_FILES
from novita_gpu.settings import Settings
from novita_gpu.work import FINISH_WITHIN
from tests.architecture.pages import ROOT

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "novita-gpu.service"
OF_DOCKER = {"PATH", "PYTHONUNBUFFERED"}
# Requests under way have ten seconds, in `programs`.
STOPS_WITHIN = timedelta(seconds=10) + FINISH_WITHIN + axiom.FLUSH_WITHIN + tracing.FLUSH_WITHIN


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def last_stage() -> str:
    return (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ").rpartition("\nFROM ")[2]


def words(instruction: str) -> list[str]:
    """Of a line in exec form: CMD ["a", "b"]."""
    found = re.search(rf"^\s*{instruction} (\[.*\])$", last_stage(), re.MULTILINE)
    assert found
    return msgspec.json.decode(found[1], type=list[str])


def unit() -> dict[str, list[str]]:
    lines = (line for line in UNIT.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#"))
    known: dict[str, list[str]] = {}
    for name, _, value in (line.partition("=") for line in lines):
        known.setdefault(name, []).append(value)
    return known


def variables() -> Iterator[str]:
    yield from compose()["services"]["novita-gpu"]["environment"]
    (line,) = re.findall(r"^ENV (.*)$", last_stage(), re.MULTILINE)
    yield from (word.partition("=")[0] for word in shlex.split(line))
    yield from (value.partition("=")[0] for value in unit()["Environment"])
    text = (DEPLOY / "systemd" / "novita-gpu.env").read_text("utf-8")
    yield from re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)


def test_every_variable_is_a_setting() -> None:
    unknown = {name for name in variables() if name.lower() not in Settings.model_fields} - OF_DOCKER
    assert unknown == set()


@pytest.mark.parametrize("command", [words("CMD"), unit()["ExecStart"][0].split()], ids=["image", "unit"])
def test_what_is_started_exists(command: list[str]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    program, verb = command
    assert Path(program).name in scripts
    known = typer.main.get_command(build())
    assert verb in getattr(known, "commands", {})


def test_the_health_check_asks_what_answers_without_a_key() -> None:
    (asked,) = re.findall(r"http://127\.0\.0\.1:\{.*?\}(/[a-z/]+)", last_stage())
    paths: Any = msgspec.json.decode((ROOT / "tests" / "api" / "openapi.json").read_bytes())["paths"]
    assert paths[asked]["get"]["security"] == []


def test_ports_are_one() -> None:
    set_to = re.findall(r"\bPORT=(\d+)", last_stage())
    exposed = re.findall(r"^EXPOSE (\d+)", last_stage(), re.MULTILINE)
    (published,) = compose()["services"]["novita-gpu"]["ports"]
    assert set_to == exposed == published.split(":")[1:2] == [str(Settings.model_fields["port"].default)]


def test_redis_is_where_the_service_looks_and_keeps_what_it_is_given() -> None:
    services = compose()["services"]
    assert services["novita-gpu"]["environment"]["REDIS_URL"].startswith("redis://redis:6379/")
    command = services["redis"]["command"]
    assert all(word in command for word in ("--appendonly yes", "--appendfsync always", "noeviction"))
    assert {volume.partition(":")[0] for volume in services["redis"]["volumes"]} <= set(compose()["volumes"])


def test_nothing_runs_as_root() -> None:
    (user,) = re.findall(r"^USER (\d+)", last_stage(), re.MULTILINE)
    assert int(user) > 0
    assert unit()["User"] == ["novita-gpu"]


def test_a_stop_gets_more_time_than_it_may_take_and_streams_enough_files() -> None:
    grace = compose()["services"]["novita-gpu"]["stop_grace_period"].removesuffix("s")
    (of_unit,) = unit()["TimeoutStopSec"]
    assert min(float(grace), float(of_unit)) > STOPS_WITHIN.total_seconds() + 30  # the private server's own end
    assert compose()["services"]["novita-gpu"]["ulimits"]["nofile"] >= ENOUGH_FILES
    assert int(unit()["LimitNOFILE"][0]) >= ENOUGH_FILES


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    """With a program that is there in place of ours."""
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.MULTILINE))
    found = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
