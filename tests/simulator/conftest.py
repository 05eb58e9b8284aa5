import pytest
from caller import Caller


@pytest.fixture
def cloud() -> Caller:
    """A simulated cloud with the delays of the demo, its clock turned by hand."""
    return Caller()
