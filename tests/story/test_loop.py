"""No call blocks the event loop while the service serves and works: all else would wait for it (L5)."""

import time
import traceback
from collections.abc import Iterator

import blockbuster.blockbuster
import pytest
from blockbuster import BlockBuster, BlockingError

from tests.plane import KEY, Service, in_order

# Whoever stands in the stack of a call on the event loop. The simulator's remote control is the test's own, and waits.
WATCHED = ["novita_gpu", "litestar", "uvicorn", "docket", "redis", "aiohttp", "jinja2", "structlog"]
NOT_WATCHED = ["novita_gpu.cloud.simulator"]
MAY = (
    ("io.TextIOWrapper.read", "control/rates.py", "rss"),  # memory of the kernel's, no disk
    # The console, whoever caught it.
    *((f"io.{how}.write", "logging/__init__.py", "emit") for how in ("TextIOWrapper", "BufferedWriter")),
    *((f"io.{how}.write", "structlog/_output.py", "msg") for how in ("TextIOWrapper", "BufferedWriter")),
    # Once a connection, of the folders of packages.
    *((look, "redis/utils.py", "get_lib_version") for look in ("os.stat", "os.listdir", "io.TextIOWrapper.read")),
    ("os.stat", "rich/traceback.py", "_render_stack"),  # once a fault of ours, of the files it went through
)
PAGES = (
    "/ui",
    "/ui/instances",
    "/ui/create",
    "/ui/system",
    "/ui/instances/trainer",
    "/metrics",
    "/openapi.json",
    "/docs",
)
READ = (
    "/instances",
    "/instances/comprehensive",
    "/instances/trainer/explain",
    "/instances/trainer/events",
    "/instances/trainer/utilisation",
    "/products",
    "/regions",
    "/templates",
    "/costs",
    "/events",
    "/metrics",
    "/metrics/summary",
    "/cache/stats",
    "/settings",
    "/keys",
    "/webhooks/endpoints",
    "/webhooks/deliveries",
    "/instances/auto-stop/stats",
    "/instances/migration/status",
)


def caller() -> str:
    """Who of us called it, innermost."""
    ours = [frame for frame in traceback.extract_stack() if "/novita_gpu/" in frame.filename]
    return f"{ours[-1].filename.rpartition('/novita_gpu/')[2]}:{ours[-1].name}" if ours else "a library"


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What blocked the loop; told here too, since whoever calls may live with the error."""
    told: list[str] = []

    class Told(BlockingError):
        def __init__(self, func: str) -> None:
            super().__init__(func)
            told.append(f"{func} by {caller()}")

    monkeypatch.setattr(blockbuster.blockbuster, "BlockingError", Told)
    watch = BlockBuster(WATCHED, excluded_modules=NOT_WATCHED)
    for func, file, where in MAY:
        watch.functions[func].can_block_in(file, where)
    watch.activate()
    yield told
    watch.deactivate()


async def test_l5_nothing_blocks_the_loop_in_a_whole_life(service: Service, blocked: list[str]) -> None:
    await service.ready()
    for path in READ:
        assert (await service.get(path)).status == 200, path
    headers = {"Authorization": f"Bearer {KEY}"}
    for path in PAGES:
        async with service.http.get(service.root + path, headers=headers) as page:
            assert page.status in {200, 303}, path
            assert await page.read()
    await service.post("/instances/trainer/last-used")
    await service.post("/instances/sync")
    await service.post("/instances/auto-stop/trigger")
    await service.post("/instances/trainer/stop")
    await service.until("stopped")
    await service.post("/instances/trainer/start")
    await service.until("ready")
    await service.gone()
    assert in_order(await service.told(), "instance.ready", "instance.stopped", "instance.ready", "instance.deleted")
    assert blocked == []


async def test_a_call_that_blocks_is_found(
    service: Service, blocked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.plane.rates, "performance", lambda: time.sleep(0.001))
    await service.get("/health")
    assert blocked == ["time.sleep by control/health.py:_with_figures"]
