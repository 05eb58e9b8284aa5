"""Where the logs of a process go, by its settings."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from novita_gpu import observe
from novita_gpu.settings import Settings


@asynccontextmanager
async def observed(settings: Settings) -> AsyncGenerator[None]:
    observe.configure(form=observe.form_of(settings.log_format, sys.stderr), level=settings.log_level)
    yield
