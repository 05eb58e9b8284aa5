"""What is logged, as a program sets logging up. A plugin of all tests."""

import logging
from collections.abc import Callable, Generator
from io import StringIO

import pytest
import structlog

from novita_gpu import observe

Told = Callable[..., StringIO]


@pytest.fixture
def told() -> Generator[Told]:
    """Sets logging up as a program does, and back again: `told(form=…, beside=…)` answers what the console gets."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def begin(*beside: logging.Handler, form: observe.Form = "json", level: str = "info") -> StringIO:
        stream = StringIO()
        observe.configure(form=form, level=level, stream=stream, beside=beside)
        return stream

    yield begin
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
