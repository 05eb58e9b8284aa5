"""One held request in place of a loop of many."""

from tests.plane import Service


async def test_it_is_held_until_the_status_is_as_wanted(service: Service) -> None:
    await service.create()
    answer = await service.get("/instances/trainer/wait?timeoutMs=30000")
    assert (answer.status, answer.json["status"]) == (200, "ready")


async def test_out_of_time_it_answers_with_the_instance_as_it_is(service: Service) -> None:
    service.cloud.control.post("stick", status="pulling", creates=1)
    await service.create()
    answer = await service.get("/instances/trainer/wait?timeoutMs=1")
    assert (answer.status, answer.code) == (408, "WAIT_TIMEOUT")
    assert answer.json["error"]["details"]["instance"]["status"] == "creating"


async def test_a_failure_ends_the_wait(service: Service) -> None:
    service.fault("insufficient", "create", times=0)
    await service.create()
    answer = await service.get("/instances/trainer/wait?for=ready&timeoutMs=30000")
    assert (answer.status, answer.json["status"]) == (200, "failed")


async def test_after_a_sequence_only_what_comes_later_counts(service: Service) -> None:
    first = await service.ready()
    early = await service.get(f"/instances/trainer/wait?after={first['sequence']}&timeoutMs=1")
    assert early.status == 408
    await service.post("/instances/trainer/restart")
    second = await service.until("ready", after=first["sequence"])
    assert second["sequence"] > first["sequence"]
