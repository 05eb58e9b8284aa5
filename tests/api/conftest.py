import socket
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from novita_gpu.store.local import find_server
from tests.api.served import Served, served


@pytest.fixture(scope="session")
def valkey() -> Generator[str]:
    """The address of a server for this session, in memory only."""
    with TemporaryDirectory(prefix="ngpu") as folder:
        path = Path(folder) / "s"
        settings = ("--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", "", "--appendonly", "no")
        with subprocess.Popen([find_server(), *settings], stdout=subprocess.DEVNULL) as server:
            try:
                _wait_for(path)
                yield f"unix://{path}"
            finally:
                server.kill()


def _wait_for(path: Path) -> None:
    """Returns once the server listens; the test's time-out is the deadline."""
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)):
            pass


@pytest.fixture
async def api(valkey: str) -> AsyncGenerator[Served]:
    async with served(valkey) as it:
        yield it
