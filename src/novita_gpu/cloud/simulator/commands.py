"""The bodies of the control face's commands."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Command(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A command's body; unknown fields are refused, so that a misspelt test does not pass."""


class SetStock(Command, frozen=True):
    """Free GPUs of a product in a cluster, `*` for all; or the state a product is listed under, true or not."""

    product_id: str = "*"
    cluster_id: str = "*"
    gpus: int | None = None
    billing_mode: Literal["", "spot"] = ""
    shown: Literal["", "none", "low", "normal", "high"] | None = None


class SetProduct(Command, frozen=True):
    """Change a product, withdraw it, or add one that is like another."""

    product_id: str
    like: str = ""
    withdrawn: bool = False
    name: str | None = None
    price: int | None = None
    spot_price: int | None = None
    billing: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None
    disk: int | None = None


class SetLatency(Command, frozen=True):
    """Real seconds before each answer, of one operation or of all."""

    seconds: float
    op: str = "*"


class Reclaim(Command, frozen=True):
    """Take a spot machine back after a notice; 0 is at once."""

    instance_id: str
    notice_seconds: float | None = None


class Stick(Command, frozen=True):
    """Let a machine, or the next creates, get stuck in a status."""

    status: str = "pulling"
    instance_id: str = ""
    creates: int = 0


class OneInstance(Command, frozen=True):
    """A command about one machine."""

    instance_id: str


class TurnClock(Command, frozen=True):
    """Leap forward by seconds, or run at another rate (0 stands still)."""

    advance: Annotated[float, Meta(ge=0)] = 0.0
    rate: Annotated[float, Meta(ge=0)] | None = None


class SetHealth(Command, frozen=True):
    """Health of the services of a machine, or of all: `ok`, `silent`, or an HTTP status such as `502`."""

    health: str
    instance_id: str = "*"


class SetUsage(Command, frozen=True):
    """How busy a machine is from now on, in percent; CPU adds up over cores."""

    instance_id: str = "*"
    gpu: float = 0.0
    gpu_memory: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0


class SetListing(Command, frozen=True):
    """Let the list stand still for some seconds."""

    stale_seconds: float


class Act(Command, frozen=True):
    """What another person does in the console: it is not among the calls received."""

    action: Literal["create", "start", "stop", "restart", "delete", "migrate"]
    instance_id: str = ""
    body: dict[str, object] = {}


class Crash(Command, frozen=True):
    """Let a machine exit with an error of its own."""

    instance_id: str
    state: str = "oom"
    message: str = ""


class Disguise(Command, frozen=True):
    """Let list and get show other values for some fields of a machine, e.g. `{"status": "pending"}`; none to end it."""

    instance_id: str
    fields: dict[str, object] = {}


class FailJobs(Command, frozen=True):
    """Let the next jobs fail."""

    times: int = 1


class SetBalance(Command, frozen=True):
    """What is left on the account, from now on."""

    usd: float
