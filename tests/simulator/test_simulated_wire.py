"""The wire as the real cloud writes it: numeric strings, empty strings, names against ids, odd pages."""

from typing import Any

import pytest
from caller import ACCOUNT, GPU, KEY, Caller

LIST_ONLY = {"productId", "productName", "rootfsSize", "gpuIds", "spotStatus", "spotReclaimTime"}


async def test_big_numbers_and_times_are_strings_sizes_and_ports_are_numbers(cloud: Caller) -> None:
    row = await cloud.row(await cloud.running(gpuNum=2))
    assert (row["cpuNum"], row["memory"], row["gpuNum"]) == ("32", "124", "2")
    assert (row["rootfsSize"], row["portMappings"][0]["port"]) == (60, 8080)
    assert (row["createdAt"], row["lastStartedAt"]) == ("1780000000", "1780000006")
    assert (row["lastStoppedAt"], row["endTime"]) == ("0", "-1")


async def test_unset_texts_are_empty_and_never_null(cloud: Caller) -> None:
    row = await cloud.row(await cloud.create())
    assert {row[name] for name in ("command", "entrypoint", "imageAuthId", "spotStatus")} == {""}
    assert row["statusError"] == {"state": "", "message": ""}
    assert None not in row.values()


async def test_get_lacks_what_is_documented_for_the_list_alone(cloud: Caller) -> None:
    instance_id = await cloud.running()
    row, one = await cloud.row(instance_id), await cloud.one(instance_id)
    assert set(row) - set(one) == LIST_ONLY
    assert {name for name in set(one) - set(row) if name.startswith("connect")} == {
        "connectComponentSSH",
        "connectComponentWebTerminal",
        "connectComponentJupyter",
        "connectComponentLog",
    }
    cloud.quirks(spotInGet=True, productInGet=True)
    assert set(row) - set(await cloud.one(instance_id)) == {"gpuIds"}
    cloud.quirks(spotInList=False)
    assert "spotStatus" not in await cloud.row(instance_id)


async def test_endpoints_appear_with_running_and_may_be_left_out_of_the_list(cloud: Caller) -> None:
    instance_id = await cloud.create()
    assert [port["endpoint"] for port in (await cloud.one(instance_id))["portMappings"]] == ["", ""]
    cloud.turn(6)
    http, tcp = (await cloud.one(instance_id))["portMappings"]
    assert http["endpoint"] == f"https://{instance_id}-8080.us-ca-6.gpu-instance.novita.ai"
    assert tcp["endpoint"].startswith("proxy.us-ca-6.gpu-instance.novita.ai:")
    assert (await cloud.row(instance_id))["portMappings"] == [http, tcp]
    cloud.quirks(endpointsInList=False)
    assert "endpoint" not in (await cloud.row(instance_id))["portMappings"][0]


async def test_the_environment_is_in_list_and_get(cloud: Caller) -> None:
    envs = [{"key": "A", "value": "1"}]
    instance_id = await cloud.create(envs=envs)
    assert (await cloud.row(instance_id))["envs"] == (await cloud.one(instance_id))["envs"] == envs


async def test_ssh_is_told_on_running_and_answers_a_little_later(cloud: Caller) -> None:
    instance_id = await cloud.create()
    assert (await cloud.one(instance_id))["connectComponentSSH"] == {
        "sshCommand": "",
        "password": "",
        "isRunning": False,
    }
    cloud.turn(6)
    ssh = (await cloud.one(instance_id))["connectComponentSSH"]
    assert ssh["sshCommand"].startswith("ssh -p ")
    assert ssh["sshCommand"].endswith(" root@proxy.us-ca-6.gpu-instance.novita.ai")
    assert not ssh["isRunning"]
    cloud.turn(0.5)
    assert (await cloud.one(instance_id))["connectComponentSSH"]["isRunning"]


@pytest.mark.parametrize("how", ["start", "migrate"])
async def test_ssh_and_tcp_addresses_rotate_at_each_start_and_migration(cloud: Caller, how: str) -> None:
    instance_id = await cloud.running()
    before = await cloud.one(instance_id)
    await cloud.act("stop", instance_id)
    cloud.turn(5)
    assert (await cloud.one(instance_id))["connectComponentSSH"]["sshCommand"] == ""
    await cloud.act(how, instance_id)
    cloud.turn(20)
    after = await cloud.one(instance_id)
    for name in ("sshCommand", "password"):
        assert after["connectComponentSSH"][name] != before["connectComponentSSH"][name]
    assert after["portMappings"][1]["endpoint"] != before["portMappings"][1]["endpoint"]


