"""What changes something is sent once at most, and its answer says what is known of the effect."""

import msgspec
import pytest
from canned import KEY, HandClock, Reply, empty, novita, ok, order, page, refused

from novita_gpu.cloud.base import (
    MUTATION_TIMEOUT,
    Ambiguous,
    CloudError,
    NotFound,
    OutOfCapacity,
    OutOfMoney,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    Withdrawn,
    WrongState,
)
from novita_gpu.cloud.transport import NoAnswer, NotSent, Response
from novita_gpu.domain.instance import CloudId

M = CloudId("m1")


async def test_a_create_as_it_is_sent() -> None:
    cloud, transport = novita([ok({"id": "00aa11bb22cc33dd"})])
    assert await cloud.create(order(), send_by=2000) == "00aa11bb22cc33dd"
    (request,) = transport.requests
    assert (request.method, request.once) == ("POST", True)
    assert request.url == "https://api.novita.ai/gpu-instance/openapi/v1/gpu/instance/create"
    assert msgspec.json.decode(request.body or b"")["gpuNum"] == 2
    headers = dict(request.headers)
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "novita-gpu-api"
    assert transport.deadlines == [MUTATION_TIMEOUT.total_seconds()]


@pytest.mark.parametrize("field", ["id", "Id", "instanceId"])
async def test_the_id_under_each_of_its_names(field: str) -> None:
    assert await novita([ok({field: "abc123"})])[0].create(order(), send_by=2000) == "abc123"


@pytest.mark.parametrize(
    "answer",
    [
        empty(),
        empty(204),
        page(),
        ok({}),
        ok({"id": ""}),
        ok({"id": None}),
        ok({"id": "0"}),
        ok({"id": "no id, an <error>"}),
        ok({"error": "x", "message": "y"}),
        ok([]),
        ok("abc"),
        Response(status=200, oversized=True),
    ],
)
async def test_a_create_that_names_no_machine_is_ambiguous(answer: Response) -> None:
    with pytest.raises(Ambiguous):
        await novita([answer])[0].create(order(), send_by=2000)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(400, "INSUFFICIENT_RESOURCE"), OutOfCapacity),
        (refused(400, "CLUSTER_STATUS"), OutOfCapacity),
        (refused(400, "NODE_STATUS"), OutOfCapacity),
        (refused(400, "BALANCE_NOT_ENOUGH"), OutOfMoney),
        (refused(400, "CREATE_INSTANCE_LIMIT"), OutOfMoney),
        (refused(429, "CREATE_GPU_NUM_LIMIT"), OutOfMoney),
        (refused(429, "RATE_LIMIT_EXCEEDED"), Throttled),
        (refused(400, "VALIDATOR_PARAM"), Rejected),
        (refused(400, "RESOURCE_NOT_FOUND"), Withdrawn),
        (refused(400, "CONFLICT"), Rejected),
        (refused(404), Rejected),
        (page(404), Rejected),
        (page(301), Rejected),
        (refused(401), Unauthorized),
        (page(403), Unreachable),
        (refused(500, "UNKNOWN"), Ambiguous),
        (refused(500, "INSUFFICIENT_RESOURCE"), Ambiguous),
        (page(502), Ambiguous),
        (NotSent("refused"), Unreachable),
        (NoAnswer("cut"), Ambiguous),
    ],
)
async def test_what_a_failed_create_means(answer: Reply, kind: type[CloudError]) -> None:
    cloud, transport = novita([answer])
    with pytest.raises(CloudError) as caught:
        await cloud.create(order(), send_by=2000)
    assert type(caught.value) is kind
    assert len(transport.requests) == 1


async def test_past_its_time_a_create_is_not_sent() -> None:
    cloud, transport = novita([ok({"id": "abc"})])
    with pytest.raises(Unreachable) as caught:
        await cloud.create(order(), send_by=999)
    assert caught.value.reason == "TOO_LATE"
    assert transport.requests == []


@pytest.mark.parametrize("wall_only", [False, True])
async def test_a_create_that_was_held_up_on_its_way_is_not_sent(wall_only: bool) -> None:
    """By the wall alone too: the monotonic clock stands still while a laptop sleeps."""
    clock = HandClock()
    cloud, transport = novita([ok({"id": "abc"})], clock)
    send = transport.send

    async def late(request: object, deadline_seconds: float) -> Response:
        seconds = clock.seconds
        clock.turn(60)
        clock.seconds = seconds if wall_only else clock.seconds
        return await send(request, deadline_seconds)  # pyright: ignore[reportArgumentType]

    transport.send = late
    with pytest.raises(Unreachable) as caught:
        await cloud.create(order(), send_by=clock.seconds + 5)
    assert caught.value.reason == "TOO_LATE"
    assert transport.requests == []


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "migrate", "delete"])
@pytest.mark.parametrize("answer", [empty(), empty(204), ok({}), ok({"instanceId": "m1", "state": "toStop"}), ok("x")])
async def test_any_2xx_answer_to_an_action_will_do(verb: str, answer: Response) -> None:
    cloud, transport = novita([answer])
    await getattr(cloud, verb)(M)
    (request,) = transport.requests
    assert request.url.endswith(f"/gpu-instance/openapi/v1/gpu/instance/{verb}")
    assert request.body == b'{"instanceId":"m1"}'


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "migrate", "delete"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (page(), Ambiguous),
        (page(502), Ambiguous),
        (refused(503), Ambiguous),
        (NoAnswer("cut"), Ambiguous),
        (NotSent("refused"), Unreachable),
        (refused(400, "RESOURCE_NOT_FOUND"), NotFound),
        (refused(404, "RESOURCE_NOT_FOUND"), NotFound),
        (refused(404), Rejected),
        (refused(404, "API_NOT_FOUND"), Rejected),
        (refused(400, "", "invalid state change"), WrongState),
        (refused(400, "MIGRATE_INSUFFICIENT_RESOURCE"), OutOfCapacity),
        (refused(400, "PREPAID_INSTANCE_NOT_SUPPORT_RELEASE"), Rejected),
    ],
)
async def test_what_a_failed_action_means(verb: str, answer: Reply, kind: type[CloudError]) -> None:
    cloud, transport = novita([answer])
    with pytest.raises(CloudError) as caught:
        await getattr(cloud, verb)(M)
    assert type(caught.value) is kind
    assert len(transport.requests) == 1


async def test_saving_an_image() -> None:
    cloud, transport = novita([ok({"jobId": "j1"})])
    assert await cloud.save_image(M, "registry/x:1", "auth") == "j1"
    assert msgspec.json.decode(transport.requests[0].body or b"") == {
        "instanceId": "m1",
        "image": "registry/x:1",
        "registryAuthId": "auth",
    }
    with pytest.raises(Ambiguous):
        await novita([ok({})])[0].save_image(M, "registry/x:1")
