from collections.abc import Generator

import pytest

from tests.prove.rig import Rig
from tests.prove.rig import rig as opened


@pytest.fixture(scope="module")
def rig() -> Generator[Rig]:
    with opened() as it:
        yield it