async def test_a_jupyter_tool_has_an_address_of_its_own(cloud: Caller) -> None:
    tools = [{"name": "Jupyter", "port": "8888", "type": "http"}]
    jupyter = (await cloud.one(await cloud.running(tools=tools)))["connectComponentJupyter"]
    assert jupyter["port"] == 8888
    assert "-8888." in jupyter["address"]
    assert jupyter["isRunning"]


async def test_a_page_has_ten_rows_unless_asked_and_page_zero_is_page_one(cloud: Caller) -> None:
    ids = [await cloud.create(name=f"n{n}") for n in range(12)]
    first = (await cloud.get("/gpu/instances")).json
    assert [row["id"] for row in first["instances"]] == ids[:1:-1]  # newest first
    assert first["total"] == 12
    zero = (await cloud.get("/gpu/instances", pageNum=0, pageSize=5)).json
    assert zero == (await cloud.get("/gpu/instances", pageNum=1, pageSize=5)).json
    third = (await cloud.get("/gpu/instances", pageNum=3, pageSize=5)).json
    assert [row["id"] for row in third["instances"]] == [ids[1], ids[0]]
    assert (await cloud.get("/gpu/instances", pageNum=4, pageSize=5)).json == {"instances": [], "total": 12}


async def test_a_page_is_never_larger_than_the_largest(cloud: Caller) -> None:
    cloud.quirks(maxPageSize=2)
    for n in range(3):
        await cloud.create(name=f"n{n}")
    assert len(await cloud.rows(pageSize=500)) == 2


async def test_unknown_query_parameters_are_ignored_and_written_down(cloud: Caller) -> None:
    for n in range(12):
        await cloud.create(name=f"n{n}")
    assert len((await cloud.get("/gpu/instances", page=2, page_size=50)).json["instances"]) == 10
    calls: Any = cloud.control.get("calls", op="list")
    assert calls["calls"][-1]["unknown"] == ["page", "page_size"]


async def test_a_page_that_is_no_number_is_refused(cloud: Caller) -> None:
    assert (await cloud.get("/gpu/instances", pageNum="x")).reason == "VALIDATOR_PARAM"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "ALPH"}, ["alpha"]),
        ({"productName": "5090"}, ["beta"]),
        ({"status": "running"}, ["alpha"]),
        ({"status": "runn"}, []),
        ({}, ["beta", "alpha"]),
    ],
)
async def test_the_list_is_filtered_by_part_of_a_name_and_by_one_status(
    cloud: Caller, query: dict[str, str], found: list[str]
) -> None:
    await cloud.running(name="alpha")
    await cloud.create(name="beta", productId="5090.16c96g")
    assert [row["name"] for row in await cloud.rows(**query)] == found


async def test_a_listing_can_stand_still_while_the_cloud_moves_on(cloud: Caller) -> None:
    instance_id = await cloud.create()
    cloud.control.post("listing", staleSeconds=30)
    cloud.turn(10)
    await cloud.create(name="later")
    assert [row["status"] for row in await cloud.rows()] == ["toCreate"]
    assert await cloud.status(instance_id) == "running"
    cloud.turn(20)
    assert len(await cloud.rows()) == 2


async def test_a_machine_can_show_values_no_reference_knows(cloud: Caller) -> None:
    instance_id = await cloud.running()
    cloud.control.post("disguise", instanceId=instance_id, fields={"status": "pending", "billingMode": ""})
    for shown in (await cloud.row(instance_id), await cloud.one(instance_id)):
        assert (shown["status"], shown["billingMode"]) == ("pending", "")


async def products(cloud: Caller, **query: Any) -> dict[str, Any]:
    return {row["id"]: row for row in (await cloud.get("/products", **query)).json["data"]}


async def test_a_product_names_regions_by_display_name_and_prices_as_strings(cloud: Caller) -> None:
    row = (await products(cloud))["4090.16c62g"]
    assert (row["price"], row["spotPrice"], row["cpuPerGpu"]) == ("35000", "17500", 16)
    assert "US-CA-06 (California)" in row["regions"]
    assert "us-ca-6" not in row["regions"]
    cloud.quirks(regionNames="code")
    assert "US-CA-06" in (await products(cloud))["4090.16c62g"]["regions"]


async def test_a_product_name_is_fuzzy_and_not_unique(cloud: Caller) -> None:
    names = [row["name"] for row in (await products(cloud, productName="rtx 4090")).values()]
    assert set(names) == {"RTX 4090 24GB", "RTX 4090 24GB Laptop", "RTX 4090D 24GB", "RTX 4090 48GB"}
    assert names.count("RTX 4090 24GB") > 2


async def test_the_three_asian_clusters_offer_the_4090(cloud: Caller) -> None:
    for cluster_id in ("as-sgp-2", "cn-hongkong-1", "as-in-1"):
        rows = await products(cloud, clusterId=cluster_id, productName="RTX 4090 24GB")
        assert any(row["availableDeploy"] for row in rows.values())


