"""Every key of the store, one function each; `LIFETIMES` says how long each kind lasts, or why it never ends.

All keys share one hash tag, so that a commit is one script on one slot of a cluster, and each command names
only keys of its prefix: the server may be shared with others.
"""

from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256

from novita_gpu.domain.instance import CloudId, InstanceId
from novita_gpu.domain.value import Value
from novita_gpu.store.base import Delivery

# How long a closed record, its timeline and its name are found, unless the operator says otherwise. Too small: a
# deleted instance is unknown to who asks, and a machine of its that turns up is nobody's.
CLOSED_FOR = timedelta(days=7)
# An answer is given again for this long (public contract), and an unanswered claim blocks its key for so long.
ANSWERED_FOR = timedelta(hours=24)
CLAIMED_FOR = timedelta(seconds=30)
# A delivery that is over can be looked up and sent again for this long, unless the store is told otherwise.
FINISHED_FOR = timedelta(days=30)
# A receiver is spared for so long at most, whatever it asks for.
RESTS_AT_MOST = timedelta(hours=24)
# A repeated append is recognised for this long: far above the longest retry of a lost answer.
APPENDED_FOR = timedelta(hours=1)
# The memory of empty regions ends by itself when nothing was added to it for this long.
EMPTIES_FOR = timedelta(days=1)
# A session ends at the latest so long after its login: a working day, and a long one.
LOGGED_IN_FOR = timedelta(hours=12)


class Lifetime(Value, frozen=True, kw_only=True):
    """`ttl` None: the key has none. `from_start`: it has its TTL from its first write, not only once it is over."""

    why: str
    ttl: timedelta | None = None
    from_start: bool = False


LIFETIMES = {
    "record": Lifetime(ttl=CLOSED_FOR, why="a living record never expires; it does once it is closed"),
    "activity": Lifetime(ttl=CLOSED_FOR, why="as its record"),
    "timeline": Lifetime(ttl=CLOSED_FOR, why="as its record"),
    "machine": Lifetime(ttl=CLOSED_FOR, why="as its record; removed when the record has another machine"),
    "name": Lifetime(why="removed when its record is closed"),
    "closed-name": Lifetime(ttl=CLOSED_FOR, from_start=True, why="the record it points at expires then"),
    "living": Lifetime(why="the list of what may bill"),
    "closed": Lifetime(why="an index; entries leave it when their record has expired"),
    "sequence": Lifetime(why="event sequences are never given twice"),
    "events": Lifetime(why="the log; `Events.trim` removes what is older than its retention"),
    "type": Lifetime(why="an index of the log, trimmed with it"),
    "appended": Lifetime(ttl=APPENDED_FOR, from_start=True, why="recognises a repeated append"),
    "feed": Lifetime(why="holds the last changes only, by number"),
    "feed-number": Lifetime(why="numbers of the feed are never given twice"),
    "delivery": Lifetime(ttl=FINISHED_FOR, why="an open delivery never expires; it does once it is over"),
    "queue": Lifetime(why="holds open deliveries only"),
    "receivers": Lifetime(why="holds receivers with open deliveries only"),
    "rests": Lifetime(ttl=RESTS_AT_MOST, from_start=True, why="each rest carries its own end"),
    "deliveries": Lifetime(why="an index; `Deliveries.trim` removes what has expired"),
    "delivery-number": Lifetime(why="numbers of deliveries are never given twice"),
    "endpoints": Lifetime(why="the list of registered endpoints"),
    "endpoint": Lifetime(why="removed on request"),
    "api-keys": Lifetime(why="a key is removed when it is revoked"),
    "api-keys-used": Lifetime(why="as api-keys"),
    "owned": Lifetime(why="holds living instances only"),
    "window": Lifetime(ttl=timedelta(minutes=1), from_start=True, why="ends with its minute"),
    "claim": Lifetime(ttl=ANSWERED_FOR, from_start=True, why="30 s while it is unanswered, then 24 h"),
    "session": Lifetime(ttl=LOGGED_IN_FOR, from_start=True, why="ends sooner when it is not used, or logged out"),
    "fact": Lifetime(why="who stores it says whether it expires"),
    "empties": Lifetime(ttl=EMPTIES_FOR, from_start=True, why="each entry carries its own end"),
    "empty-times": Lifetime(ttl=EMPTIES_FOR, from_start=True, why="as empties"),
    "reserved": Lifetime(why="the sum of what living records reserve of the operator's limits"),
    "counts": Lifetime(why="totals that only grow, a few dozen"),
    "ration": Lifetime(ttl=timedelta(hours=1), from_start=True, why="each entry ends with its span, an hour at most"),
    "lock": Lifetime(ttl=timedelta(hours=1), from_start=True, why="the holder says how long, an hour at most"),
    "rows": Lifetime(why="replaced by the next listing"),
    "markers": Lifetime(why="replaced by the next listing"),
    "mark": Lifetime(why="replaced by the next listing"),
    "trial": Lifetime(ttl=timedelta(minutes=1), from_start=True, why="gone when the server has been tried"),
}


