"""The one catalogue of what can happen. Whatever tells anybody anything reads these from the event log."""

from datetime import datetime
from enum import StrEnum

from msgspec import Raw, field

from novita_gpu.domain.instance import InstanceId, Status
from novita_gpu.domain.value import Value


class EventType(StrEnum):
    CREATING = "instance.creating"
    STARTING = "instance.starting"
    RUNNING = "instance.running"
    READY = "instance.ready"
    STOPPING = "instance.stopping"
    STOPPED = "instance.stopped"
    MIGRATING = "instance.migrating"
    DELETING = "instance.deleting"
    DELETED = "instance.deleted"
    FAILED = "instance.failed"
    RECLAIM_NOTIFIED = "instance.reclaim_notified"
    AUTO_STOP_WARNING = "instance.auto_stop_warning"
    AUTO_DELETE_WARNING = "instance.auto_delete_warning"  # stopped for long, and to be deleted in a day
    STILL_BILLING = "instance.still_billing"  # a stop or delete was asked for three times in vain
    RECOVERED = "instance.recovered"
    DEARER = "instance.dearer"  # asked for as spot, it runs on demand; told of every day
    IMAGE_ASKED = "recovery.image_asked"  # its disk is being saved, as its machine will be taken
    IMAGE_SAVED = "recovery.image_saved"
    IMAGE_FAILED = "recovery.image_failed"  # not saved, or no new machine is made from it
    RENAMED = "instance.renamed"  # two of one name were made while the shared store was out
    UPDATED = "instance.updated"  # its policy was changed
    OFFER_CHOSEN = "launch.offer_chosen"  # it is being bought; the reason says why this one
    OFFER_REFUSED = "launch.offer_refused"  # the cloud would not sell it; the next one is tried
    ATTEMPT_SETTLED = "launch.attempt_settled"  # a lost answer: nothing was made
    ADOPTED = "launch.adopted"  # a machine whose create had no answer was found by its marker
    TWIN_FOUND = "launch.twin_found"  # a machine nobody waits for any more
    START_REFUSED = "start.refused"  # its GPU was given away
    READINESS_FAILED = "readiness.failed"  # runs, and has not answered within its time
    CHANGED_OUTSIDE = "cloud.changed_outside"  # somebody else started, stopped or removed it
    CIRCUIT_OPENED = "cloud.circuit_opened"  # a kind of call has no answers: it is paused
    CIRCUIT_CLOSED = "cloud.circuit_closed"
    ORPHAN_FOUND = "sync.orphan_found"  # a machine with our marker that no living record has
    ORPHAN_REMOVED = "sync.orphan_removed"  # it is being deleted, by the rule for orphans
    LOOKALIKE_FOUND = "sync.lookalike_found"  # half of a marker of ours: nobody knows whose it is
    TAKEN_IN = "sync.adopted"  # a machine that was there already has a record now, on request
    GONE_CONFIRMED = "sync.gone_confirmed"  # an operator says that what is missing is gone
    MASS_ABSENCE = "sync.mass_absence"  # too many gone at once to be believed
    ACCOUNT_CHANGED = "sync.account_changed"  # the key is another's, or was: nothing is closed for being absent
    STORE_PARTED = "store.parted"  # the shared store is out: a private one goes on
    STORE_MET = "store.met"  # it is back, and has what moved meanwhile
    STORE_RESTORED = "store.restored"  # it came back empty: the living are from memory, all else of it is lost
    LIMIT_REACHED = "launch.limit_reached"  # the operator's limit has no room for it: it waits
    CREATES_HELD = "launch.held"  # no money, or the key is not accepted
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    WEBHOOK_TEST = "webhook.test"
    ENDPOINT_OFF = "webhook.endpoint_off"  # nothing but failures for days: it is told nothing more


DELIVERED = frozenset(
    {
        EventType.CREATING,
        EventType.STARTING,
        EventType.RUNNING,
        EventType.READY,
        EventType.STOPPING,
        EventType.STOPPED,
        EventType.MIGRATING,
        EventType.DELETED,
        EventType.FAILED,
        EventType.RECLAIM_NOTIFIED,
        EventType.AUTO_STOP_WARNING,
        EventType.AUTO_DELETE_WARNING,
        EventType.STILL_BILLING,
        EventType.RECOVERED,
        EventType.DEARER,
        EventType.WEBHOOK_TEST,
    }
)

OF_STATUS = {
    Status.CREATING: EventType.CREATING,
    Status.STARTING: EventType.STARTING,
    Status.RUNNING: EventType.RUNNING,
    Status.READY: EventType.READY,
    Status.STOPPING: EventType.STOPPING,
    Status.STOPPED: EventType.STOPPED,
    Status.MIGRATING: EventType.MIGRATING,
    Status.DELETING: EventType.DELETING,
    Status.DELETED: EventType.DELETED,
    Status.FAILED: EventType.FAILED,
}


class Cause(Value, frozen=True, kw_only=True):
    """Who made a change and why. `actor`: a key's name, `auto-stop`, `recovery`, `cloud`, `sync`, `control`."""

    actor: str
    reason: str | None = None
    correlation: str = ""


class Event(Value, frozen=True, kw_only=True):
    """One thing that happened. `sequence` is given by the store; `instance` is the public view without secrets."""

    id: str
    type: EventType
    at: datetime
    actor: str
    instance_id: InstanceId | None = None
    reason: str | None = None
    correlation: str = ""
    operation: str | None = None
    previous_status: Status | None = None
    facts: dict[str, str] = field(default_factory=dict[str, str])
    instance: Raw | None = None
    sequence: int = 0
