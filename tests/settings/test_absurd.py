"""Whatever a variable is set to: the process begins with it, or says at once which one is wrong."""

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
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.mark.parametrize("name", NAMES)
async def test_t12_the_process_begins_with_it_or_names_it(
    name: str, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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
        told = await named()
        assert name in told or not told, f"{name}={value}: {told}"


async def named() -> str:
    """The variables that are told of as wrong; none of them when it begins."""
    try:
        settings = Settings.load()
        async with observed(settings, "1"), opened(settings):
            bound(settings.host, settings.port).close()
    except WrongSettings as wrong:
        return " ".join(variable for variable, _ in wrong.faults)
    return ""