async def test_rows_out_of_stock_and_rows_without_price_stay_listed(cloud: Caller) -> None:
    rows = await products(cloud)
    empty = rows["4090.32c125g"]
    assert (empty["availableDeploy"], empty["inventoryState"]) == (False, "none")
    assert rows["26"]["price"] == "0"


async def test_inventory_follows_the_stock_and_can_be_made_to_lie(cloud: Caller) -> None:
    cloud.control.post("stock", productId="5090.16c96g", gpus=4)
    assert (await products(cloud))["5090.16c96g"]["inventoryState"] == "low"
    assert not (await products(cloud, gpuNum=8))["5090.16c96g"]["availableDeploy"]
    cloud.control.post("stock", productId="5090.16c96g", gpus=0, shown="high")
    row = (await products(cloud))["5090.16c96g"]
    assert (row["availableDeploy"], row["inventoryState"]) == (True, "high")
    assert (await cloud.order(productId="5090.16c96g")).reason == "INSUFFICIENT_RESOURCE"


@pytest.mark.parametrize(
    ("query", "has", "lacks"),
    [
        ({"billingMethod": "spot"}, "4090.16c62g", "4090.32c125g"),
        ({"billingMethod": "monthly"}, "4090.16c62g", "5090.16c96g"),
        ({"minMemoryPerGpu": 96}, "4090.16c96g.v2", "4090.16c62g"),
        ({"minCpuPerGpu": 20}, "H100-80GB.20c240g", "4090.16c62g"),
        ({"clusterId": "eu-de-1"}, "4090.8c31g", "5090.16c96g"),
    ],
)
async def test_products_are_filtered(cloud: Caller, query: dict[str, Any], has: str, lacks: str) -> None:
    rows = await products(cloud, **query)
    assert has in rows
    assert lacks not in rows


async def test_clusters_have_ids_and_names_of_two_namespaces(cloud: Caller) -> None:
    rows = {row["id"]: row for row in (await cloud.get("/clusters")).json["data"]}
    assert rows["us-ca-6"]["name"] == "US-CA-06 (California)"
    assert "RTX 4090 24GB" in rows["as-sgp-2"]["availableGpuType"]
    assert rows["as-in-1"]["supportNetworkStorage"] is False


async def test_a_template_is_wrapped_and_named_with_a_capital_id(cloud: Caller) -> None:
    listed = (await cloud.get("/templates", channel="official", isMyCommunity=False)).json
    assert listed["total"] == 3
    jupyter = next(row for row in listed["template"] if row["tools"])
    assert jupyter["tools"][0]["port"] == 8888
    one = (await cloud.get("/template", templateId=jupyter["Id"])).json
    assert one == {"template": jupyter}
    cloud.quirks(notFoundStatus=404)  # was seen for instances alone
    unknown = await cloud.get("/template", templateId="1")
    assert (unknown.status, unknown.json["message"]) == (400, "template not found")


async def test_a_private_template_points_at_a_credential_listed_in_clear(cloud: Caller) -> None:
    (private,) = (await cloud.get("/templates", channel="private", isMyCommunity=True)).json["template"]
    (auth,) = (await cloud.get("/repository/auths")).json["data"]
    assert private["imageAuth"] == auth["id"]
    assert auth["password"] == "pull-secret"
    assert (await cloud.order(imageUrl=private["image"], imageAuthId=auth["id"])).status == 200


async def test_templates_are_made_changed_and_deleted(cloud: Caller) -> None:
    template = {"name": "mine", "type": "instance", "channel": "private", "image": "a:1", "rootfsSize": 20}
    made = (await cloud.post("/template/create", template=template)).json["templateId"]
    await cloud.post("/template/update", template=template | {"Id": made, "image": "a:2"})
    assert (await cloud.get("/template", templateId=made)).json["template"]["image"] == "a:2"
    assert (await cloud.post("/template/delete", templateId=made)).json == {"templateId": made}
    assert (await cloud.get("/template", templateId=made)).reason == "TEMPLATE_NOT_FOUND"
    assert (await cloud.post("/template/delete", templateId="101")).reason == "FORBIDDEN"


async def test_a_saved_credential_answers_no_id_and_is_kept_while_in_use(cloud: Caller) -> None:
    said = await cloud.post("/repository/auth/save", name="r.example.com", username="u", password="p")
    assert (said.status, said.body) == (204, b"")
    in_use, mine = (await cloud.get("/repository/auths")).json["data"]
    assert (await cloud.post("/repository/auth/delete", id=in_use["id"])).reason == "IMAGE_AUTH_IN_USE"
    assert (await cloud.post("/repository/auth/delete", id=mine["id"])).json == {}