class Keys(Value, frozen=True):
    """The keys of one store. `prefix` becomes the hash tag; two stores on one server have two prefixes."""

    prefix: str = "novita-gpu"

    def __post_init__(self) -> None:
        if not self.prefix or set(self.prefix) & set("{}*?[]\\ "):
            raise ValueError(f"a prefix has no braces, blanks or wildcards: {self.prefix!r}")

    def kind_of(self, key: str) -> str:
        """The kind of a key of this store, as `LIFETIMES` names it."""
        return key.removeprefix(f"{{{self.prefix}}}:").split(":", 1)[0]

    @property
    def pattern(self) -> str:
        """Matches every key of this store and none of another."""
        return f"{{{self.prefix}}}:*"

    def _of(self, *parts: str) -> str:
        return ":".join((f"{{{self.prefix}}}", *parts))

    @property
    def work(self) -> str:
        """What all keys and channels of the work engine begin with."""
        return self._of("work")

    def trial(self, name: str) -> str:
        """Stream on which a new process tries what the server can do."""
        return self._of("trial", name)

    def record(self, instance: InstanceId) -> str:
        """Hash: the document, and beside it revision, sequence, whether heartbeats are taken, what it reserves, the
        last commits.
        """
        return self._of("record", instance)

    def activity(self, instance: InstanceId) -> str:
        """The last heartbeat in microseconds since 1970; only grows."""
        return self._of("activity", instance)

    def timeline(self, instance: InstanceId) -> str:
        """Stream of the sequences of one instance's events."""
        return self._of("timeline", instance)

    def machine(self, machine: CloudId) -> str:
        """The id of the record that has this machine."""
        return self._of("machine", machine)

    def name(self, name: str) -> str:
        """The id of the living record of this name."""
        return self._of("name", name)

    def closed_name(self, name: str) -> str:
        """The id of the record of this name that was closed last."""
        return self._of("closed-name", name)

    def living(self) -> str:
        """Set of the ids of all records that are not closed."""
        return self._of("living")

    def closed(self) -> str:
        """Sorted set of the ids of closed records by the time at which they were closed."""
        return self._of("closed")

    def sequence(self) -> str:
        """The sequence of the last event."""
        return self._of("sequence")

    def events(self) -> str:
        """Stream of all events; the id of an entry is `<sequence>-0`."""
        return self._of("events")

    def type(self, event_type: str) -> str:
        """Stream of the sequences of all events of one type."""
        return self._of("type", event_type)

    def appended(self, event_id: str) -> str:
        """The sequence that an appended event was given."""
        return self._of("appended", event_id)

    def feed(self) -> str:
        """Stream of what changed: revisions, heartbeats, sequences; the id is `<feed number>-0`, without gaps."""
        return self._of("feed")

    def feed_number(self) -> str:
        """The number of the last feed entry."""
        return self._of("feed-number")

    def delivery(self, delivery_id: str) -> str:
        """Hash: the document, and beside it sequence, number and state."""
        return self._of("delivery", delivery_id)

    def queue(self, host: str) -> str:
        """Sorted set of the ids of one receiver's open deliveries by the time at which they are due."""
        return self._of("queue", host)

    def receivers(self) -> str:
        """Sorted set of hosts by the time at which something is due for them and they are not resting."""
        return self._of("receivers")

    def rests(self) -> str:
        """Sorted set of hosts by the time until which they are spared."""
        return self._of("rests")

    def of_deliveries(self, deliveries: Iterable[Delivery]) -> list[str]:
        """For each its own key and that of its queue."""
        return [key for each in deliveries for key in (self.delivery(each.id), self.queue(each.host))]

    def deliveries(self) -> str:
        """Sorted set of the ids of all deliveries by number, which is by age."""
        return self._of("deliveries")

    def delivery_number(self) -> str:
        """The number of the last delivery."""
        return self._of("delivery-number")

    def endpoints(self) -> str:
        """Set of the ids of registered endpoints."""
        return self._of("endpoints")

    def endpoint(self, endpoint_id: str) -> str:
        """Hash: the document, secrets with it, and beside it revision and the sequence up to which it has all."""
        return self._of("endpoint", endpoint_id)

    def api_keys(self) -> str:
        """Hash: keys of the API by id, each as its hash with what it allows."""
        return self._of("api-keys")

    def api_keys_used(self) -> str:
        """Hash: when each of them was last used, by id, in microseconds since 1970; to the minute."""
        return self._of("api-keys-used")

    def owned(self, key_id: str) -> str:
        """Hash: the living instances that one key created, with the rate that each reserves."""
        return self._of("owned", key_id)

    def window(self, key_id: str) -> str:
        """How often a key of the API has asked since its minute began, with RATE_LIMIT_SHARED."""
        return self._of("window", key_id)

    def claim(self, key: str) -> str:
        """Hash: the mark on one Idempotency-Key, later its answer. Hashed: the caller chooses `key`."""
        return self.claim_named(sha256(key.encode()).hexdigest())

    def claim_named(self, name: str) -> str:
        """The same, by the hash."""
        return self._of("claim", name)

    def session(self, token_hash: str) -> str:
        """Which key a browser has logged in with, and when it must again. The token itself is not stored."""
        return self._of("session", token_hash)

    def fact(self, name: str) -> str:
        """One small value."""
        return self._of("fact", name)

    def empties(self) -> str:
        """Sorted set of offers remembered as empty by the end of the memory."""
        return self._of("empties")

    def empty_times(self) -> str:
        """Hash: how often each of these was met as empty."""
        return self._of("empty-times")

    def reserved(self) -> str:
        """The sum of what living records reserve, as a rate; each record has its part beside its document."""
        return self._of("reserved")

    def counts(self) -> str:
        """Hash: how often each kind of thing was committed."""
        return self._of("counts")

    def ration(self, name: str) -> str:
        """Sorted set of who has had a place by the time at which it was given."""
        return self._of("ration", name)

    def lock(self, name: str) -> str:
        """The owner of a lock."""
        return self._of("lock", name)

    def rows(self) -> str:
        """Hash: the cloud's machines by id, as last listed."""
        return self._of("rows")

    def markers(self) -> str:
        """Sorted set of `<marker> <machine id>`, to be searched by marker."""
        return self._of("markers")

    def mark(self) -> str:
        """Hash: the mark of the last listing, its generation, and the begin of the last complete one."""
        return self._of("mark")
