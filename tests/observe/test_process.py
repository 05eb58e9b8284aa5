"""A whole process: where its lines and traces go, what it loads for that, and that it ends in time."""

import json
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from novita_gpu.cloud.simulator import SimulatorSettings, running
from tests.cli.process import Ended, begin, ended, type_in
from tests.observe.axiom import DATASET, TOKEN, FakeAxiom, ingesting
from tests.observe.collector import Collector, collecting, told
from tests.plane import KEY, QUICK_TIMING

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = {
    "Authorization": f"Bearer {KEY}",
    "X-Correlation-ID": "job-7",
    "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
}
LEAST = {"name": "trainer", "productName": "RTX 4090 24GB", "imageUrl": "docker.io/library/ubuntu:22.04"}


@asynccontextmanager
async def served(folder: Path, **variables: str) -> AsyncGenerator[list[Ended]]:
    """A process in which an instance has become ready; how it ended is there once the block is over."""
    async with running(SimulatorSettings(timing=QUICK_TIMING)) as cloud:
        process = await begin(
            folder,
            *("serve", "--port", "0"),
            NOVITA_API_KEY="sim-key",
            NOVITA_API_BASE_URL=cloud.root,
            ADMIN_API_KEY=KEY,
            POLL_MOVING_SECONDS="0.1",
            **variables,
        )
        assert process.stderr
        first = b""
        while b"serving" not in first:
            first = await process.stderr.readline()
        root = json.loads(first)["url"]
        async with aiohttp.ClientSession(root, headers=CALLER) as http:
            async with http.post("/api/instances", json=LEAST) as made:
                assert made.status == 201
            async with http.get("/api/instances/trainer/wait?for=ready&timeoutMs=30000") as ready:
                assert ready.status == 200
        after: list[Ended] = []
        yield after
        process.send_signal(signal.SIGTERM)
        after.append(await ended(process))


async def test_lines_and_traces_of_a_process(tmp_path: Path) -> None:
    with ingesting() as axiom, collecting() as collector:
        away = {"AXIOM_TOKEN": TOKEN, "AXIOM_DATASET": DATASET, "AXIOM_URL": axiom.url}
        async with served(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **away) as after:
            pass
    assert after[0].code == 0, after[0].err
    assert_lines(after[0].err, axiom)
    assert_spans(collector)


def assert_lines(console: str, axiom: FakeAxiom) -> None:
    assert {"serving", "request", "instance.ready"} <= set(axiom.names())
    assert TOKEN not in console
    assert TOKEN not in json.dumps(axiom.lines)
    made: Any = next(line for line in axiom.lines if line["event"] == "instance.ready")
    assert (made["correlation_id"], made["category"]) == ("job-7", "business")


def assert_spans(collector: Collector) -> None:
    """The request in its caller's trace; the pass, linked to what rang for it there; the call to the cloud inside."""
    assert collector.services == {"novita-gpu-api"}
    (request,) = collector.named("POST /api/instances")
    assert (request.trace_id.hex(), told(request, "correlation_id")) == (TRACE, "job-7")
    (create,) = collector.named("cloud create")
    its_pass, task = list(collector.parents(create))[:2]
    assert (its_pass.name, told(its_pass, "correlation_id")) == ("pass", "job-7")
    assert told(its_pass, "instance_id").startswith("ins_")
    assert task.name == "reconcile"
    assert TRACE in {link.trace_id.hex() for each in collector.named("reconcile") for link in each.links}


async def test_a_stop_does_not_wait_for_receivers_in_trouble(tmp_path: Path) -> None:
    axiom = FakeAxiom()
    axiom.hangs.set()
    with ingesting(axiom):
        away = {"AXIOM_TOKEN": TOKEN, "AXIOM_DATASET": DATASET, "AXIOM_URL": axiom.url}
        async with served(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", **away) as after:
            began = time.monotonic()
    assert after[0].code == 0, after[0].err
    assert "axiom.dropped" in after[0].err
    assert time.monotonic() - began < 25, "five seconds for each, and the end of a process without them"


async def test_what_sends_lines_and_traces_is_not_loaded_unless_it_is_wanted() -> None:
    """The metrics half of OpenTelemetry's SDK is loaded by redis-py wherever it is installed."""
    import asyncio

    look = "import novita_gpu.programs, sys; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", look, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    loaded = set(out.decode().split())
    assert "novita_gpu.observe.tracing" in loaded
    unwanted = ("axiom_py", "requests", "opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf")
    assert [name for name in unwanted if name in loaded] == []


async def test_a_token_without_a_data_set_is_a_wrong_setting(tmp_path: Path) -> None:
    refused = await type_in(tmp_path, "serve", "--json", NOVITA_API_KEY="sim-key", AXIOM_TOKEN=TOKEN)
    assert refused.code == 2
    assert "AXIOM_DATASET" in refused.err
    assert TOKEN not in refused.err
