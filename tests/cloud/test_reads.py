"""Reads: where they go, what they make of answers, and one budget of tries for each."""

from datetime import timedelta

import pytest
from canned import NOON, HandClock, Reply, machine, novita, ok, page, refused

from novita_gpu.cloud.base import (
    Cluster,
    NotFound,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    Unreadable,
)
from novita_gpu.cloud.calls import READ_TRIES
from novita_gpu.cloud.transport import NoAnswer, NotSent, Response
from novita_gpu.domain.instance import CloudId
from novita_gpu.domain.spec import BillingMode

M = CloudId("m1")


@pytest.mark.parametrize("answer", [machine(1), {"instance": machine(1)}, {"instance": [machine(1)]}])
async def test_one_machine_bare_or_wrapped(answer: object) -> None:
    cloud, transport = novita([ok(answer)])
    assert (await cloud.get(M)).row.id == "m1"
    assert transport.requests[0].query == (("instanceId", "m1"),)


@pytest.mark.parametrize(
    "answer", [{}, {"instance": {}}, {"instance": None}, {"code": 401, "message": "x"}, machine(2)]
)
async def test_an_answer_about_no_machine_or_another_is_no_fact(answer: object) -> None:
    with pytest.raises(Unreadable):
        await novita([ok(answer)])[0].get(M)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(400, "RESOURCE_NOT_FOUND"), NotFound),
        (refused(404, "RESOURCE_NOT_FOUND"), NotFound),
        (refused(404), Unreadable),
        (page(404), Unreadable),
        (refused(404, "API_NOT_FOUND"), Unreadable),
        (refused(400, "VALIDATOR_PARAM"), Rejected),
        (page(), Unreadable),
        (Response(status=200), Unreadable),
        (page(301), Unreadable),
        (refused(403, "INVALID_API_KEY"), Unauthorized),
    ],
)
async def test_an_answer_is_not_asked_for_again(answer: Reply, kind: type[Exception]) -> None:
    cloud, transport = novita([answer])
    with pytest.raises(kind):
        await cloud.get(M)
    assert len(transport.requests) == 1


@pytest.mark.parametrize("failure", [refused(500), page(502), NoAnswer("cut"), NotSent("dns"), refused(429)])
async def test_a_read_is_tried_again(failure: Reply) -> None:
    clock = HandClock()
    cloud, transport = novita([failure, failure, ok(machine(1))], clock)
    assert (await cloud.get(M)).row.id == "m1"
    assert len(transport.requests) == 3
    assert 0.2 <= clock.slept[0] <= 0.4
    assert 0.4 <= clock.slept[1] <= 0.8


@pytest.mark.parametrize(
    ("failure", "kind"), [(refused(500), Unreachable), (NoAnswer("cut"), Unreachable), (refused(429), Throttled)]
)
async def test_tries_are_few(failure: Reply, kind: type[Exception]) -> None:
    cloud, transport = novita([failure])
    with pytest.raises(kind):
        await cloud.get(M)
    assert len(transport.requests) == READ_TRIES


async def test_retry_after_is_heeded_within_the_deadline() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(429, headers={"retry-after": "5"}), ok(machine(1))], clock)
    await cloud.get(M)
    assert clock.slept[0] >= 5
    assert transport.deadlines[1] <= 10


async def test_retry_after_beyond_the_deadline_is_handed_on() -> None:
    clock = HandClock()
    cloud, transport = novita([refused(429, headers={"retry-after": "40"})], clock)
    with pytest.raises(Throttled) as caught:
        await cloud.get(M)
    assert caught.value.retry_after == timedelta(seconds=40)
    assert (len(transport.requests), clock.slept) == (1, [])


async def test_slow_tries_share_one_deadline() -> None:
    clock = HandClock()

    def slow(_: object) -> Reply:
        clock.turn(7)
        return NoAnswer("time-out")

    cloud, transport = novita(slow, clock)
    with pytest.raises(Unreachable):
        await cloud.get(M)
    assert len(transport.requests) == 2
    assert transport.deadlines[0] == 15
    assert transport.deadlines[1] < 8


async def test_products_ask_for_their_billing_mode_and_no_fuzzy_name() -> None:
    cloud, transport = novita([ok({"data": [{"id": "p", "name": "n"}, {"name": "no id"}]})])
    assert [p.id for p in await cloud.products(BillingMode.SPOT, "us-ca-6")] == ["p"]
    assert transport.requests[0].query == (("billingMethod", "spot"), ("clusterId", "us-ca-6"))
    await cloud.products(BillingMode.ON_DEMAND)
    assert transport.requests[1].query == (("billingMethod", "onDemand"),)


async def test_clusters() -> None:
    answer = {"data": [{"id": "us-ca-6", "name": "US-CA-06 (California)", "supportNetworkStorage": True}, {"id": ""}]}
    assert await novita([ok(answer)])[0].clusters() == (
        Cluster(id="us-ca-6", region="US-CA-06", name="US-CA-06 (California)", network_storage=True),
    )


async def test_one_template() -> None:
    assert (await novita([ok({"template": {"Id": "7", "image": "i"}})])[0].template("7")).image_url == "i"
    with pytest.raises(Unreadable):
        await novita([ok({"template": {}})])[0].template("7")
    with pytest.raises(NotFound):
        await novita([refused(400, "", "template not found")])[0].template("7")


async def test_metrics_and_balance_live_at_the_account() -> None:
    cloud, transport = novita([ok({"availableBalance": "5"})])
    await cloud.metrics(M, NOON, NOON + timedelta(seconds=5))
    await cloud.balance()
    assert [request.url for request in transport.requests] == [
        "https://api.novita.ai/openapi/v1/metrics/gpu/instance",
        "https://api.novita.ai/openapi/v1/billing/balance/detail",
    ]
    query = dict(transport.requests[0].query)
    assert int(query["endTime"]) - int(query["startTime"]) == 60


async def test_a_balance_that_is_not_told_is_not_zero() -> None:
    with pytest.raises(Unreadable):
        await novita([ok({})])[0].balance()


async def test_close_closes_the_transport() -> None:
    cloud, transport = novita([ok({})])
    await cloud.close()
    assert transport.closed
