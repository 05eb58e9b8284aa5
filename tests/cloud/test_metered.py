"""Calls counted by operation and meaning, with nothing else changed."""

import asyncio

import pytest
from canned import KEY, NOON, HandClock, Reply, machine, novita, ok, refused

from novita_gpu.cloud.base import Lane, Throttled, Unreachable
from novita_gpu.cloud.metered import OK, UNFINISHED, Metered
from novita_gpu.cloud.novita import Novita
from novita_gpu.cloud.transport import NoAnswer, Request, Response
from novita_gpu.domain.instance import CloudId

M = CloudId("m1")


async def test_calls_are_counted_by_meaning_and_timed() -> None:
    clock = HandClock()

    def answer(request: Request) -> Reply:
        clock.turn(2)
        return ok(machine(1)) if request.method == "GET" else refused(400, "", "invalid state change")

    cloud = Metered(novita(answer, clock)[0], now=clock.now, monotonic=clock.monotonic)
    await cloud.get(M)
    with pytest.raises(Exception, match="invalid state"):
        await cloud.stop(M)
    assert cloud.meters.calls == {("get", OK): 1, ("stop", "WrongState"): 1}
    assert cloud.meters.seconds == {"get": 2, "stop": 2}
    assert (cloud.meters.total(), cloud.meters.total("WrongState")) == (2, 1)
    assert cloud.meters.last_error == "WrongState: invalid state change"
    assert cloud.meters.last_answer_at == clock.now()


async def test_no_answer_does_not_count_as_one() -> None:
    cloud = Metered(novita([NoAnswer("cut")])[0])
    with pytest.raises(Unreachable):
        await cloud.clusters()
    assert cloud.meters.last_answer_at is None
    assert cloud.meters.last_error_at is not None


class Hanging:
    """A transport that never answers."""

    async def send(self, request: Request, deadline_seconds: float) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def close(self) -> None: ...


async def test_a_cancelled_call_is_counted_as_unfinished() -> None:
    cloud = Metered(Novita(KEY, transport=Hanging()))
    task = asyncio.create_task(cloud.get(M))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert cloud.meters.calls == {("get", UNFINISHED): 1}


async def test_a_permit_is_handed_through_and_its_refusal_counted() -> None:
    cloud = Metered(novita([ok({"data": []})], calls_per_minute=10)[0])
    for _ in range(9):
        async with cloud.permit(Lane.LOOKING):
            await cloud.clusters()
    with pytest.raises(Throttled):
        async with cloud.permit(Lane.LOOKING):
            raise AssertionError("not to be entered")
    assert cloud.meters.calls == {("clusters", OK): 9, ("permit.looking", "Throttled"): 1}


async def test_an_error_inside_a_permit_is_not_counted_as_its_refusal() -> None:
    cloud = Metered(novita([refused(400)])[0])
    with pytest.raises(Throttled):
        async with cloud.permit(Lane.SAVING):
            raise Throttled("of somebody else")
    assert cloud.meters.calls == {}
    async with cloud.permit(Lane.SAVING):
        pass


async def test_every_call_is_passed_on_with_its_arguments() -> None:
    answers: dict[str, object] = {"data": [], "jobs": [], "template": [], "total": 0, "availableBalance": "1"}
    inner, transport = novita([ok(answers)])
    cloud = Metered(inner)
    await cloud.jobs(type="saveImage", since=NOON)
    await cloud.templates()
    await cloud.registry_auths()
    await cloud.balance()
    await cloud.metrics(M, NOON, NOON)
    await cloud.close()
    assert dict(transport.requests[0].query)["type"] == "saveImage"
    assert transport.closed
