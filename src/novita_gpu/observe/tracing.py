"""Spans: request, pass, call to the cloud. They go nowhere until `begin` was called.

The work engine speaks OpenTelemetry's interface itself: it makes a span of each task, linked to that of the ring that
it answers, so a trace leads from a request to the pass that it rang for. Ours bear the correlation id, by which all
that one wish has caused is found.
"""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from novita_gpu.observe.ids import correlation

_tracer = trace.get_tracer("novita_gpu")

FLUSH_WITHIN = timedelta(seconds=5)
SERVICE = "novita-gpu-api"


class Missing(ImportError):
    """The packages that send spans are not installed."""


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, within: Mapping[str, str] | None = None, **attributes: str
) -> Generator[Span]:
    """A span of what is done inside, with its ids; `within` are a caller's headers, which may name a trace of theirs.

    An error that leaves it is noted by its kind: its text may hold what must not be told.
    """
    context = extract(within) if within is not None else None
    with _tracer.start_as_current_span(
        name, context=context, kind=kind, record_exception=False, set_status_on_exception=False
    ) as begun:
        if begun.is_recording():
            attributes["correlation_id"] = correlation()
            begun.set_attributes({f"novita_gpu.{key}": value for key, value in attributes.items() if value})
        try:
            yield begun
        except Exception as error:
            begun.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def begin(endpoint: str, version: str) -> Callable[[], None]:
    """From here on spans go to this OTLP/HTTP endpoint, sent by a thread of the SDK's; answers what ends that.

    Raises `Missing`. What else OpenTelemetry reads of the environment holds: headers, service name, sampler.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise Missing(str(error)) from error
    known = Resource.create({"service.version": version})
    if str(known.attributes["service.name"]).startswith("unknown_service"):
        known = known.merge(Resource({"service.name": SERVICE}))
    provider = TracerProvider(resource=known, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)

    def end() -> None:
        """What waits is sent first. In a thread: the SDK's own bound is half a minute."""
        last = threading.Thread(target=provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_WITHIN.total_seconds())

    return end
