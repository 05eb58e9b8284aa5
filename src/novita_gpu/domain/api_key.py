"""A key of the API: whom it lets in, what it allows, until when, and what may come to bill under it."""

from datetime import datetime
from enum import StrEnum

from novita_gpu.domain.value import Value
from novita_gpu.hidden import Secret


class Scope(StrEnum):
    """What a key allows. Each holds those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def holds(self, other: "Scope") -> bool:
        return _RANKS[self] >= _RANKS[other]


_RANKS = {scope: rank for rank, scope in enumerate(Scope)}


def allows(scopes: frozenset[Scope], needed: Scope) -> bool:
    return any(scope.holds(needed) for scope in scopes)


class KeyLimits(Value, frozen=True, kw_only=True):
    """None and no regions: no such limit. `max_burn` is a rate in 1/100000 USD per day, regions are names or cluster
    ids.
    """

    max_instances: int | None = None
    max_burn: int | None = None
    regions: tuple[str, ...] = ()


FREE = KeyLimits()


class Owner(Value, frozen=True, kw_only=True):
    """The key that created an instance, with its limits then: a key never changes. The instance counts against it,
    whoever starts it.
    """

    key: str
    name: str
    limits: KeyLimits = FREE


class ApiKey(Value, frozen=True, kw_only=True):
    """`digest` is all that is kept of the key itself. `name` is what events call it; no two keys have the same."""

    id: str
    name: str
    digest: Secret
    scopes: frozenset[Scope]
    limits: KeyLimits = FREE
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None

    def opens(self, now: datetime) -> bool:
        """It has not expired."""
        return self.expires_at is None or now < self.expires_at
