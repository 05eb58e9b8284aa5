"""Records as a service may have them: with whatever a cloud might say in them, and thousands at once."""

from datetime import UTC, datetime, timedelta
from random import Random

from msgspec.structs import replace

from novita_gpu.domain.bill import Bill, Rate
from novita_gpu.domain.instance import Connection, Failure, PortMapping, Record, Run, RunKind, Wish
from tests.store.samples import machine, new_record

HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>'\"&amp;{{7*7}}"
REGIONS = ("AS-SGP-02", "CN-HK-01", "EU-DE-01", "US-CA-06")


def a_run(at: datetime) -> Run:
    return Run(kind=RunKind.LAUNCH, asked_at=at, running_at=at, ready_at=at)


def hostile() -> tuple[Record, Record]:
    """One that is ready, one that has failed."""
    now = datetime.now(UTC)
    made = machine("m-hostile")
    offer = replace(made.offer, product_name=f"GPU {HOSTILE}", region=f"R {HOSTILE}", cluster_id=f"C {HOSTILE}")
    ports = (PortMapping(port=80, type="http", endpoint=f"javascript:window.hacked=1//{HOSTILE}"),)
    run = replace(a_run(now), connection=Connection(read_at=now, ssh=f"ssh {HOSTILE}", ports=ports))
    ready = new_record("bad-ready", at=now, machine=replace(made, offer=offer), reason=f"Because {HOSTILE}")
    failure = Failure(code="NO_OFFER", message=f"Said: {HOSTILE}", at=now)
    return replace(ready, run=run), new_record("bad-failed", at=now, failure=failure)


def fleet(many: int, chance: Random) -> list[Record]:
    """Most are ready, some stopped; the newest first."""
    now = datetime.now(UTC)
    return [_one(number, now, chance) for number in range(many)]


def _one(number: int, now: datetime, chance: Random) -> Record:
    at = now - timedelta(seconds=30 * number + chance.random())
    made = machine(f"m-{number}")
    offer = replace(made.offer, region=chance.choice(REGIONS))
    record = new_record(f"worker-{number:05}", at=at, machine=replace(made, offer=offer))
    if chance.random() < 0.2:
        return replace(record, machine=None, wants=Wish.STOPPED, stopped_at=now)
    bill = Bill(since=at, rate=Rate(compute=840_000))
    return replace(record, run=a_run(at), started_at=at, ready_at=at, bill=bill)
