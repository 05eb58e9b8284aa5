"""What one replica commits another answers at once."""

from collections.abc import Callable
from pathlib import Path

from novita_gpu.client import Client
from tests.plane import KEY, serving
from tests.server.promptness import WITHIN_S, at, lags, line

COMMITS = 150


async def test_what_one_replica_commits_another_answers_within_100_ms(
    valkey_url: str, prefix: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Both in this process, which has to do the work of both; `make bench` has a process for each."""
    async with (
        serving(tmp_path / "here", redis_url=valkey_url, prefix=prefix) as one,
        serving(tmp_path / "there", redis_url=valkey_url, prefix=prefix, cloud=one.cloud) as other,
        Client(one.root, KEY) as here,
        Client(other.root, KEY) as there,
    ):
        await one.ready()
        found = await lags(here, there, "trainer", COMMITS)
    figure(line(found))
    assert at(0.99, found) < WITHIN_S
