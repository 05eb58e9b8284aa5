"""Whatever a variable is set to: the process begins with it, or says at once which one is wrong."""

import asyncio
from pathlib import Path

import pytest

from novita_gpu.programs import bound
from novita_gpu.settings import Settings, WrongSettings
from novita_gpu.sinks import observed
from novita_gpu.wiring import opened
from tests.valkey import new_prefix

ABSURD = (
    " ",
    "a b",
    "é☃",
    "é" * 100,
    "\udcff",  # a byte that is no UTF-8
    "x" * 5_000,
    "-1",
    "1e-12",
    "inf",
    "nan",
    "9" * 11,
    "9" * 30,
    "[",
    "https://",
    "https://[",
    "https://x/?y",
    "https://x:99999/",
    "http://10.0.0.1/",
    "ftp://example.com/",
    "redis://x:y",
)
OF_LOGS = ("AXIOM_", "LOG_", "OTEL_")
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.mark.parametrize("name", NAMES)
async def test_t12_the_process_begins_with_it_or_names_it(
    name: str, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken: list[tuple[str, Settings]] = []
    for value in ABSURD:
        usual = {
            "NOVITA_API_KEY": "sim-key",
            "NOVITA_API_BASE_URL": "http://127.0.0.1:9",
            "REDIS_URL": valkey_url,
            "REDIS_KEY_PREFIX": new_prefix(),
            "DATA_DIR": str(tmp_path / new_prefix()),
            "PORT": "0",
        }
        if name.startswith("AXIOM_"):
            usual |= {"AXIOM_TOKEN": "xaat-1", "AXIOM_DATASET": "lines", "AXIOM_URL": "http://127.0.0.1:9"}
        for variable, its in {**usual, name: value}.items():
            monkeypatch.setenv(variable, its)
        try:
            taken.append((value, Settings.load()))
        except WrongSettings as wrong:
            assert name in names(wrong), f"{name}={value}: {names(wrong)}"
    if name.startswith(OF_LOGS):  # of which a process has one set
        for one in taken:
            async with observed(one[1], "1"):
                pass
    await asyncio.gather(*(begins(name, *one) for one in taken))


def names(wrong: WrongSettings) -> str:
    """The variables that are told of as wrong."""
    return " ".join(variable for variable, _ in wrong.faults)


async def begins(name: str, value: str, settings: Settings) -> None:
    try:
        async with opened(settings, whole=False):
            bound(settings.host, settings.port).close()
    except WrongSettings as wrong:
        assert name in names(wrong), f"{name}={value}: {names(wrong)}"
