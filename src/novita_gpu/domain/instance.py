"""The record of one instance, what is wanted of it, what was seen of it, and the public status computed from both."""

from datetime import datetime
from enum import StrEnum
from typing import Literal, NewType

from msgspec import field
from msgspec.structs import replace

from novita_gpu.domain.api_key import Owner
from novita_gpu.domain.bill import Bill
from novita_gpu.domain.dearer import Dearer
from novita_gpu.domain.gpu import GpuReading
from novita_gpu.domain.image import SavedImage
from novita_gpu.domain.saving import Saving
from novita_gpu.domain.spec import AutoStop, BillingMode, HealthCheck, OnStartCapacity, Recovery, Spec
from novita_gpu.domain.value import Value
from novita_gpu.hidden import Secret

InstanceId = NewType("InstanceId", str)
CloudId = NewType("CloudId", str)


class Wish(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class Status(StrEnum):
    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    MIGRATING = "migrating"
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"


AT_REST = frozenset({Status.READY, Status.STOPPED, Status.FAILED, Status.DELETED})


class Offer(Value, frozen=True, kw_only=True):
    """One product in one cluster at one price."""

    product_id: str
    product_name: str
    cluster_id: str
    region: str
    billing_mode: BillingMode
    gpu_num: int
    units_per_hour: int  # 1/100000 USD for the whole instance; 0: nobody knows
    cpu_num: int | None = None
    memory_gb: int | None = None


class AttemptState(StrEnum):
    OPEN = "open"  # sent, or about to be; what came of it is not known
    ADOPTED = "adopted"  # its machine is known
    REFUSED = "refused"  # the cloud's answer says that nothing was made
    SETTLED = "settled"  # no answer, and two complete listings without its marker
    TAKEN_IN = "taken_in"  # no create of ours: its machine was there already and was taken in on request
    RELEASED = "released"  # what bears its marker is not ours to touch; its number is never given again


class Refusal(StrEnum):
    """Why an attempt made nothing. `CAPACITY`, `WITHDRAWN` and `STUCK` go on to the next offer, `LATER` tries the same
    again.
    """

    CAPACITY = "capacity"
    WITHDRAWN = "withdrawn"  # the cloud does not know the product or the place any more
    REJECTED = "rejected"
    LATER = "later"
    HELD = "held"  # no money, or the key is not accepted: no create at all until it is
    STUCK = "stuck"  # made, never ran, deleted again


class Attempt(Value, frozen=True, kw_only=True):
    """One try at creating a machine, stored before the call."""

    number: int
    marker: str
    offer: Offer
    intent_at: datetime
    deadline: datetime  # when the call has answered or never will
    state: AttemptState = AttemptState.OPEN
    machine: CloudId | None = None
    refusal: Refusal | None = None
    message: str | None = None
    answered_at: datetime | None = None
    absent_at: datetime | None = None  # begin of the first settling listing that lacked its marker
    gone_at: datetime | None = None  # begin of the look that said so of its machine
    vanished_at: datetime | None = None  # its machine went though nobody here had asked for that

    @property
    def is_removed(self) -> bool:
        """Its machine is gone, by our own doing."""
        return self.gone_at is not None and self.vanished_at is None


class Machine(Value, frozen=True, kw_only=True):
    """The machine that the record has in the cloud."""

    id: CloudId
    offer: Offer
    attempt: int
    adopted_at: datetime
    ran: bool = False  # it has been seen running, so it holds data


class Seen(Value, frozen=True, kw_only=True):
    """The last look that counted. `at` is when the look began. Fields are the cloud's own words."""

    at: datetime
    status: str
    spot_status: str = ""
    spot_reclaim_at: datetime | None = None
    error_state: str = ""
    error_message: str = ""
    last_started_at: datetime | None = None
    last_stopped_at: datetime | None = None


class MutationKind(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    MIGRATE = "migrate"
    DELETE = "delete"


class Mutation(Value, frozen=True, kw_only=True):
    """A call that changes an existing machine, stored before it is sent."""

    id: str
    kind: MutationKind
    machine: CloudId
    generation: int  # of the wish that it serves
    at: datetime
    deadline: datetime
    answered_at: datetime | None = None
    refused: bool = False  # the answer says that it had no effect
    tries: int = 1

    @property
    def over_at(self) -> datetime:
        """From when on a look tells of its effect."""
        return self.answered_at or self.deadline


class RunKind(StrEnum):
    LAUNCH = "launch"
    START = "start"
    RESTART = "restart"
    RECOVERY = "recovery"  # brought back after it was taken
    TAKEN_IN = "taken_in"  # ran or came up already when it was taken in: no time limit of ours began it


class PortMapping(Value, frozen=True, kw_only=True):
    port: int
    type: str
    endpoint: str


class Connection(Value, frozen=True, kw_only=True):
    """How to reach this run's machine. Port and password change at each start (observed)."""

    read_at: datetime
    ports: tuple[PortMapping, ...] = ()
    ssh: str | None = None
    ssh_password: Secret | None = None
    jupyter: str | None = None
    web_terminal: str | None = None


class EndpointHealth(Value, frozen=True, kw_only=True):
    port: int
    endpoint: str
    healthy: bool
    status_code: int | None = None
    error: str | None = None
    response_time_ms: int = 0


class Readiness(Value, frozen=True, kw_only=True):
    state: Literal["pending", "probing", "ready", "failed"] = "pending"
    checked_at: datetime | None = None
    tries: int = 0
    endpoints: tuple[EndpointHealth, ...] = ()


class Warned(Value, frozen=True, kw_only=True):
    """That it will be stopped was told: for which deadline, when, and until when it may still be put off."""

    due: datetime
    at: datetime
    stops_at: datetime


class Run(Value, frozen=True, kw_only=True):
    """The times of this run only: a new start begins a new one, so no rule ever judges by the run before."""

    kind: RunKind
    asked_at: datetime
    limit_from: datetime | None = None  # where the launch limit counts from, once an offer's machine got stuck
    sent_at: datetime | None = None  # the cloud's answer to create, start or restart (or the end of its deadline)
    running_at: datetime | None = None
    ready_at: datetime | None = None
    migrate: bool = False  # the start goes by migration: its GPU was given away
    on_demand: bool = False  # no region sells it as spot, and its recovery may go on without
    refusals: int = 0  # answers so far that ask for a pause before the next try
    no_room: bool = False  # a limit has no room for it: nothing is reserved for it until there is
    not_before: datetime | None = None  # end of that pause
    connection: Connection | None = None
    readiness: Readiness = Readiness()
    gpu: GpuReading | None = None
    warned: Warned | None = None
    discard_warned_at: datetime | None = None  # when its deletion for being stopped was told of


class Recovering(Value, frozen=True, kw_only=True):
    """Its machine was taken and is to come back: by the cloud's migration, or as a new machine.

    `begun_at` is None while it waits for its time. `former` is kept until the new machine answers.
    """

    lost_at: datetime
    reason: str
    by: Literal["migrate", "recreate"]
    begun_at: datetime | None = None
    former: Machine | None = None
    former_seen: Seen | None = None


class Failure(Value, frozen=True, kw_only=True):
    code: str
    message: str
    at: datetime


class Told(Value, frozen=True, kw_only=True):
    """How many events of each type an operation has had."""

    operation: str = ""
    counts: dict[str, int] = field(default_factory=dict[str, int])


class Record(Value, frozen=True, kw_only=True):
    """All that is known of one instance. Written whole, guarded by `revision`, never half."""

    id: InstanceId
    name: str
    spec: Spec
    wants: Wish
    generation: int = 1  # counts wishes
    operation: str  # id of the operation that the present wish began
    correlation: str = ""
    owner: Owner | None = None  # of one that was taken in there is none
    created_at: datetime
    run: Run
    health_check: HealthCheck = HealthCheck()
    auto_stop: AutoStop = AutoStop()
    recovery: Recovery = Recovery()
    on_start_capacity: OnStartCapacity = OnStartCapacity.WAIT
    dearest: int = 0  # price per hour of the dearest offer that was allowed when it was accepted
    webhook_url: str | None = None  # the instance's own
    operation_webhook_url: str | None = None  # of the request that the present wish came with
    attempts: tuple[Attempt, ...] = ()
    machine: Machine | None = None
    seen: Seen | None = None
    missing_at: datetime | None = None  # begin of the get that answered not-found
    mutation: Mutation | None = None  # the last one of its machine
    twin_removal: Mutation | None = None  # the last one of a machine that nobody waits for
    failure: Failure | None = None
    reason: str | None = None
    bill: Bill = Bill()
    saving: Saving = Saving()
    dearer: Dearer = Dearer()
    image: SavedImage | None = None  # the last one made at a notice
    recovering: Recovering | None = None
    recoveries: tuple[datetime, ...] = ()  # begins of those within a day
    due: datetime | None = None  # when the next pass is due; the alarm is only a copy
    started_at: datetime | None = None
    ready_at: datetime | None = None
    stopped_at: datetime | None = None
    deleted_at: datetime | None = None
    updated_at: datetime
    revision: int = 0  # set by the store
    sequence: int = 0  # of its last event; set by the store
    base: int | None = None
    told: Told = Told()

    @property
    def open_attempt(self) -> Attempt | None:
        return next((a for a in self.attempts if a.state is AttemptState.OPEN), None)

    @property
    def next_attempt(self) -> int:
        """The number of the next attempt. Numbers are never used twice: a marker names one create."""
        return max((attempt.number for attempt in self.attempts), default=0) + 1

    @property
    def offer(self) -> Offer | None:
        """The offer of its machine, else of the last attempt."""
        if self.machine:
            return self.machine.offer
        return self.attempts[-1].offer if self.attempts else None

    @property
    def looks_count_from(self) -> datetime | None:
        """A look that began before this tells nothing: the last mutation had not been answered."""
        times = [t for t in (self.mutation and self.mutation.over_at, self.machine and self.machine.adopted_at) if t]
        return max(times, default=None)

    def with_attempt(self, attempt: Attempt) -> "Record":
        """The record with this attempt in the place of the one with its number, or added."""
        others = tuple(a for a in self.attempts if a.number != attempt.number)
        return replace(self, attempts=tuple(sorted((*others, attempt), key=lambda a: a.number)))


GONE_STATUS = "removed"
EXITED_STATUS = "exited"
RUNNING_STATUS = "running"
MIGRATING_STATUS = "migrating"
# On their way up, whoever asked for it.
COMING_UP_STATUSES = frozenset(
    {"toCreate", "creating", "pulling", "toStart", "starting", "toRestart", "restarting", "toReset", "resetting"}
    | {"migrating", "pending"}
)
GOING_STATUSES = frozenset({"toRemove", "removing", "removed"})


def is_down(record: Record) -> bool:
    """Nothing runs for it: no attempt is open, and the machine is none or was seen exited."""
    if record.open_attempt:
        return False
    if record.machine is None:
        return _is_former_down(record)
    return record.seen is not None and record.seen.status == EXITED_STATUS and not _may_come_up(record)


def _is_former_down(record: Record) -> bool:
    """The machine that waits for its replacement does not run either, as far as is known."""
    seen = record.recovering.former_seen if record.recovering and record.recovering.former else None
    return seen is None or seen.status in GOING_STATUSES | {EXITED_STATUS}


def _may_come_up(record: Record) -> bool:
    """A start was sent that may have its effect, and what was seen is from before it."""
    sent = record.mutation
    is_start = sent is not None and sent.kind in {MutationKind.START, MutationKind.MIGRATE} and not sent.refused
    since = record.looks_count_from
    return is_start and since is not None and record.seen is not None and record.seen.at < since


def status(record: Record) -> Status:
    """The public status. Computed from the record alone; nobody assigns it."""
    if record.deleted_at:
        return Status.DELETED
    if record.wants is Wish.DELETED:
        return Status.DELETING
    if record.wants is Wish.STOPPED:
        return Status.STOPPED if is_down(record) else Status.STOPPING
    if record.failure:
        return Status.FAILED if is_down(record) else Status.STOPPING
    if record.recovering:
        return Status.MIGRATING
    if record.run.ready_at:
        return Status.READY
    if record.run.running_at:
        return Status.RUNNING
    return Status.CREATING if record.run.kind is RunKind.LAUNCH else Status.STARTING


# A stop or delete that was asked for so often in vain is told of.
TRIES_UNTOLD = 3


def bills_in_vain(record: Record) -> bool:
    """Its stop or delete is asked for again and again, and it still bills."""
    sent = record.mutation
    is_saving = sent is not None and sent.kind in {MutationKind.STOP, MutationKind.DELETE}
    return (
        is_saving and sent is not None and sent.tries > TRIES_UNTOLD and not record.deleted_at and not is_down(record)
    )


def is_moving(record: Record) -> bool:
    """Something is expected to change soon, so the cloud is looked at often."""
    if record.recovering and not record.recovering.begun_at and record.run.not_before:
        return False  # it waits for its time, for hours perhaps
    return status(record) not in AT_REST or record.open_attempt is not None
