import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from novita_gpu.store.local import find_server
from tests.valkey import running_server


@pytest.fixture(scope="session", params=["valkey", pytest.param("redis", marks=pytest.mark.needs_redis_server)])
def valkey_url(request: pytest.FixtureRequest) -> Generator[str]:
    """The address of each kind of server in turn: the wheel's Valkey, and a redis-server where there is one."""
    found = find_server() if request.param == "valkey" else shutil.which("redis-server")
    if not found:
        pytest.skip("no redis-server on the PATH")
    with running_server(Path(found)) as url:
        yield url
