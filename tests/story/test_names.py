"""Names are unique among the living; a key makes a request safe to send again."""

import asyncio

from tests.plane import IMAGE, PRODUCT, Service

BODY = {"name": "trainer", "productName": PRODUCT, "imageUrl": IMAGE}


async def test_a_name_belongs_to_one_living_instance(service: Service) -> None:
    first = await service.create()
    second = await service.post("/instances", BODY)
    assert (second.status, second.code) == (409, "INSTANCE_ALREADY_EXISTS")
    assert second.json["error"]["details"]["instanceId"] == first["instanceId"]


async def test_a_name_is_free_again_once_its_instance_is_gone(service: Service) -> None:
    first = await service.ready()
    await service.gone()
    second = await service.ready()
    assert second["id"] != first["id"]
    assert (await service.instance())["id"] == second["id"]


async def test_of_many_requests_for_one_name_at_once_one_is_accepted(service: Service) -> None:
    answers = await asyncio.gather(*(service.post("/instances", BODY) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    await service.until("ready")
    assert service.audit()["everCreated"] == 1


async def test_the_same_request_with_its_key_gets_the_first_answer_again(service: Service) -> None:
    first = await service.post("/instances", BODY, Idempotency_Key="k-1")
    await service.until("ready")
    again = await service.post("/instances", BODY, Idempotency_Key="k-1")
    assert (again.status, again.body) == (201, first.body)
    other = await service.post("/instances", {**BODY, "gpuNum": 2}, Idempotency_Key="k-1")
    assert (other.status, other.code) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert service.audit()["everCreated"] == 1


async def test_one_key_at_the_same_moment_makes_one_instance(service: Service) -> None:
    answers = await asyncio.gather(*(service.post("/instances", BODY, Idempotency_Key="k-1") for _ in range(20)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json["instanceId"] for answer in answers if answer.status == 201}) == 1
    assert {answer.code for answer in answers if answer.status == 409} <= {"IDEMPOTENCY_IN_PROGRESS"}
    await service.until("ready")
    assert service.audit()["everCreated"] == 1
