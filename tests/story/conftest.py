from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.plane import Service, serving
from tests.webhooks.receiver import Receiver, listening


@pytest.fixture
async def service(valkey_url: str, prefix: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service of this test's own. Whatever a test does, the cloud is only sent what it documents."""
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix) as it:
        yield it
        assert [call for call in it.calls() if call["unknown"] or call["malformed"]] == []


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    """Takes webhooks, and checks each with the `standardwebhooks` library."""
    async with listening(Receiver()) as it:
        yield it
