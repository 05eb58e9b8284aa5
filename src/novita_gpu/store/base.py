"""What goes into the store and comes out of it, and what can go wrong on the way.

StoreError
├── Unavailable     the server does not answer; whether a write was done is unknown
│   └── Refused     it answered with an error of its own: it cannot or may not do that now
├── Unreadable      what is stored was not written by this version or is damaged; it is left alone
└── Lost            the write was not done, and says why
    ├── Stale       the record has moved on: load it and decide anew
    ├── NameTaken   a living instance has the name
    ├── HadAlready  a living instance has the machine that a new record was to have
    ├── InUse       a heartbeat came after the one that the stop had weighed
    ├── OverLimit   the operator's limits, or its key's, have no room for what it may come to bill
    ├── NotRunning  a heartbeat for what is not meant to run, or does not exist
    ├── Full        there are as many endpoints, or keys of the API, as there may be
    ├── KeyNameTaken another key of the API has the name
    └── ClaimLost   the idempotency mark is no longer ours
"""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import field

from novita_gpu.domain.events import Event
from novita_gpu.domain.instance import CloudId, InstanceId, Record
from novita_gpu.domain.limits import Limits, Reserved, broken
from novita_gpu.domain.value import Value
from novita_gpu.hidden import SECRET


class StoreError(Exception): ...


class Unavailable(StoreError): ...


class Refused(Unavailable): ...


class Unreadable(StoreError): ...


class Lost(StoreError): ...


class Stale(Lost): ...


class NameTaken(Lost):
    def __init__(self, name: str, owner: InstanceId) -> None:
        super().__init__(f"{name} is taken by {owner}")
        self.name = name
        self.owner = owner


class HadAlready(Lost):
    def __init__(self, machine: CloudId, owner: InstanceId) -> None:
        super().__init__(f"{machine} is the machine of {owner}")
        self.owner = owner


class InUse(Lost): ...


class OverLimit(Lost):
    """`there`: what would be reserved with it, `asked`: its own part, a rate. `key`: whose limits they are, by the name
    of the key; the operator's without one.
    """

    def __init__(self, limits: Limits, there: Reserved, asked: int, key: str = "") -> None:
        super().__init__(broken(limits, there, asked, key))
        self.limits, self.there, self.asked, self.key = limits, there, asked, key


class NotRunning(Lost): ...


class Full(Lost): ...


class KeyNameTaken(Lost): ...


class ClaimLost(Lost): ...


class Answer(Value, frozen=True, kw_only=True):
    """An answer kept for its Idempotency-Key."""

    status: int
    body: Annotated[bytes, SECRET]


class Claim(Value, frozen=True, kw_only=True):
    """Our mark on an Idempotency-Key: `key` is the full key (caller, method, path, key), `token` says it is ours."""

    key: str
    fingerprint: str
    token: str


Outcome = Literal["ours", "answered", "busy", "reused"]


class Claimed(Value, frozen=True, kw_only=True):
    """What a claim found.

    `ours`: go on. `answered`: give it again. `busy`: the first is still running. `reused`: another body had it.
    """

    outcome: Outcome
    answer: Answer | None = None


class Try(Value, frozen=True, kw_only=True):
    """One sending of a delivery."""

    at: datetime
    duration_ms: int
    status_code: int | None = None
    error: str | None = None
    answer: str = ""


class Delivery(Value, frozen=True, kw_only=True):
    """One event on its way to one receiver. The store gives `revision`, `number`, by which deliveries are listed, and
    `sequence`, its event's.

    Of `tries` the first `tries_before` belong to an earlier round of its schedule: it was sent again on request.
    """

    id: str  # also the `webhook-id`, constant over retries: derives from the event's id
    event_id: str
    url: str
    due: datetime
    state: Literal["pending", "delivered", "exhausted"] = "pending"
    tries: tuple[Try, ...] = ()
    tries_before: int = 0
    created_at: datetime
    instance_id: InstanceId | None = None
    type: str = ""
    endpoint_id: str | None = None  # the registered one; None: an instance's receiver, or the configured one
    sequence: int = 0
    number: int = 0
    revision: int = 0

    @property
    def host(self) -> str:
        """Host and port of its receiver, as far as the address can be read: those of one host share a queue."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return self.url


def addressed(event: Event, url: str, endpoint_id: str | None = None) -> Delivery:
    """The delivery of an event to a receiver. Its id derives from both: made twice, it is still one."""
    base = event.id.replace("evt_", "msg_", 1)
    return Delivery(
        id=base if endpoint_id is None else f"{base}_{endpoint_id.rpartition('_')[2]}",
        event_id=event.id,
        url=url,
        due=event.at,
        created_at=event.at,
        instance_id=event.instance_id,
        type=event.type.value,
        endpoint_id=endpoint_id,
        sequence=event.sequence,
    )


class Change(Value, frozen=True, kw_only=True):
    """One commit: a record, and everything that must be written with it or not at all.

    `before` is what the change was decided on: its revision guards the write (None: the record is new).
    `weighed_activity` guards a stop for idleness: a later heartbeat makes it `InUse`.
    `limits` are checked with what all living records reserve once this is written.
    `counts` are added to the totals, by names without blanks.
    `id` names this very commit: the same again, after a lost answer, is answered as the first was and doubles
    nothing. Without one, each call of `commit` is a commit of its own.
    """

    id: str = ""
    before: Record | None
    after: Record
    events: tuple[Event, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    claim: Claim | None = None
    answer: Answer | None = None
    guards_activity: bool = False
    weighed_activity: datetime | None = None
    limits: Limits | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