async def test_a_volume_is_answered_as_a_bare_string_and_kept_while_mounted(cloud: Caller) -> None:
    fields = {"clusterId": "us-ca-6", "storageName": "data", "storageSize": "100"}
    volume_id = (await cloud.post("/networkstorage/create", **fields)).json
    assert isinstance(volume_id, str)
    (row,) = (await cloud.get("/networkstorages/list", pageNo=1)).json["data"]
    assert (row["storageId"], row["storageSize"]) == (volume_id, 100)
    elsewhere = await cloud.order(clusterId="as-sgp-2", networkStorages=[{"Id": volume_id}])
    assert elsewhere.reason == "NETWORK_STORAGE_UNAVAILABLE"
    instance_id = await cloud.create(networkStorages=[{"Id": volume_id, "mountPoint": "/data"}])
    assert (await cloud.row(instance_id))["volumeMounts"][0]["mountPath"] == "/data"
    assert (await cloud.post("/networkstorage/delete", storageId=volume_id)).reason == "NETWORK_STORAGE_IN_USE"


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 400, "MISSING_API_KEY"),
        ({"Authorization": "sim-key"}, 400, "MISSING_API_KEY"),
        ({"Authorization": "Bearer other"}, 403, "INVALID_API_KEY"),
    ],
)
async def test_a_call_needs_a_known_key(cloud: Caller, headers: dict[str, str], status: int, reason: str) -> None:
    said = await cloud.get("/products", headers=headers)
    assert (said.status, said.reason) == (status, reason)


async def test_an_expired_key_may_be_told_by_401(cloud: Caller) -> None:
    cloud.quirks(unknownKeyStatus=401, missingKeyStatus=401)
    assert (await cloud.get("/products", headers={"Authorization": "Bearer old"})).reason == "FAILED_TO_AUTH"
    assert (await cloud.get("/products", headers={})).status == 401


async def test_without_configured_keys_every_sk_key_is_let_in() -> None:
    cloud = Caller(keys=frozenset[str]())
    assert (await cloud.get("/products", headers={"authorization": "bearer sk_any"})).status == 200
    assert (await cloud.get("/products", headers=KEY)).status == 403


async def test_pythons_default_user_agent_is_refused_with_a_page(cloud: Caller) -> None:
    said = await cloud.get("/products", headers=KEY | {"User-Agent": "Python-urllib/3.12"})
    assert said.status == 403
    assert said.headers["Content-Type"].startswith("text/html")
    assert b"1010" in said.body


async def test_an_unknown_path_or_verb_is_not_an_api(cloud: Caller) -> None:
    for method, path in (("GET", f"{GPU}/gpu/instance/list"), ("DELETE", f"{GPU}/gpu/instance")):
        answer = await cloud.sim.handle(method, path, {}, KEY, b"")
        assert answer.status == 404
        assert b"API_NOT_FOUND" in answer.body


async def test_metrics_live_under_the_account_root_and_are_a_minute_late(cloud: Caller) -> None:
    instance_id = await cloud.running(gpuNum=2)
    cloud.control.post("metrics", instanceId=instance_id, gpu=80, gpuMemory=50, cpu=200)
    cloud.turn(120)
    now = 1_780_000_130
    path = f"{ACCOUNT}/metrics/gpu/instance"
    said = (await cloud.get(path, instanceId=instance_id, startTime=now - 90, endTime=now, interval=30)).json
    assert said["gpuUtilization"]["avg"] == [
        {"timestamp": str(now - 90), "value": 80.0},
        {"timestamp": str(now - 60), "value": 80.0},
    ]
    assert [gpu["gpuId"] for gpu in said["gpuUtilization"]["gpuIds"]] == ["0", "1"]
    assert said["cpuUtilization"][0]["value"] == 200.0
    assert (await cloud.get("/metrics/gpu/instance", instanceId=instance_id)).status == 404


async def test_bad_metric_windows_fall_back_without_a_word(cloud: Caller) -> None:
    instance_id = await cloud.running()
    cloud.turn(300)
    path = f"{ACCOUNT}/metrics/gpu/instance"
    default = (await cloud.get(path, instanceId=instance_id)).json
    assert len(default["gpuUtilization"]["avg"]) == 1
    assert (await cloud.get(path, instanceId=instance_id, startTime="x", endTime=9**12, interval=3)).json == default


async def test_a_stopped_machine_has_no_points(cloud: Caller) -> None:
    instance_id = await cloud.exited()
    cloud.turn(300)
    said = (await cloud.get(f"{ACCOUNT}/metrics/gpu/instance", instanceId=instance_id)).json
    assert said["gpuUtilization"]["avg"] == []
