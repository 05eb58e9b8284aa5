"""How a machine lives: statuses over time, what each action is allowed on, what it does."""

from typing import Any

import pytest
from caller import Caller

from novita_gpu.cloud.simulator import Timing


async def seen(cloud: Caller, instance_id: str, *after_s: float) -> list[str]:
    statuses: list[str] = []
    for seconds in after_s:
        cloud.turn(seconds)
        statuses.append(await cloud.status(instance_id))
    return statuses


async def test_a_create_answers_an_id_of_sixteen_hex_digits_and_nothing_else(cloud: Caller) -> None:
    answer = (await cloud.order()).json
    assert set(answer) == {"id"}
    assert len(answer["id"]) == 16
    int(answer["id"], 16)


async def test_a_new_machine_is_created_and_pulled_before_it_runs(cloud: Caller) -> None:
    instance_id = await cloud.create()
    assert await seen(cloud, instance_id, 0, 0.5, 1.5, 4) == ["toCreate", "creating", "pulling", "running"]


async def test_a_stop_passes_two_statuses_and_frees_the_gpus(cloud: Caller) -> None:
    cloud.control.post("stock", gpus=1)
    instance_id = await cloud.running()
    said = await cloud.act("stop", instance_id)
    assert said.json == {"instanceId": instance_id, "state": "toStop"}
    assert (await cloud.order()).reason == "INSUFFICIENT_RESOURCE"
    assert await seen(cloud, instance_id, 0, 0.5, 1.5) == ["toStop", "stopping", "exited"]
    assert (await cloud.order()).status == 200


async def test_a_start_takes_gpus_again_or_fails(cloud: Caller) -> None:
    instance_id = await cloud.exited()
    cloud.control.post("stock", gpus=0)
    assert (await cloud.act("start", instance_id)).reason == "INSUFFICIENT_RESOURCE"
    assert await cloud.status(instance_id) == "exited"
    cloud.control.post("stock", gpus=1)
    assert (await cloud.act("start", instance_id)).json == {"instanceId": instance_id, "state": "toStart"}
    assert await seen(cloud, instance_id, 0, 0.5, 3.5) == ["toStart", "starting", "running"]


async def test_a_start_may_pull_the_image_again() -> None:
    cloud = Caller(timing=Timing(start_pulling_s=3))
    instance_id = await cloud.exited()
    await cloud.act("start", instance_id)
    assert await seen(cloud, instance_id, 4, 3) == ["pulling", "running"]


async def test_a_restart_leaves_addresses_and_password_alone(cloud: Caller) -> None:
    instance_id = await cloud.running()
    before = await cloud.one(instance_id)
    said = await cloud.act("restart", instance_id)
    assert (said.status, said.body) == (200, b"")
    assert await seen(cloud, instance_id, 0, 0.5, 2) == ["toRestart", "restarting", "running"]
    after = await cloud.one(instance_id)
    assert after["portMappings"] == before["portMappings"]
    assert after["connectComponentSSH"]["password"] == before["connectComponentSSH"]["password"]


@pytest.mark.parametrize("after_s", [0, 1, 3, 7])
async def test_a_delete_is_accepted_in_any_status_with_an_empty_body(cloud: Caller, after_s: float) -> None:
    instance_id = await cloud.create()
    cloud.turn(after_s)
    said = await cloud.act("delete", instance_id)
    assert (said.status, said.body) == (200, b"")
    assert await seen(cloud, instance_id, 0, 0.5, 1) == ["toRemove", "removing", "removed"]


async def test_a_removed_machine_is_shown_for_a_while_and_then_not_found(cloud: Caller) -> None:
    instance_id = await cloud.running()
    await cloud.act("delete", instance_id)
    cloud.turn(1.5)
    assert (await cloud.row(instance_id))["status"] == "removed"
    cloud.turn(2)
    assert await cloud.rows() == []
    said = await cloud.get("/gpu/instance", instanceId=instance_id)
    assert (said.status, said.reason) == (400, "RESOURCE_NOT_FOUND")


async def test_removed_machines_may_leave_list_and_get_at_different_times() -> None:
    cloud = Caller(timing=Timing(removed_listed_s=0, removed_known_s=30))
    instance_id = await cloud.running()
    await cloud.act("delete", instance_id)
    cloud.turn(1.5)
    assert await cloud.rows() == []
    assert await cloud.status(instance_id) == "removed"


async def test_a_second_delete_changes_nothing_and_one_after_the_end_is_not_found(cloud: Caller) -> None:
    instance_id = await cloud.running()
    await cloud.act("delete", instance_id)
    cloud.turn(1)
    assert (await cloud.act("delete", instance_id)).status == 200
    cloud.turn(0.5)
    assert (await cloud.act("delete", instance_id)).reason == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("action", ["get", "start", "stop", "restart", "delete", "migrate"])
