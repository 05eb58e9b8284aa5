"""The tables of keys in docs/redis.md, made from store/keys.py: `make docs`."""

import re
from datetime import timedelta

from novita_gpu.store.keys import LIFETIMES, Keys, Lifetime
from tests.architecture.pages import ROOT

PAGE = ROOT / "docs" / "redis.md"
HEADING = "## Keys\n"
INTRODUCTION = """\
All begin with `{novita-gpu}:`, or whatever `REDIS_KEY_PREFIX` says. A kind is followed by an id where there are more.
One that has no TTL is a truth, or holds no more than what is named. Sizes are rough. `make docs` makes these tables
from `src/novita_gpu/store/keys.py`."""
TYPES = {"Hash": "hash", "Stream": "stream", "Sorted set": "zset", "Set": "set"}
# Of one key, rough, on Valkey. A new kind of key has its line here.
SIZES = {
    "record": "4 KB",
    "activity": "0.1 KB",
    "timeline": "4 KB, then 0.1 KB an event",
    "machine": "0.1 KB",
    "name": "0.1 KB",
    "closed-name": "0.1 KB",
    "living": "0.1 KB an instance",
    "closed": "0.1 KB a deleted instance",
    "sequence": "0.1 KB",
    "events": "1 KB an event",
    "type": "4 KB, then 20 bytes an event",
    "appended": "0.1 KB",
    "feed": "4 KB, then 0.1 KB an entry; 10,000 entries",
    "feed-number": "0.1 KB",
    "delivery": "2 KB",
    "queue": "0.1 KB an open delivery",
    "receivers": "0.1 KB a host",
    "rests": "0.1 KB a host",
    "endpoints": "0.1 KB an endpoint",
    "endpoint": "1 KB",
    "deliveries": "0.1 KB a delivery",
    "delivery-number": "0.1 KB",
    "api-keys": "0.5 KB a key",
    "api-keys-used": "0.1 KB a key",
    "owned": "0.1 KB an instance",
    "window": "0.1 KB a key",
    "claim": "1 to 10 KB",
    "session": "0.3 KB a browser",
    "fact": "0.1 KB; the catalogue's some 5 KB each",
    "empties": "0.1 KB an offer",
    "empty-times": "0.1 KB an offer",
    "reserved": "0.1 KB",
    "counts": "2 KB, and 0.3 KB for each product in each region",
    "ration": "0.1 KB an entry",
    "lock": "0.1 KB",
    "rows": "0.5 KB a machine",
    "markers": "0.1 KB a machine",
    "mark": "1 KB",
    "trial": "1 KB",
}
# The facts that never end by themselves. All others have a TTL.
FACTS = {
    "cloud-root": "the cloud that the store belongs to",
    "deployment": "whose the markers of machines are",
    "incarnation": "names the store's contents; another one after they were lost",
    "admin-key-hash": "the admin key that was made at the first start",
    "webhook-secret": "what deliveries are signed with, if none was given",
    "account": "the API key, hashed, that last showed our machines",
    "listening": "since when heartbeats could arrive without a gap",
    "auto-stop-check": "when idleness was last checked, and what was found",
    "sync": "what the last comparison with the cloud found",
    "sync-asked": "since when a comparison is asked for",
    "worker": "the last word of a worker: who, and when",
    "cache-cleared": "which caches were cleared by hand, and when",
    "outage:<kind>": "that the cloud does not answer calls of that kind; removed when it does",
    "orphans": "machines of ours that nobody has; removed when there are none",
    "told:<machine>": "that an orphan was told of; removed when it is none any more",
    "parted": "of a private store: it was begun, and is not done with",
    "base:<id>:<revision>": "of a private store: a record as the shared one had it when it was copied",
    "base:keys": "of a private store: which API keys there were when the stores parted",
}
# Kept by docket: what follows `work:`, as a pattern and as shown; type; how long; what it is.
WORK = (
    (r"stream", "stream", "stream", "none", "tasks that are due; each leaves it when it is done"),
    (r"queue", "queue", "zset", "none", "tasks for later, by time; each leaves it when it is due"),
    (r"runs:.+", "runs:<task>", "hash", "1 minute, once over", "the state of a task; none while it is to come"),
    (r"progress:.+", "progress:<task>", "hash", "none", "of a task under way; removed when it ends"),
    (
        r"concurrency:.+:waiters",
        "concurrency:<what>:waiters",
        "stream",
        "while used",
        "passes put off by one under way",
    ),
    (r"concurrency:.+", "concurrency:<what>", "zset", "while used", "who passes over it now; renewed meanwhile"),
    (r"workers", "workers", "zset", "none", "workers by when they last said that they are there; old ones are removed"),
    (r"task-workers:.+", "task-workers:<task>", "zset", "none", "the same for each kind of task"),
    (r"worker-tasks:.+", "worker-tasks:<worker>", "set", "25 minutes", "the kinds of tasks of a worker"),
    (r"leases:.+|perpetual:lock", "leases:…, perpetual:lock", "string", "seconds", "who looks for abandoned work"),
    (r"strikes", "strikes", "stream", "none", "not used"),
    (r".+", "<task>", "hash", "none", "the arguments of a task for later; removed when it is due"),
)


def page() -> str:
    """The page with its tables as they should be."""
    before, _, _ = PAGE.read_text("utf-8").partition(HEADING)
    rows = [
        _row(f"`{kind}`", type_of(kind), ttl_of(life), _docs(kind), life.why, SIZES[kind])
        for kind, life in LIFETIMES.items()
    ]
    work = [_row(f"`work:{shown}`", type_, ttl, what) for _, shown, type_, ttl, what in WORK]
    return "\n".join(
        [
            before + HEADING,
            INTRODUCTION,
            "",
            *_table("key", "type", "TTL", "what it is", "why it lasts so long", "size of one"),
            *rows,
            "",
            "Facts without a TTL:",
            "",
            *_table("`fact:…`", "what it is"),
            *(_row(f"`{name}`", what) for name, what in FACTS.items()),
            "",
            "The work queue's, kept by docket. Losing all of them costs seconds.",
            "",
            *_table("key", "type", "TTL", "what it is"),
            *work,
            "",
        ]
    )


def type_of(kind: str) -> str:
    """By the first words of what keys.py says of it; a value of one piece says nothing of its type."""
    found = [type_ for word, type_ in TYPES.items() if _docs(kind).startswith(word)]
    return found[0] if found else "string"


def ttl_of(lifetime: Lifetime) -> str:
    if lifetime.ttl is None:
        return "none"
    return span(lifetime.ttl) if lifetime.from_start else f"{span(lifetime.ttl)}, once over"


def span(length: timedelta) -> str:
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        number, rest = divmod(int(length.total_seconds()), seconds)
        if number and not rest:
            return f"{number} {unit}" + ("s" if number > 1 else "")
    return f"{length.total_seconds():g} seconds"


def lasts(fact: str) -> bool:
    """It is one of the facts that may be without a TTL."""
    return any(re.fullmatch(re.sub("<.+>", ".+", name), fact) for name in FACTS)


def work_row(name: str) -> tuple[str, str]:
    """Type and TTL that are told of what follows `work:` in a key's name."""
    return next((type_, ttl) for pattern, _, type_, ttl, _ in WORK if re.fullmatch(pattern, name))


def _docs(kind: str) -> str:
    return " ".join((getattr(Keys, kind.replace("-", "_")).__doc__ or "").split())


def _table(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
