"""A cloud full of machines, and a store that knows a part of them: what a service finds when it starts."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.cloud.novita import Novita
from novita_gpu.domain.instance import AttemptState, CloudId, InstanceId, Machine, Record, Run, RunKind, Seen, Wish
from novita_gpu.domain.look import Row
from novita_gpu.domain.meter import metered
from novita_gpu.placement import utc_now
from novita_gpu.store import Store
from novita_gpu.store.base import Change
from tests.chaos.processes import Cloud
from tests.domain.given import OFFER, attempt, new, ready, stopped
from tests.story.test_together import FOREIGN

DEPLOYMENT = "crowd1"
AT_ONCE = 16
# As the records of `tests.domain.given` want it; each is a real port.
PORTS = "8080/http"


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """How many machines of each kind there are.

    `ready` and `stopped` are as their records say. `stopping` still run though they are not meant to. `gone` are
    records whose machine is not there. `awaited` came up while nobody looked. `orphans` bear our marker and have none.
    """

    ready: int
    stopped: int
    stopping: int
    gone: int
    awaited: int
    orphans: int
    foreign: int

    @property
    def machines(self) -> int:
        return self.ready + self.stopped + self.stopping + self.awaited + self.orphans + self.foreign

    @property
    def records(self) -> int:
        return self.ready + self.stopped + self.stopping + self.gone + self.awaited


def crowd_of(machines: int) -> Crowd:
    """Two fifths of them ours, a few of each that something must be done about."""
    odd = {"stopping": 10, "gone": 5, "awaited": 5, "orphans": 3}
    ours = machines * 2 // 5 - odd["stopping"] - odd["awaited"]
    ready_ = ours // 4
    foreign = machines - ours - sum(odd.values()) + odd["gone"]
    return Crowd(ready=ready_, stopped=ours - ready_, foreign=foreign, **odd)


async def gather_in(cloud: Cloud, crowd: Crowd) -> None:
    """The machines, made in the console."""
    # At once: what is on its way somewhere when the first listing is read would be news to its record.
    await cloud.do("timing", toCreateS=0.0, creatingS=0.0, pullingS=0.0, toStopS=0.0, stoppingS=0.0)
    await cloud.do("stock", gpus=crowd.machines)
    await cloud.do("balance", usd=1_000_000.0)
    kinds = {
        "ready": crowd.ready,
        "stopped": crowd.stopped,
        "stopping": crowd.stopping,
        "awaited": crowd.awaited,
        "orphan": crowd.orphans,
        "foreign": crowd.foreign,
    }
    limit = asyncio.Semaphore(AT_ONCE)

    async def make(kind: str, number: int) -> None:
        owner = f"{kind}{number}"
        marker = "" if kind == "foreign" else f"{DEPLOYMENT}/{owner}/1"
        name = owner if kind == "foreign" else f"{owner}-{DEPLOYMENT}-{owner}-1"
        envs = [{"key": "NOVITA_GPU_MARKER", "value": marker}] if marker else []
        async with limit:
            order = {**FOREIGN, "name": name, "envs": envs, "ports": PORTS if kind == "awaited" else ""}
            made = await cloud.do("console", action="create", body=order)
            if kind in {"stopped", "foreign"}:
                await cloud.do("console", action="stop", instanceId=made["id"])

    await asyncio.gather(*(make(kind, number) for kind, count in kinds.items() for number in range(count)))


async def keep_records(store: Store, root: str, crowd: Crowd) -> None:
    """What a service that ran before has written of them: by its listings, and not of what came after."""
    novita = Novita("sim-key", root=root, calls_per_minute=0)
    try:
        listing = await novita.listing()
    finally:
        await novita.close()
    assert (listing.complete, listing.total) == (True, crowd.machines)
    for record in (*_known(listing.rows), *_gone(crowd.gone)):
        await store.records.commit(Change(before=None, after=record))


def _known(rows: Sequence[Row]) -> Iterable[Record]:
    now = utc_now()
    for row in rows:
        owner = row.marker.split("/")[1] if row.marker else ""
        if owner and not owner.startswith("orphan"):
            yield _record(row, owner, now)


def _record(row: Row, owner: str, now: datetime) -> Record:
    ident = {"id": InstanceId(f"ins_{owner}"), "name": owner}
    if owner.startswith("awaited"):
        sent = attempt(marker=row.marker, intent_at=now - timedelta(minutes=1), deadline=now)
        asked = Run(kind=RunKind.LAUNCH, asked_at=now)
        return new(**ident, attempts=(sent,), run=asked, created_at=now, updated_at=now)
    offer = replace(OFFER, cluster_id=row.cluster_id, region=row.region)
    machine = Machine(id=row.id, offer=offer, attempt=1, adopted_at=now - timedelta(hours=1), ran=True)
    made = attempt(marker=row.marker, state=AttemptState.ADOPTED, machine=row.id)
    more = {**ident, "machine": machine, "attempts": (made,), "seen": row.seen}
    if owner.startswith("ready"):
        record = ready(**more, due=now + timedelta(hours=1))
    elif owner.startswith("stopping"):
        record = ready(**more, wants=Wish.STOPPED)
    else:
        record = stopped(**more)
    return replace(record, bill=metered(record, row.seen, None))


def _gone(count: int) -> Iterable[Record]:
    for number in range(count):
        row = Row(id=CloudId(f"{number:016x}"), name="", seen=Seen(at=utc_now(), status="exited"), marker="")
        yield _record(replace(row, marker=f"{DEPLOYMENT}/gone{number}/1"), f"gone{number}", utc_now())
