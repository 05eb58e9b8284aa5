"""You are told: each change once, signed, with what came of it."""

from pathlib import Path

from novita_gpu.domain.events import DELIVERED
from tests.plane import Service, serving
from tests.webhooks.receiver import Receiver


async def test_each_change_is_sent_once_with_a_signature_that_verifies(service: Service, receiver: Receiver) -> None:
    await service.ready(webhookUrl=receiver.url)
    await receiver.wait_for(3)
    told = sorted(receiver.bodies, key=lambda body: body["data"]["sequence"])
    assert [body["type"] for body in told] == ["instance.creating", "instance.running", "instance.ready"]
    assert [body["data"].get("previousStatus") for body in told] == [None, "creating", "running"]
    assert told[-1]["data"]["instance"]["status"] == "ready"
    assert "sshPassword" not in told[-1]["data"]["instance"]["connectionDetails"]
    assert len(set(receiver.ids)) == 3


async def test_what_is_sent_is_what_the_event_log_holds(service: Service, receiver: Receiver) -> None:
    await service.ready(webhookUrl=receiver.url)
    await service.gone()
    delivered = [event for event in await service.events() if event["type"] in DELIVERED]
    await receiver.wait_for(len(delivered))
    told = sorted(receiver.bodies, key=lambda body: body["data"]["sequence"])
    assert [body["type"] for body in told] == [event["type"] for event in delivered]
    assert [body["timestamp"] for body in told] == [event["timestamp"] for event in delivered]
    of_the_log = {"instanceId", "actor", "correlationId"}
    for body, event in zip(told, delivered, strict=True):
        assert body["data"] == {name: value for name, value in event["data"].items() if name not in of_the_log}
        assert body["data"]["instance"]["sequence"] == body["data"]["sequence"]
    assert set(receiver.ids) == {event["id"].replace("evt_", "msg_") for event in delivered}


async def test_a_wish_may_name_a_receiver_of_its_own(service: Service, receiver: Receiver) -> None:
    await service.ready()
    await service.post("/instances/trainer/stop", {"webhookUrl": receiver.url})
    await receiver.wait_for(2)
    assert {body["type"] for body in receiver.bodies} == {"instance.stopping", "instance.stopped"}


async def test_without_one_of_its_own_the_configured_receiver_is_told(
    valkey_url: str, prefix: str, tmp_path: Path, receiver: Receiver
) -> None:
    async with serving(tmp_path, redis_url=valkey_url, prefix=prefix, webhook_url=receiver.url) as service:
        await service.create()
        await receiver.wait_for(3)
