"""Keys of the API: asked for, listed, and shown once."""

from typing import Annotated

from msgspec import Meta

from novita_gpu.contract.check import Request
from novita_gpu.contract.fields import Moment, Price, Region, Time, Usd, distinct
from novita_gpu.contract.views import View
from novita_gpu.domain.api_key import Scope
from novita_gpu.hidden import Secret

# What events say did something, where it was no key's holder.
ACTORS = frozenset({"admin", "anybody", "auto-stop", "cloud", "control", "local", "recovery", "sync", "webhooks"})


def _free_name(name: str) -> str | None:
    return "is what events call the service itself, or its first key" if name.lower() in ACTORS else None


KeyName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9._@-]{1,64}$",
        description="What events call it. No two keys have the same.",
        examples=["ci"],
        extra={"rule": _free_name, "expected": "1 to 64 of A-Z, a-z, 0-9, ., _, @ and -"},
    ),
]
Scopes = Annotated[
    tuple[Scope, ...],
    Meta(
        min_length=1,
        max_length=3,
        description="Each holds those before it: read, operate, admin.",
        examples=[["operate"]],
        extra={"rule": distinct()},
    ),
]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Allowed = Annotated[
    tuple[Region, ...],
    Meta(min_length=1, max_length=50, description="By name or cluster id.", extra={"rule": distinct()}),
]


class KeyLimitsRequest(Request, frozen=True, kw_only=True):
    """What instances that the key creates may come to. What is left out has no such limit."""

    max_instances: Annotated[Count, Meta(description="That are not deleted.")] | None = None
    max_usd_per_hour: Annotated[Price, Meta(description="All of them together, disks included.")] | None = None
    regions: Allowed | None = None


class AddKey(Request, frozen=True, kw_only=True):
    """A new key. Limits need the scope admin, as only such a key creates; a key with limits makes no keys."""

    name: KeyName
    scopes: Scopes
    expires_at: Annotated[Moment, Meta(description="Never, when left out.")] | None = None
    limits: KeyLimitsRequest | None = None


class KeyLimitsView(View, frozen=True, kw_only=True):
    max_instances: int | None = None
    max_usd_per_hour: Usd | None = None
    regions: tuple[str, ...] | None = None


class KeyView(View, frozen=True, kw_only=True):
    """A key without the key itself, of which only a hash is kept."""

    id: str
    name: str
    scopes: Scopes
    limits: KeyLimitsView | None = None
    created_at: Time
    created_by: Annotated[str, Meta(description="The name of the key that made it.")]
    expires_at: Time | None = None
    expired: bool
    last_used_at: Annotated[Time, Meta(description="To the minute.")] | None = None


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """With the key itself, which is told this once: not even the same Idempotency-Key gives it again."""

    key: Annotated[Secret, Meta(examples=["ngpu_…"])]


class KeyList(View, frozen=True, kw_only=True):
    """The oldest first. The admin key of the settings or of the first start is not among them."""

    keys: tuple[KeyView, ...]
