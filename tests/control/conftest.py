from collections.abc import AsyncGenerator

import pytest

from novita_gpu.store import Store
from tests.control.scene import Scene, scene_on


@pytest.fixture
async def scene(store: Store) -> AsyncGenerator[Scene]:
    async with scene_on(store) as it:
        yield it
