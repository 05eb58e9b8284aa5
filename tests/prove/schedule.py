"""A schedule: who wishes what and when, and what goes wrong on the way. The same schedule always runs the same."""

from enum import StrEnum
from typing import Literal

import msgspec

Verb = Literal["create", "start", "stop", "restart", "delete", "touch", "patch"]


class Trouble(StrEnum):
    """What can befall an operation. Seconds are of the simulated clock."""

    # whichever operation it is
    KILL = "kill"  # before it, its process is gone; another one starts `seconds` later
    PAUSE = "pause"  # before it, its process stands still for `seconds` and then goes on
    JUMP = "jump"  # before it, everything stands still for `seconds`
    BEAT = "beat"  # before it, a heartbeat of every instance arrives at another process
    # an operation of the store, the cloud or the bell
    LOST = "lost"  # an error before the effect
    UNHEARD = "unheard"  # an error after the effect
    TWICE = "twice"  # its effect comes twice; a command sent again, a request doubled on the way
    LATE = "late"  # the answer, or the ring, comes `seconds` later
    OUT = "out"  # it and all others of its seam fail for `seconds`
    # a request to the cloud
    FAILED = "failed"  # 500 before the effect
    SPOILED = "spoiled"  # 500 after the effect
    PAGE = "page"  # an HTML page with 200 after the effect
    BUSY = "busy"  # 429
    FULL = "full"  # no capacity
    LATER = "later"  # no answer, and the effect `seconds` later
    STALE = "stale"  # from here on the listing stands still for `seconds`
    SHORT = "short"  # a listing that lacks its last row
    # a probe
    SICK = "sick"  # what is probed does not answer


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Never changes."""


class Wish(Value, frozen=True, kw_only=True):
    """A person's request, asked again until it is answered. Requests with one `key` are the same request."""

    at: float
    verb: Verb
    name: str = "a"
    key: str = ""


class Outside(Value, frozen=True, kw_only=True):
    """Something that happens in the cloud without us: to the instance's machine, or to the next one created (`stick`).

    `reclaim`: the cloud takes a spot machine, `seconds` after its notice.
    `clone`: somebody makes a machine with the same environment.
    `elsewhere`: for `seconds` it is another account's cloud that answers, and it is empty.
    """

    at: float
    act: Literal["start", "stop", "delete", "crash", "stick", "clone", "elsewhere", "reclaim"]
    name: str = "a"
    seconds: float = 0.0


class Hazard(Value, frozen=True, kw_only=True):
    """The trouble of one operation: the `nth` of all (from 0), or of those named `op`; and of `times` in a row."""

    trouble: Trouble
    nth: int
    op: str = ""
    times: int = 1
    seconds: float = 0.0


class Parted(Value, frozen=True, kw_only=True):
    """The line from the first replica to the shared store is cut, for `seconds`."""

    at: float
    seconds: float


class Schedule(Value, frozen=True, kw_only=True):
    """`order` 0 releases operations in the order in which they were asked for, another number by that chance.

    `room`: the operator's limit lets so many machines of the dearest offer run at once; 0 is no limit.
    `idle_minutes`: after so long without a heartbeat each instance is stopped; 0 is longer than any schedule.
    `spot`: all are spot machines, brought back in that way; `image`: their disks are saved at the notice.
    """

    wishes: tuple[Wish, ...]
    hazards: tuple[Hazard, ...] = ()
    outside: tuple[Outside, ...] = ()
    parted: tuple[Parted, ...] = ()
    replicas: int = 1
    order: int = 0
    room: int = 0
    idle_minutes: int = 0
    spot: Literal["", "migrate", "recreate"] = ""
    image: bool = False

    @property
    def size(self) -> int:
        return (
            len(self.wishes)
            + len(self.hazards)
            + len(self.outside)
            + len(self.parted)
            + self.replicas
            + bool(self.order)
            + bool(self.room)
            + bool(self.idle_minutes)
            + bool(self.spot)
            + self.image
        )

    def with_hazards(self, *hazards: Hazard) -> "Schedule":
        return msgspec.structs.replace(self, hazards=(*self.hazards, *hazards))


def written(schedule: Schedule) -> str:
    return msgspec.json.format(msgspec.json.encode(schedule), indent=2).decode() + "\n"


def read(text: str | bytes) -> Schedule:
    """Raises `msgspec.ValidationError`."""
    return msgspec.json.decode(text, type=Schedule)
