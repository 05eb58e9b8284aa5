import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from novita_gpu.store.local import find_server
from tests.valkey import running_server


@pytest.fixture(scope="session", params=["valkey", pytest.param("redis", marks=pytest.mark.needs_redis_server)])
def program(request: pytest.FixtureRequest) -> Path:
    """Each kind of server in turn: the wheel's Valkey, and a redis-server where there is one."""
    found = find_server() if request.param == "valkey" else shutil.which("redis-server")
    if not found:
        pytest.skip("no redis-server on the PATH")
    return Path(found)


@pytest.fixture(scope="session")
def valkey_url(program: Path) -> Generator[str]:
    with running_server(program) as url:
        yield url
