"""Comparison with the cloud: what may be asked for with it, and what it found."""

from typing import Annotated

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Time, Usd, distinct
from novita_gpu.contract.views import View

MAX_ADOPTED = 100

MachineId = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_.-]{1,128}$",
        examples=["00aa11bb22cc33dd"],
        extra={"expected": "an id of the cloud"},
    ),
]


class SyncRequest(Request, frozen=True, kw_only=True):
    dry_run: Annotated[bool, Meta(description="Compare and say what would be done; write nothing.")] = False
    adopt: Annotated[
        tuple[MachineId, ...],
        Meta(
            max_length=MAX_ADOPTED,
            description="Machines of the cloud that are to become instances.",
            extra={"rule": distinct()},
        ),
    ] = ()
    remove_orphans: Annotated[
        bool, Meta(description="Remove orphans now, under the conditions of ORPHAN_POLICY=delete.")
    ] = False
    confirm_gone: Annotated[
        bool, Meta(description="What this listing lacks is gone, though it is many at once or the key is new.")
    ] = False


class UnclaimedView(View, frozen=True, kw_only=True):
    """A machine that nobody has."""

    novita_instance_id: str
    name: str
    since: Annotated[Time, Meta(description="The first listing that showed it.")]
    usd_per_hour: Usd | None = None
    held_back: Annotated[str, Meta(description="Why it is not removed now.")] | None = None


class AdoptedView(View, frozen=True, kw_only=True):
    """A machine that was taken in; without `instanceId` in a dry run."""

    novita_instance_id: str
    instance_id: str | None = None
    name: str


class SyncFault(View, frozen=True, kw_only=True):
    code: str
    message: str
    novita_instance_id: str | None = None


class SyncReport(View, frozen=True, kw_only=True):
    """What the comparison found. The passes it has rung for see to it."""

    novita_instances: int
    local_instances: Annotated[int, Meta(description="Living ones.")]
    adopted: Annotated[int, Meta(description="Machines found by their marker, and those taken in on request.")]
    updated: int
    closed: Annotated[int, Meta(description="Instances whose machine is gone.")]
    missing: Annotated[int, Meta(description="Instances whose machine is not listed; a get and a later listing tell.")]
    orphans: Annotated[tuple[UnclaimedView, ...], Meta(description="With a marker of ours and no living instance.")]
    lookalikes: Annotated[
        tuple[UnclaimedView, ...],
        Meta(description="With half of a marker of ours: nobody knows whose they are. Never touched."),
    ]
    orphans_removed: Annotated[int, Meta(description="Orphans whose removal begins now.")]
    adoptions: Annotated[tuple[AdoptedView, ...], Meta(description="What `adopt` took in.")]
    confirmed_gone: Annotated[tuple[str, ...], Meta(description="Machines whose absence `confirmGone` has accepted.")]
    errors: tuple[SyncFault, ...]
    duration_ms: float
    dry_run: bool
