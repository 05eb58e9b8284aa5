"""What a machine costs, to the second, and what the account has left."""

import pytest
from caller import ACCOUNT, Caller

HOUR = 3600
USD_PER_HOUR = 0.35


async def test_compute_bills_from_pulling_until_exited(cloud: Caller) -> None:
    instance_id = await cloud.create(gpuNum=2)
    cloud.turn(2)  # toCreate and creating are free
    assert cloud.audit()["totalCostUsd"] == 0
    cloud.turn(HOUR)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(2 * USD_PER_HOUR)
    await cloud.act("stop", instance_id)
    cloud.turn(2)
    stopped = cloud.audit()["totalCostUsd"]
    assert stopped == pytest.approx(2 * USD_PER_HOUR * (HOUR + 2) / HOUR)
    cloud.turn(HOUR)
    assert cloud.audit()["totalCostUsd"] == stopped


async def test_a_start_is_free_until_it_runs(cloud: Caller) -> None:
    instance_id = await cloud.exited()
    before = cloud.audit()["totalCostUsd"]
    await cloud.act("start", instance_id)
    cloud.turn(4)
    assert cloud.audit()["totalCostUsd"] == before
    cloud.turn(HOUR)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(before + USD_PER_HOUR)


async def test_spot_bills_the_spot_price(cloud: Caller) -> None:
    await cloud.create(billingMode="spot")
    cloud.turn(2 + HOUR)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(0.175)


async def test_disk_over_sixty_gb_bills_by_the_day_while_stopped_too(cloud: Caller) -> None:
    instance_id = await cloud.exited(rootfsSize=160)
    before = cloud.audit()["totalCostUsd"]
    cloud.turn(24 * HOUR)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(before + 100 * 0.005)
    await cloud.act("delete", instance_id)
    deleted = cloud.audit()["totalCostUsd"]
    cloud.turn(24 * HOUR)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(deleted)


async def test_a_volume_bills_whether_mounted_or_not(cloud: Caller) -> None:
    await cloud.post("/networkstorage/create", clusterId="us-ca-6", storageName="d", storageSize=1000)
    cloud.turn(24 * HOUR)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(2.0)


async def test_the_balance_falls_in_ten_thousandths_of_a_dollar(cloud: Caller) -> None:
    path = f"{ACCOUNT}/billing/balance/detail"
    assert (await cloud.get(path)).json == {
        "availableBalance": "10000000",
        "cashBalance": "10000000",
        "creditLimit": "0",
        "outstandingInvoices": "0",
    }
    await cloud.create()
    cloud.turn(2 + HOUR)
    assert (await cloud.get(path)).json["availableBalance"] == "9996500"


async def test_without_money_nothing_is_created_or_started_and_the_debt_is_told(cloud: Caller) -> None:
    stopped = await cloud.exited(name="stopped")
    await cloud.running()
    cloud.control.post("balance", usd=0.35)
    cloud.turn(2 * HOUR)
    said = await cloud.order()
    assert (said.status, said.reason) == (400, "BALANCE_NOT_ENOUGH")
    assert (await cloud.act("start", stopped)).reason == "BALANCE_NOT_ENOUGH"
    balance = (await cloud.get(f"{ACCOUNT}/billing/balance/detail")).json
    assert (balance["availableBalance"], balance["outstandingInvoices"]) == ("0", "3500")


async def test_a_month_is_paid_at_once_and_cannot_be_deleted(cloud: Caller) -> None:
    instance_id = await cloud.running(month=1)
    assert cloud.audit()["totalCostUsd"] == pytest.approx(USD_PER_HOUR * 720)
    assert (await cloud.row(instance_id))["billingMode"] == "monthly"
    assert (await cloud.act("delete", instance_id)).reason == "PREPAID_INSTANCE_NOT_SUPPORT_RELEASE"


async def test_what_is_gone_still_counts(cloud: Caller) -> None:
    instance_id = await cloud.create()
    cloud.turn(2 + HOUR)
    await cloud.act("delete", instance_id)
    cloud.turn(HOUR)
    audit = cloud.audit()
    assert audit["alive"] == []
    assert audit["totalCostUsd"] == pytest.approx(USD_PER_HOUR)


async def test_the_audit_finds_machines_that_share_a_marker(cloud: Caller) -> None:
    def marked(attempt: int) -> list[dict[str, str]]:
        return [{"key": "NOVITA_GPU_MARKER", "value": f"dep/web/{attempt}"}]

    first = await cloud.create(envs=marked(1))
    twin = await cloud.create(envs=marked(1))
    cloud.turn(10)
    await cloud.act("delete", first)
    await cloud.act("delete", twin)
    cloud.turn(10)
    await cloud.create(envs=marked(2))
    cloud.turn(10)
    audit = cloud.audit()
    assert audit["duplicates"] == {"dep/web/1": [first, twin]}
    assert audit["billedAtOnce"] == {"dep/web": 2}
    assert audit["everCreated"] == 3
    assert [machine["marker"] for machine in audit["alive"]] == ["dep/web/2"]


async def test_two_attempts_that_never_bill_together_are_not_billed_at_once(cloud: Caller) -> None:
    for attempt in (1, 2):
        envs = [{"key": "NOVITA_GPU_MARKER", "value": f"dep/web/{attempt}"}]
        instance_id = await cloud.running(envs=envs)
        await cloud.act("delete", instance_id)
        cloud.turn(10)
    assert cloud.audit()["billedAtOnce"] == {"dep/web": 1}
