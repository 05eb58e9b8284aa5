"""A circuit for each kind of call opens when the cloud does not answer, and for nothing else; then one probe at a time
is let through, at growing distances.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from canned import KEY, Canned, HandClock, Reply, empty, novita, ok, order, page, refused

from novita_gpu.cloud.base import CloudError, Lane, Unreachable
from novita_gpu.cloud.circuit import BUSY, FEWEST_CALLS, PAUSES, PROBES, UNASKED_SECONDS
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, NotSent, Request, Response
from novita_gpu.domain.instance import CloudId

M = CloudId("m1")
FIRST = PAUSES[Lane.SAVING].first_s


async def stops(cloud: Novita, count: int) -> None:
    for _ in range(count):
        with pytest.raises(CloudError):
            await cloud.stop(M)


@pytest.mark.parametrize("failure", [refused(500), page(502), refused(503), NoAnswer("cut"), NotSent("dns")])
async def test_no_answers_open_it(failure: Reply) -> None:
    clock = HandClock()
    cloud, transport = novita([failure], clock)
    await stops(cloud, FEWEST_CALLS)
    assert cloud.circuit == "open"
    assert cloud.retry_after == timedelta(seconds=FIRST)
    with pytest.raises(Unreachable) as caught:
        async with cloud.permit(Lane.SAVING):
            raise AssertionError("not to be entered")
    assert caught.value.retry_after == timedelta(seconds=FIRST)
    with pytest.raises(Unreachable) as caught:
        await cloud.delete(M)
    assert caught.value.reason == "CIRCUIT_OPEN"
    assert len(transport.requests) == FEWEST_CALLS
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


async def test_many_answers_before_an_outage_do_not_put_it_off() -> None:
    cloud, transport = novita([empty()] * 500 + [refused(503)])
    for _ in range(500):
        await cloud.stop(M)
    await stops(cloud, 50)
    assert len(transport.requests) == 500 + FEWEST_CALLS


async def test_one_hiccup_does_not_open_it() -> None:
    cloud, _ = novita([refused(500), refused(500), refused(500), empty()])
    await stops(cloud, 3)
    await cloud.stop(M)
    assert cloud.circuit == "closed"


async def test_it_closes_again_after_probes_that_are_answered() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(500)] * FEWEST_CALLS + [empty()], clock)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(FIRST)
    assert (cloud.circuit, cloud.retry_after) == ("half-open", None)
    for _ in range(PROBES):
        async with cloud.permit(Lane.SAVING):
            await cloud.stop(M)
    assert cloud.circuit == "closed"
    assert len(transport.requests) == FEWEST_CALLS + PROBES


async def test_it_opens_again_after_probes_that_are_not() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(500)], clock)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(FIRST)
    await stops(cloud, PROBES)
    assert cloud.circuit == "open"
    await stops(cloud, 5)
    assert len(transport.requests) == FEWEST_CALLS + PROBES


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


def requests(transport: Canned, end: str) -> int:
    return sum(request.url.endswith(end) for request in transport.requests)


def failing(*ends: str) -> Callable[[Request], Reply]:
    """The cloud fails calls to these paths, and answers all others."""

    def answer(request: Request) -> Reply:
        return refused(503) if request.url.endswith(ends) else ok({"id": "a", "instances": [], "total": 0})

    return answer


async def test_a_kind_of_call_that_fails_leaves_the_others_alone() -> None:
    cloud, transport = novita(failing("instances"))
    for _ in range(20):
        with pytest.raises(Unreachable):
            await cloud.listing()
    assert {one.lane: one.state for one in cloud.circuits} == {
        Lane.LOOKING: "open",
        Lane.SPENDING: "closed",
        Lane.SAVING: "closed",
    }
    before = len(transport.requests)
    for _ in range(20):
        await cloud.stop(M)
        await cloud.create(order(), send_by=2000)
    assert len(transport.requests) == before + 40


async def test_stops_have_probes_of_their_own_whatever_creates_and_reads_do() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(503)], clock)
    await stops(cloud, FEWEST_CALLS)
    for _ in range(6):
        with pytest.raises(CloudError):
            await cloud.create(order(), send_by=10_000)
        with pytest.raises(CloudError):
            await cloud.listing()
    clock.turn(FIRST)
    for _ in range(30):
        with pytest.raises(CloudError):
            await cloud.create(order(), send_by=10_000)
    stopped = requests(transport, "stop")
    await stops(cloud, 5)
    assert requests(transport, "stop") == stopped + PROBES


async def test_pauses_grow_and_a_probe_that_is_answered_closes_all() -> None:
    clock, healed = HandClock(), False

    def answer(request: Request) -> Reply:
        return ok({"instances": [], "total": 0}) if healed else refused(503)

    cloud, _ = novita(answer, clock)
    await stops(cloud, FEWEST_CALLS)
    pauses: list[float] = []
    for _ in range(5):
        pause = cloud.retry_after
        assert pause
        pauses.append(pause.total_seconds())
        clock.turn(pause.total_seconds())
        await stops(cloud, 1)
    assert pauses == [10, 20, 40, 60, 60]
    for _ in range(2):
        with pytest.raises(CloudError):
            await cloud.listing()
    healed = True
    clock.turn(PAUSES[Lane.LOOKING].first_s)
    assert cloud.circuits[2].state == "open"
    await cloud.listing()
    assert cloud.circuit == "closed"


async def test_reads_that_are_answered_all_along_close_no_other_circuit() -> None:
    clock = HandClock()
    cloud, transport = novita(failing("create"), clock)
    for _ in range(FEWEST_CALLS):
        with pytest.raises(CloudError):
            await cloud.create(order(), send_by=10_000)
    for _ in range(20):
        await cloud.listing()
        with pytest.raises(CloudError):
            await cloud.create(order(), send_by=10_000)
    assert [one.state for one in cloud.circuits] == ["closed", "open", "closed"]
    assert requests(transport, "create") == FEWEST_CALLS


async def test_a_circuit_that_nobody_calls_through_knows_nothing_of_now_and_closes() -> None:
    clock = HandClock()
    cloud, _ = novita([refused(503)], clock)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(FIRST + UNASKED_SECONDS)
    assert cloud.circuit == "half-open"
    clock.turn(1)
    assert cloud.circuit == "closed"


async def test_who_finds_the_probe_taken_stores_no_intent_for_a_call_that_is_not_made() -> None:
    """A permit is the probe: whoever gets none is told before it has written anything."""
    clock = HandClock()
    cloud, _ = novita([refused(503)], clock)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(FIRST)
    async with cloud.permit(Lane.SAVING):
        with pytest.raises(Unreachable) as caught:
            async with cloud.permit(Lane.SAVING):
                raise AssertionError("not to be entered")
        assert caught.value.retry_after == BUSY
    async with cloud.permit(Lane.SAVING):
        pass


async def test_a_circuit_says_why_and_for_how_long_it_is_out() -> None:
    clock = HandClock()
    cloud, _ = novita([NoAnswer("no answer: time-out")], clock)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(25)
    await stops(cloud, 1)
    clock.turn(5)
    stops_, reads = cloud.circuits[2], cloud.circuits[0]
    assert (stops_.out_for, stops_.fault) == (timedelta(seconds=30), "no answer: time-out")
    assert (reads.out_for, reads.fault) == (None, "")


async def test_probes_are_few_at_once() -> None:
    clock, slow = HandClock(), Slow()
    cloud = Novita(KEY, transport=slow, monotonic=clock.monotonic, now=clock.now, calls_per_minute=0)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(FIRST)
    slow.healed = True
    probes = [asyncio.create_task(cloud.stop(M)) for _ in range(8)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert slow.calls == FEWEST_CALLS + PROBES
    slow.open.set()
    answers = await asyncio.gather(*probes, return_exceptions=True)
    assert sum(answer is None for answer in answers) == PROBES
    assert {type(answer) for answer in answers if answer is not None} == {Unreachable}
    assert cloud.circuit == "closed"


async def test_a_cancelled_probe_gives_its_chance_back() -> None:
    clock, slow = HandClock(), Slow()
    cloud = Novita(KEY, transport=slow, monotonic=clock.monotonic, now=clock.now, calls_per_minute=0)
    await stops(cloud, FEWEST_CALLS)
    clock.turn(FIRST)
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
