"""Records, rows and looks to begin a table with."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.activity import Heard
from novita_gpu.domain.case import Policy
from novita_gpu.domain.decide import decide
from novita_gpu.domain.instance import (
    Attempt,
    AttemptState,
    CloudId,
    Connection,
    InstanceId,
    Machine,
    Mutation,
    MutationKind,
    Offer,
    PortMapping,
    Record,
    Run,
    RunKind,
    Seen,
    Warned,
    Wish,
)
from novita_gpu.domain.learn import Learned, learn
from novita_gpu.domain.look import Look, Row
from novita_gpu.domain.spec import BillingMode, Port, Spec
from novita_gpu.domain.steps import Step, Warn

T0 = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy()
MACHINE = CloudId("00aa11bb22cc33dd")
TWIN = CloudId("ffaa11bb22cc33dd")
MARKER = "dep1/abc/1"
OFFER = Offer(
    product_id="4090.16c62g",
    product_name="RTX 4090 24GB",
    cluster_id="as-sgp-2",
    region="AS-SGP-02",
    billing_mode=BillingMode.ON_DEMAND,
    gpu_num=1,
    units_per_hour=35_000,
)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def new(**given: object) -> Record:
    """Accepted at T0, nothing done yet."""
    record = Record(
        id=InstanceId("ins_abc"),
        name="train-1",
        spec=Spec(
            product_name="RTX 4090 24GB",
            regions=("AS-SGP-02", "CN-HK-01"),
            image_url="docker.io/library/ubuntu:22.04",
            ports=(Port(port=8080, type="http"),),
        ),
        wants=Wish.RUNNING,
        operation="op_1",
        created_at=T0,
        updated_at=T0,
        run=Run(kind=RunKind.LAUNCH, asked_at=T0),
    )
    return replace(record, **given)


def attempt(**given: object) -> Attempt:
    """Sent at T0; its answer is known, one way or the other, at T0 + 35 s at the latest."""
    return replace(Attempt(number=1, marker=MARKER, offer=OFFER, intent_at=T0, deadline=at(35)), **given)


def launched(**given: object) -> Record:
    """Its machine is known since T0 + 1 s and has not been seen."""
    taken = attempt(state=AttemptState.ADOPTED, machine=MACHINE, answered_at=at(1))
    record = new(
        attempts=(taken,),
        machine=Machine(id=MACHINE, offer=OFFER, attempt=1, adopted_at=at(1)),
        run=Run(kind=RunKind.LAUNCH, asked_at=T0, sent_at=at(1)),
    )
    return replace(record, **given)


def running(**given: object) -> Record:
    """Seen running at T0 + 60 s; connection details read."""
    base = launched()
    assert base.machine
    connection = Connection(
        read_at=at(61), ports=(PortMapping(port=8080, type="http", endpoint="https://m-8080.example"),)
    )
    return replace(
        base,
        **{
            "machine": replace(base.machine, ran=True),
            "seen": Seen(at=at(60), status="running"),
            "run": replace(base.run, running_at=at(60), connection=connection),
            "started_at": at(60),
            **given,
        },
    )


def ready(**given: object) -> Record:
    base = running()
    return replace(base, **{"run": replace(base.run, ready_at=at(62)), "ready_at": at(62), **given})


def stopped(**given: object) -> Record:
    return ready(**{"wants": Wish.STOPPED, "seen": Seen(at=at(100), status="exited"), "stopped_at": at(100), **given})


def row(status: str, machine: CloudId = MACHINE, marker: str = MARKER, **seen: object) -> Row:
    return Row(
        id=machine,
        name="train-1-" + marker.replace("/", "-"),
        seen=replace(Seen(at=T0, status=status), **seen),
        marker=marker,
    )


def listing(seconds: float, *rows: Row, complete: bool = True, machine: CloudId = MACHINE) -> Look:
    """What a listing begun then says of the instance."""
    own = next((r for r in rows if r.id == machine), None)
    return Look(began_at=at(seconds), complete=complete, row=own, marked=rows)


def got(seconds: float, found: Row | None) -> Look:
    """What a get begun then says: the machine, or not-found with the cloud's known reason."""
    return Look(began_at=at(seconds), complete=False, row=found, not_found=found is None, from_get=True)


def mutation(kind: MutationKind, seconds: float, **given: object) -> Mutation:
    """Sent then, answered a second later."""
    base = Mutation(
        id="mut_1",
        kind=kind,
        machine=MACHINE,
        generation=1,
        at=at(seconds),
        deadline=at(seconds + 30),
        answered_at=at(seconds + 1),
    )
    return replace(base, **given)


def learned(record: Record, look: Look) -> Learned:
    return learn(record, look, POLICY.settle)


def step(
    record: Record, look: Look | None, seconds: float, heard: datetime | None = None, policy: Policy = POLICY
) -> Step:
    """What a pass at that time does: learn, then decide. `heard` is the last heartbeat."""
    known = learn(record, look, policy.settle).record
    return decide(known, look, at(seconds), policy, heard=Heard(last=heard))


def warned_of(record: Record, told: Warn, seconds: float) -> Record:
    """The record after that warning."""
    run = replace(record.run, warned=Warned(due=told.due, at=at(seconds), stops_at=told.stops_at))
    return replace(record, run=run)
