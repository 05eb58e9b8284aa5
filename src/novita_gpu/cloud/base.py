"""The cloud as the rest of the house sees it: one protocol, its values, its errors as meanings.

    CloudError
    ├── OutOfCapacity      nothing was made or started: no GPU there now
    ├── NotFound           the cloud names a known reason for not knowing the id
    ├── Rejected           nothing was done, and asking again will not help
    │   ├── WrongState     …in the state the machine is in now; look again
    │   └── Withdrawn      …since the product or the place of an order is not there any more
    ├── Unauthorized       the key is missing, wrong or not allowed
    ├── OutOfMoney         balance, budget or quota
    ├── Throttled          nothing was done; `retry_after` says when to come back
    ├── Unreachable        nothing was done: not sent, or refused at the door; or a read that had no answer
    ├── Unreadable         an answer to a read that cannot be understood: no fact at all
    └── Ambiguous          a mutation was sent and its effect is unknown

Only `Ambiguous` leaves it open whether a mutation had an effect.
"""

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from novita_gpu.domain.instance import CloudId, Connection
from novita_gpu.domain.look import Row
from novita_gpu.domain.offers import Product
from novita_gpu.domain.regions import Cluster
from novita_gpu.domain.spec import BillingMode, Env, Port, Spec, Tool
from novita_gpu.domain.value import Value
from novita_gpu.hidden import Secret


class CloudError(Exception):
    """`message` is the cloud's text, `reason` its machine word when it gave one."""

    def __init__(self, message: str, *, reason: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.retry_after = retry_after


class OutOfCapacity(CloudError): ...


class NotFound(CloudError): ...


class Rejected(CloudError): ...


class WrongState(Rejected): ...


class Withdrawn(Rejected): ...


class Unauthorized(CloudError): ...


class OutOfMoney(CloudError): ...


class Throttled(CloudError): ...


class Unreachable(CloudError): ...


class Unreadable(CloudError): ...


class Ambiguous(CloudError): ...


class Detail(Value, frozen=True, kw_only=True):
    """A machine as a single get shows it, with what is needed to connect, and what it was made with."""

    row: Row
    connection: Connection
    ports: tuple[Port, ...] = ()
    envs: tuple[Env, ...] = ()  # all but ours
    command: Secret = ""
    entrypoint: Secret = ""
    image_auth_id: str = ""


class Listing(Value, frozen=True, kw_only=True):
    """One look at all machines. Complete: every page was read, distinct ids = total, and total stood still."""

    began_at: datetime
    ended_at: datetime
    complete: bool
    rows: tuple[Row, ...]
    total: int
    fault: str = ""  # why it is not complete


class Template(Value, frozen=True, kw_only=True):
    id: str
    name: str
    channel: str
    image_url: str
    image_auth_id: str = ""
    command: Secret = ""
    entrypoint: Secret = ""
    rootfs_size_gb: int | None = None
    ports: tuple[Port, ...] = ()
    envs: tuple[Env, ...] = ()
    tools: tuple[Tool, ...] = ()
    min_cuda_version: str = ""
    description: str = ""


class RegistryAuth(Value, frozen=True, kw_only=True):
    """A registry credential. The password stops at this seam."""

    id: str
    name: str


class Job(Value, frozen=True, kw_only=True):
    id: str
    type: str
    state: str
    instance: CloudId
    created_at: datetime | None
    error: str = ""


class Sample(Value, frozen=True, kw_only=True):
    at: datetime
    percent: float


class Metrics(Value, frozen=True, kw_only=True):
    """Use of the busiest GPU over a window; about a minute late (documented)."""

    gpu: tuple[Sample, ...]
    gpu_memory: tuple[Sample, ...]


class Balance(Value, frozen=True, kw_only=True):
    available_usd: Decimal
    cash_usd: Decimal
    credit_usd: Decimal


class Lane(StrEnum):
    """Which calls go first. `SAVING` stops and deletes: it never waits behind the others."""

    SAVING = "saving"
    SPENDING = "spending"
    LOOKING = "looking"


class Order(Value, frozen=True, kw_only=True):
    """Everything that one create needs. `marker` goes into the environment, `name` already ends in its suffix."""

    name: str
    marker: str
    product_id: str
    cluster_id: str
    billing_mode: BillingMode
    spec: Spec


class Cloud(Protocol):
    """The one seam. Every call may raise any `CloudError` but `Ambiguous`; mutations may raise that too.

    Reads are retried within one budget inside; mutations are sent at most once.
    """

    def permit(self, lane: Lane) -> AbstractAsyncContextManager[None]:
        """A place among the calls under way and a call of the budget, held for one mutation or look.

        Taken before a mutation's intent is stored, so that nothing waits between intent and call.
        Raises `Throttled` when the budget has none left and `Unreachable` while the lane's circuit is open.
        Calls made inside it take no further place.
        """
        ...

    async def create(self, order: Order, *, send_by: float) -> CloudId:
        """`send_by` is a time of the monotonic clock; past it nothing is sent and `Unreachable` is raised."""
        ...

    async def start(self, machine: CloudId) -> None: ...
    async def stop(self, machine: CloudId) -> None: ...
    async def restart(self, machine: CloudId) -> None: ...
    async def migrate(self, machine: CloudId) -> None: ...
    async def delete(self, machine: CloudId) -> None: ...

    async def listing(self) -> Listing:
        """All pages. Never raises for a page it cannot read once one was read: the listing says it is incomplete."""
        ...

    async def get(self, machine: CloudId) -> Detail: ...
    async def products(self, billing_mode: BillingMode, cluster_id: str = "") -> tuple[Product, ...]: ...
    async def clusters(self) -> tuple[Cluster, ...]: ...
    async def templates(self) -> tuple[Template, ...]: ...
    async def template(self, template_id: str) -> Template: ...
    async def registry_auths(self) -> tuple[RegistryAuth, ...]: ...
    async def jobs(self, *, type: str = "", since: datetime | None = None) -> tuple[Job, ...]: ...  # noqa: A002
    async def save_image(self, machine: CloudId, image: str, registry_auth_id: str = "") -> str: ...
    async def metrics(
        self, machine: CloudId, since: datetime, until: datetime, step: timedelta | None = None
    ) -> Metrics:
        """A point each `step`; the cloud's own, 15 seconds, is the shortest."""
        ...

    async def balance(self) -> Balance: ...
    async def close(self) -> None: ...


MARKER_ENV = "NOVITA_GPU_MARKER"
# How long a create, start, stop… may take to answer. Too small: many answers become unknown; too large: a lost
# answer keeps its attempt open for that long.
MUTATION_TIMEOUT = timedelta(seconds=30)
# A create is sent within this of its intent's commit, or not at all.
SEND_WITHIN = timedelta(seconds=5)


def marker_suffix(marker: str) -> str:
    """What a machine's name ends in: the marker in letters, digits and hyphens."""
    return "-" + marker.replace("/", "-")


def machine_name(name: str, marker: str) -> str:
    """The name a machine gets: ours in the cloud's alphabet (letters, digits, hyphen), and the marker."""
    return name.replace("_", "-") + marker_suffix(marker)
