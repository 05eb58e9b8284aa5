"""Where the logs and traces of a process go, by its settings."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from novita_gpu import observe
from novita_gpu.observe import tracing
from novita_gpu.settings import Settings, WrongSettings


@asynccontextmanager
async def observed(settings: Settings, version: str) -> AsyncGenerator[None]:
    """What still waits when the context ends is sent, within bounds. Raises `WrongSettings`."""
    end_traces = _traced(settings, version)
    beside = _axiom(settings)
    form = observe.form_of(settings.log_format, sys.stderr)
    observe.configure(form=form, level=settings.log_level, beside=beside)
    try:
        yield
    finally:
        for sink in beside:
            logging.getLogger().removeHandler(sink)
            await asyncio.to_thread(sink.close)
        await asyncio.to_thread(end_traces)


def _axiom(settings: Settings) -> list[logging.Handler]:
    """Loaded only where it is wanted: its client brings libraries that nothing else needs."""
    if settings.axiom_token is None or settings.axiom_dataset is None:
        return []
    from novita_gpu.observe.axiom import Axiom

    return [Axiom(settings.axiom_token.get_secret_value(), settings.axiom_dataset, settings.axiom_url)]


def _traced(settings: Settings, version: str) -> Callable[[], None]:
    """What ends it."""
    if settings.otel_exporter_otlp_endpoint is None:
        return lambda: None
    try:
        return tracing.begin(settings.otel_exporter_otlp_endpoint, version)
    except tracing.Missing:
        what = "traces need further packages: pip install 'novita-gpu-api[otlp]'"
        raise WrongSettings([("OTEL_EXPORTER_OTLP_ENDPOINT", what)]) from None
