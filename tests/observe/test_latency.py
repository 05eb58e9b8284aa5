"""Whatever Axiom does, requests take as long as without it."""

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from statistics import median

import pytest

from novita_gpu.observe.axiom import Axiom
from tests.observe.axiom import DATASET, TOKEN, FakeAxiom, ingesting
from tests.plane import Service, serving
from tests.told import Told

ROUNDS, REQUESTS = 5, 60
NOWHERE = "http://127.0.0.1:1"
# Far above what two formattings of a line cost, far below one wait for a server.
AT_MOST = 1.8


@pytest.fixture
def sinks() -> Generator[dict[str, Axiom | None]]:
    """One of each kind of trouble, and none."""
    slow, refusing = FakeAxiom(), FakeAxiom([503, 429] * 10_000)
    slow.hangs.set()
    with ExitStack() as stack:
        urls = {
            "takes all": stack.enter_context(ingesting()).url,
            "hangs": stack.enter_context(ingesting(slow)).url,
            "refuses": stack.enter_context(ingesting(refusing)).url,
            "is gone": NOWHERE,
        }
        made = {kind: Axiom(TOKEN, DATASET, url, flush_within=timedelta(0)) for kind, url in urls.items()}
        for sink in made.values():
            stack.enter_context(closing(sink))
        yield {"none": None, **made}


async def test_requests_take_as_long_whatever_axiom_does(
    told: Told, sinks: dict[str, Axiom | None], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Taken in turns, so that a busy machine is as busy for each."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    async with serving(tmp_path) as service:
        await service.ready()
        for _ in range(ROUNDS):
            for kind, sink in sinks.items():
                told(*(sink,) if sink else ())
                took[kind] += [await one(service) for _ in range(REQUESTS)]
    typical = {kind: median(times) * 1000 for kind, times in took.items()}
    ratios = {kind: ms / typical["none"] for kind, ms in typical.items()}
    figure(
        "median of a request while Axiom … "
        + ", ".join(f"{k} {typical[k]:.2f} ms (x{r:.2f})" for k, r in ratios.items())
    )
    assert max(ratios.values()) < AT_MOST, ratios
    for kind in ("hangs", "refuses", "is gone"):
        sink = sinks[kind]
        assert sink
        assert sink.shipped.sent == 0
        assert sink.shipped.waiting + sink.shipped.dropped >= ROUNDS * REQUESTS


async def one(service: Service) -> float:
    began = time.perf_counter()
    assert (await service.get("/instances/trainer")).status == 200
    return time.perf_counter() - began
