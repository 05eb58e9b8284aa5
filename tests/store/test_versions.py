"""Records that an earlier version wrote are read, and written anew as the present one writes them."""

import msgspec
import pytest

from novita_gpu.domain.bill import spent
from novita_gpu.domain.instance import Record
from novita_gpu.domain.money import usd_of_grains, usd_text
from novita_gpu.store.base import Unreadable
from novita_gpu.store.stored import record_document, record_of
from novita_gpu.store.versions import RECORD_VERSION
from tests.store.samples import after

OFFER = {
    "product_id": "4090",
    "product_name": "RTX 4090",
    "cluster_id": "eu-01",
    "region": "EU-01",
    "billing_mode": "onDemand",
    "gpu_num": 1,
    "usd_per_hour": "0.35",
}
AT = "2026-01-01T12:00:00Z"
FIRST = {
    "id": "ins_1",
    "name": "old",
    "spec": {"regions": ["EU-01"], "image_url": "ubuntu", "max_usd_per_hour": "0.5"},
    "wants": "running",
    "operation": "op_1",
    "created_at": AT,
    "updated_at": AT,
    "run": {"kind": "launch", "asked_at": AT},
    "attempts": [{"number": 1, "marker": "d/1/1", "offer": OFFER, "intent_at": AT, "deadline": AT, "state": "adopted"}],
    "machine": {"id": "m1", "offer": OFFER, "attempt": 1, "adopted_at": AT},
    "bill": {"spent_usd": "1.5", "since": "2026-01-01T13:00:00Z", "usd_per_hour": "0.35"},
}


def read(document: object) -> Record:
    return record_of(msgspec.json.encode(document), b"7", b"9")


def test_version_1_counted_in_usd() -> None:
    record = read(FIRST)
    assert record.machine
    assert [record.machine.offer.units_per_hour, record.attempts[0].offer.units_per_hour] == [35_000, 35_000]
    assert record.spec.max_units_per_hour == 50_000
    assert record.bill.since
    an_hour_on = record.bill.since.replace(hour=14)
    assert usd_text(usd_of_grains(spent(record.bill, an_hour_on).total)) == "1.8500"


def test_it_is_written_anew() -> None:
    record = read(FIRST)
    document = record_document(record)
    assert msgspec.json.decode(document)["version"] == RECORD_VERSION
    assert record_of(document, b"7", b"9") == record


def test_what_a_stopped_one_had_cost_is_kept() -> None:
    bill = read({**FIRST, "bill": {"spent_usd": "1234.5"}, "updated_at": "2026-01-02T12:00:00Z"}).bill
    assert usd_text(usd_of_grains(spent(bill, after(10**9)).total)) == "1234.5000"
    young = read({**FIRST, "bill": {"spent_usd": "1.5"}}).bill
    assert usd_text(usd_of_grains(spent(young, after(10**9)).total)) == "1.5000"


def test_a_bill_of_nothing_stays_one() -> None:
    assert spent(read({**FIRST, "bill": {}}).bill, after(10**6)).total == 0


DAMAGES: list[dict[str, object]] = [
    {"machine": {"id": "m1"}},
    {"attempts": [{"number": 1}]},
    {"machine": {"offer": {"usd_per_hour": "x"}}},
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_no_version_ever_wrote_is_unreadable(damage: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        read({**FIRST, **damage})


def test_a_later_version_is_left_alone() -> None:
    with pytest.raises(Unreadable, match="reads up to"):
        read({**FIRST, "version": RECORD_VERSION + 1})
