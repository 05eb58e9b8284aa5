"""What a create must say, and how the cloud refuses what it may not."""

from typing import Any

import pytest
from caller import Caller

GOOD: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "abc-DEF-123"},
    {"gpuNum": "2"},  # numbers may come as strings
    {"gpuNum": 8},
    {"rootfsSize": 6144},
    {"ports": ""},
    {"ports": "80/http,3306/tcp"},
    {"envs": [{"key": f"K{n}", "value": "v" * 4095} for n in range(100)]},
    {"tools": [{"name": "Jupyter", "port": "8888", "type": "http"}]},
    {"clusterId": ""},
    {"billingMode": "spot"},
    {"billingMode": None},
    {"minCudaVersion": "12.4"},
    {"somethingElse": 1},
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "snake_case"}, "VALIDATOR_PARAM"),
    ({"name": "n" * 256}, "VALIDATOR_PARAM"),
    ({"productId": None}, "VALIDATOR_PARAM"),
    ({"productId": "no-such"}, "RESOURCE_NOT_FOUND"),
    ({"gpuNum": 0}, "VALIDATOR_PARAM"),
    ({"gpuNum": 9}, "VALIDATOR_PARAM"),
    ({"rootfsSize": 6145}, "VALIDATOR_PARAM"),
    ({"imageUrl": ""}, "VALIDATOR_PARAM"),
    ({"imageUrl": "i" * 501}, "VALIDATOR_PARAM"),
    ({"imageAuthId": "no-such"}, "IMAGE_URL_OR_AUTH_ERROR"),
    ({"ports": ["80/http"]}, "VALIDATOR_PARAM"),
    ({"ports": "80"}, "VALIDATOR_PARAM"),
    ({"ports": "53/udp"}, "VALIDATOR_PARAM"),
    ({"ports": "0/http"}, "VALIDATOR_PARAM"),
    ({"ports": "2222/tcp"}, "VALIDATOR_PARAM"),
    ({"ports": "80/http,80/tcp"}, "VALIDATOR_PARAM"),
    ({"ports": ",".join(f"{8000 + n}/http" for n in range(16))}, "VALIDATOR_PARAM"),
    ({"envs": [{"key": f"K{n}"} for n in range(101)]}, "VALIDATOR_PARAM"),
    ({"envs": [{"key": "K", "value": "v" * 4096}]}, "VALIDATOR_PARAM"),
    ({"tools": [{"name": "Emacs", "port": "1", "type": "http"}]}, "VALIDATOR_PARAM"),
    ({"command": "c" * 2048}, "VALIDATOR_PARAM"),
    ({"clusterId": "no-such"}, "RESOURCE_NOT_FOUND"),
    ({"kind": None}, "VALIDATOR_PARAM"),
    ({"billingMode": "auction"}, "VALIDATOR_PARAM"),
    ({"productId": "5090.16c96g", "billingMode": "monthly"}, "UNSUPPORTED_BILLING_MODE"),
    ({"productId": "5090.16c96g", "month": 1}, "UNSUPPORTED_BILLING_MODE"),
    ({"minCudaVersion": "13.0"}, "CUDA_VERSION_INCOMPATIBLE"),
    ({"networkStorages": [{"Id": "no-such"}]}, "NETWORK_STORAGE_NOT_FOUND"),
]


@pytest.mark.parametrize("fields", GOOD)
async def test_a_good_order_is_taken(cloud: Caller, fields: dict[str, Any]) -> None:
    assert (await cloud.order(**fields)).status == 200


@pytest.mark.parametrize(("fields", "reason"), BAD)
async def test_a_bad_order_is_refused_and_leaves_nothing(cloud: Caller, fields: dict[str, Any], reason: str) -> None:
    said = await cloud.order(**fields)
    assert (said.status, said.reason) == (400, reason)
    assert set(said.json) == {"code", "reason", "message", "metadata"}
    assert said.json["code"] == 400
    assert cloud.audit()["everCreated"] == 0


async def test_a_disk_under_ten_gb_is_raised_to_ten(cloud: Caller) -> None:
    assert (await cloud.row(await cloud.create(rootfsSize=1)))["rootfsSize"] == 10


async def test_an_order_without_a_cluster_goes_where_there_is_room(cloud: Caller) -> None:
    cloud.control.post("stock", gpus=0)
    cloud.control.post("stock", clusterId="as-sgp-2", gpus=1)
    assert (await cloud.one(await cloud.create(clusterId="")))["clusterId"] == "as-sgp-2"


async def test_stock_is_counted_in_gpus_of_a_product_in_a_cluster(cloud: Caller) -> None:
    cloud.control.post("stock", productId="4090.16c62g", clusterId="us-ca-6", gpus=3)
    await cloud.create(gpuNum=2)
    assert (await cloud.order(gpuNum=2)).reason == "INSUFFICIENT_RESOURCE"
    await cloud.create(gpuNum=1)
    assert (await cloud.order(gpuNum=1)).reason == "INSUFFICIENT_RESOURCE"
    assert (await cloud.order(productId="4090.16c96g.v2")).status == 200
    assert (await cloud.order(clusterId="as-in-1")).status == 200


async def test_a_delete_gives_the_gpus_back_when_it_is_done(cloud: Caller) -> None:
    cloud.control.post("stock", gpus=1)
    await cloud.act("delete", await cloud.running())
    assert (await cloud.order()).reason == "INSUFFICIENT_RESOURCE"
    cloud.turn(1.5)
    assert (await cloud.order()).status == 200


async def test_spot_may_be_sold_out_while_on_demand_is_not(cloud: Caller) -> None:
    cloud.control.post("stock", gpus=0, billingMode="spot")
    assert (await cloud.order(billingMode="spot")).reason == "INSUFFICIENT_RESOURCE"
    assert (await cloud.order()).status == 200


async def test_limits_of_the_account_refuse_one_more(cloud: Caller) -> None:
    cloud.quirks(gpuLimit=2)
    await cloud.create()
    said = await cloud.order(gpuNum=2)
    assert (said.reason, said.json["metadata"]) == ("CREATE_GPU_NUM_LIMIT", {"0": "2"})
    cloud.quirks(instanceLimit=1)
    assert (await cloud.order()).reason == "CREATE_INSTANCE_LIMIT"


async def test_a_body_that_is_no_json_object_is_a_bad_request(cloud: Caller) -> None:
    for body in (b"{", b"[]", b"null"):
        answer = await cloud.sim.handle(
            "POST", "/gpu-instance/openapi/v1/gpu/instance/create", {}, {"authorization": "Bearer sim-key"}, body
        )
        assert answer.status == 400
        assert b'"REQUEST"' in answer.body
