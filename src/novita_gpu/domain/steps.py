"""What one pass may do: a closed union. Each step says why."""

from datetime import datetime
from typing import Literal

from novita_gpu.domain.idle import Rule
from novita_gpu.domain.instance import Attempt, CloudId, MutationKind
from novita_gpu.domain.look import Row
from novita_gpu.domain.value import Value


class Rest(Value, frozen=True, kw_only=True):
    """Nothing to do until then, or until somebody rings."""

    until: datetime | None = None
    reason: str


class Adopt(Value, frozen=True, kw_only=True):
    """The machine of an attempt was found by its marker."""

    attempt: Attempt
    row: Row
    reason: str


class Settle(Value, frozen=True, kw_only=True):
    """An attempt without an answer made nothing."""

    attempt: Attempt
    reason: str


class Close(Value, frozen=True, kw_only=True):
    """Deleted, and nothing is left of it in the cloud."""

    reason: str


class Inspect(Value, frozen=True, kw_only=True):
    """One get: for connection details, or because a listing lacks it."""

    reason: str


class Launch(Value, frozen=True, kw_only=True):
    """Create a machine from the next offer."""

    reason: str


class Change(Value, frozen=True, kw_only=True):
    """A mutation of a machine that exists: start, stop, restart, migrate, delete."""

    kind: MutationKind
    machine: CloudId
    twin: bool = False  # not its own machine
    orphan: bool = False  # its own former machine, removed by the rule for orphans
    tries: int = 1
    reason: str


class Idle(Value, frozen=True, kw_only=True):
    """Its own policy wants it stopped. For idleness the wish changes guarded by the heartbeat that was weighed."""

    rule: Rule
    weighed: datetime | None
    reason: str


class Warn(Value, frozen=True, kw_only=True):
    """Tell that it will be stopped at `stops_at`, for the deadline `due`."""

    due: datetime
    stops_at: datetime
    rule: Rule
    reason: str


class Measure(Value, frozen=True, kw_only=True):
    """Read its GPU use."""

    reason: str


class WarnDiscard(Value, frozen=True, kw_only=True):
    """Tell that it will be deleted then for being stopped."""

    deletes_at: datetime
    reason: str


class Discard(Value, frozen=True, kw_only=True):
    """It was stopped for so long that it is deleted: its disk bills."""

    reason: str


class Probe(Value, frozen=True, kw_only=True):
    """Ask its endpoints whether they answer."""

    reason: str


class Postpone(Value, frozen=True, kw_only=True):
    """Its recovery waits for its time, and says until when."""

    until: datetime
    reason: str


class Recover(Value, frozen=True, kw_only=True):
    """Bring it back: by the cloud's migration, or by a new machine."""

    by: Literal["migrate", "recreate"]
    reason: str


class TakeBack(Value, frozen=True, kw_only=True):
    """No replacement came and none is wanted: its former machine is its machine again."""

    reason: str


class SaveImage(Value, frozen=True, kw_only=True):
    """Have its disk saved as an image, as its machine will be taken."""

    reason: str


class LookAtImage(Value, frozen=True, kw_only=True):
    """Read what has become of the saving."""

    reason: str


class WarnDearer(Value, frozen=True, kw_only=True):
    """Tell that it runs on demand though it was asked for as spot."""

    reason: str


class Fail(Value, frozen=True, kw_only=True):
    """It cannot be had as asked: bring down what runs for it and say why."""

    code: str
    reason: str


Step = (
    Rest
    | Adopt
    | Settle
    | Close
    | Inspect
    | Launch
    | Change
    | Idle
    | Measure
    | Warn
    | WarnDiscard
    | Discard
    | Postpone
    | Recover
    | TakeBack
    | SaveImage
    | LookAtImage
    | WarnDearer
    | Probe
    | Fail
)
