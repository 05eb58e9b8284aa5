"""One browser and one service for all tests of a module."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.plane import KEY, Service, serving
from tests.ui.dashboard import Seat, browsing, seated
from tests.valkey import new_prefix
from tests.webhooks.receiver import Receiver, listening


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with browsing() as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncGenerator[Receiver]:
    async with listening(Receiver()) as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    async with serving(tmp_path_factory.mktemp("data"), redis_url=valkey_url, prefix=new_prefix()) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def seat(browser: Browser, service: Service) -> AsyncGenerator[Seat]:
    async with seated(browser, service.root, KEY) as it:
        yield it
