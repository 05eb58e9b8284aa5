"""The circuit opens when the cloud does not answer, and for nothing else; then it lets a few probes through."""

import asyncio
from datetime import timedelta

import pytest
from canned import KEY, HandClock, Reply, empty, novita, ok, order, page, refused

from novita_gpu.cloud.base import CloudError, Lane, Unreachable
from novita_gpu.cloud.circuit import OPEN_SECONDS, PROBES
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, NotSent, Request, Response
from novita_gpu.domain.instance import CloudId

M = CloudId("m1")


async def stops(cloud: Novita, count: int) -> None:
    for _ in range(count):
        with pytest.raises(CloudError):
            await cloud.stop(M)


@pytest.mark.parametrize("failure", [refused(500), page(502), refused(503), NoAnswer("cut"), NotSent("dns")])
async def test_no_answers_open_it(failure: Reply) -> None:
    clock = HandClock()
    cloud, transport = novita([failure], clock)
    await stops(cloud, 6)
    assert cloud.circuit == "open"
    assert cloud.retry_after == timedelta(seconds=OPEN_SECONDS)
    with pytest.raises(Unreachable) as caught:
        async with cloud.permit(Lane.SAVING):
            raise AssertionError("not to be entered")
    assert caught.value.retry_after == timedelta(seconds=OPEN_SECONDS)
    with pytest.raises(Unreachable) as caught:
        await cloud.listing()
    assert caught.value.reason == "CIRCUIT_OPEN"
    assert len(transport.requests) == 6
    assert clock.slept == []


@pytest.mark.parametrize(
    "answer",
    [
        refused(400, "RESOURCE_NOT_FOUND"),
        refused(404),
        refused(401),
        refused(403),
        page(403),
        refused(400, "INSUFFICIENT_RESOURCE"),
        refused(400, "", "invalid state change"),
        refused(429),
        page(200),
    ],
)
async def test_refusals_never_open_it(answer: Reply) -> None:
    cloud, transport = novita([answer])
    await stops(cloud, 200)
    assert (cloud.circuit, cloud.retry_after, len(transport.requests)) == ("closed", None, 200)


async def test_a_create_that_comes_too_late_does_not_open_it() -> None:
    cloud, _ = novita([ok({"id": "a"})])
    for _ in range(50):
        with pytest.raises(Unreachable):
            await cloud.create(order(), send_by=0)
    assert cloud.circuit == "closed"


async def test_one_hiccup_does_not_open_it() -> None:
    cloud, _ = novita([refused(500), refused(500), refused(500), empty()])
    await stops(cloud, 3)
    await cloud.stop(M)
    assert cloud.circuit == "closed"


async def test_it_closes_again_after_probes_that_are_answered() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(500)] * 6 + [empty()], clock)
    await stops(cloud, 6)
    clock.turn(OPEN_SECONDS)
    assert (cloud.circuit, cloud.retry_after) == ("half-open", None)
    for _ in range(PROBES):
        async with cloud.permit(Lane.SAVING):
            await cloud.stop(M)
    assert cloud.circuit == "closed"
    assert len(transport.requests) == 6 + PROBES


async def test_it_opens_again_after_probes_that_are_not() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(500)], clock)
    await stops(cloud, 6)
    clock.turn(OPEN_SECONDS)
    await stops(cloud, PROBES)
    assert cloud.circuit == "open"
    await stops(cloud, 5)
    assert len(transport.requests) == 6 + PROBES


class Slow:
    """Fails at once until `healed`, then waits for `open`."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.healed = False
        self.calls = 0

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        self.calls += 1
        if not self.healed:
            raise NoAnswer("cut")
        await self.open.wait()
        return empty()

    async def close(self) -> None: ...


async def test_probes_are_few_at_once() -> None:
    clock, slow = HandClock(), Slow()
    cloud = Novita(KEY, transport=slow, monotonic=clock.monotonic, now=clock.now, calls_per_minute=0)
    await stops(cloud, 6)
    clock.turn(OPEN_SECONDS)
    slow.healed = True
    probes = [asyncio.create_task(cloud.stop(M)) for _ in range(8)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert slow.calls == 6 + PROBES
    slow.open.set()
    answers = await asyncio.gather(*probes, return_exceptions=True)
    assert sum(answer is None for answer in answers) == PROBES
    assert {type(answer) for answer in answers if answer is not None} == {Unreachable}
    assert cloud.circuit == "closed"


async def test_a_cancelled_probe_gives_its_chance_back() -> None:
    clock, slow = HandClock(), Slow()
    cloud = Novita(KEY, transport=slow, monotonic=clock.monotonic, now=clock.now, calls_per_minute=0)
    await stops(cloud, 6)
    clock.turn(OPEN_SECONDS)
    slow.healed = True
    for _ in range(10):
        probe = asyncio.create_task(cloud.stop(M))
        for _ in range(5):
            await asyncio.sleep(0)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
    slow.open.set()
    for _ in range(PROBES):
        await cloud.stop(M)
    assert cloud.circuit == "closed"