async def test_an_unknown_machine_is_400_or_404_as_told(cloud: Caller, action: str) -> None:
    async def status() -> int:
        if action == "get":
            return (await cloud.get("/gpu/instance", instanceId="0" * 16)).status
        return (await cloud.act(action, "0" * 16)).status

    assert await status() == 400
    cloud.quirks(notFoundStatus=404)
    assert await status() == 404


@pytest.mark.parametrize(("action", "allowed"), [("start", "exited"), ("stop", "running"), ("restart", "running")])
async def test_an_action_in_another_status_is_an_invalid_state_change(cloud: Caller, action: str, allowed: str) -> None:
    instance_id = await (cloud.running() if allowed == "exited" else cloud.exited())
    said = await cloud.act(action, instance_id)
    assert (said.status, said.reason, said.json["message"]) == (400, "OPERATION_LIMIT", "invalid state change")
    cloud.quirks(wrongStateReason="CONFLICT")
    assert (await cloud.act(action, instance_id)).reason == "CONFLICT"


async def test_start_and_stop_may_answer_with_nothing(cloud: Caller) -> None:
    cloud.quirks(actionReply="empty", quietReply="object")
    instance_id = await cloud.running()
    assert (await cloud.act("stop", instance_id)).body == b""
    assert (await cloud.act("delete", instance_id)).json == {}


async def test_a_machine_can_be_stuck_in_pulling_until_it_is_let_go(cloud: Caller) -> None:
    cloud.control.post("stick", status="pulling", creates=1)
    stuck, free = await cloud.create(), await cloud.create()
    cloud.turn(3600)
    assert [await cloud.status(stuck), await cloud.status(free)] == ["pulling", "running"]
    cloud.control.post("unstick", instanceId=stuck)
    assert await cloud.status(stuck) == "running"


async def test_a_machine_under_way_can_be_held_where_it_is(cloud: Caller) -> None:
    instance_id = await cloud.create()
    cloud.turn(1)
    cloud.control.post("stick", instanceId=instance_id, status="creating")
    cloud.turn(60)
    assert await cloud.status(instance_id) == "creating"


async def test_a_crash_ends_in_exited_with_a_status_error(cloud: Caller) -> None:
    instance_id = await cloud.running()
    cloud.control.post("crash", instanceId=instance_id, state="oom", message="out of memory")
    one = await cloud.one(instance_id)
    assert one["status"] == "exited"
    assert one["statusError"] == {"state": "oom", "message": "out of memory"}


async def test_a_machine_may_be_known_to_get_before_the_list_knows_it() -> None:
    cloud = Caller(timing=Timing(list_lag_s=20, get_lag_s=5))
    instance_id = await cloud.create()
    assert (await cloud.get("/gpu/instance", instanceId=instance_id)).reason == "RESOURCE_NOT_FOUND"
    cloud.turn(5)
    assert await cloud.status(instance_id) == "pulling"
    assert await cloud.rows() == []
    cloud.turn(15)
    assert [row["id"] for row in await cloud.rows()] == [instance_id]


async def test_an_edit_grows_the_disk_and_replaces_the_ports_without_a_restart(cloud: Caller) -> None:
    instance_id = await cloud.running()
    before = await cloud.one(instance_id)
    http, tcp = before["portMappings"]
    ports = [{"port": 8080, "type": "http"}, {"port": 7000, "type": "http"}]
    await cloud.post("/gpu/instance/edit", instanceId=instance_id, ports=ports, expandRootDisk=40)
    row = await cloud.row(instance_id)
    assert (row["status"], row["rootfsSize"]) == ("running", 100)
    assert row["portMappings"][0] == http
    assert "-7000." in row["portMappings"][1]["endpoint"]
    assert (await cloud.one(instance_id))["connectComponentSSH"] == before["connectComponentSSH"]
    assert not cloud.sim.core.reply(tcp["endpoint"], cloud.sim.clock.now()).accepts


async def test_an_upgrade_resets_the_machine_to_another_image(cloud: Caller) -> None:
    instance_id = await cloud.running()
    fields: dict[str, Any] = {"imageUrl": "b:2", "envs": [], "command": "", "entrypoint": "", "save": True}
    await cloud.post("/gpu/instance/upgrade", instanceId=instance_id, networkVolume={"volumeMounts": []}, **fields)
    assert await seen(cloud, instance_id, 0, 0.5, 2) == ["toReset", "resetting", "running"]
    assert (await cloud.one(instance_id))["imageUrl"] == "b:2"


async def test_instant_timing_is_over_by_the_next_call() -> None:
    cloud = Caller(timing=Timing.instant())
    assert await cloud.status(await cloud.create()) == "running"
