"""What a route says of itself: from this its key is checked, its query is refused, and its documentation is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from novita_gpu.contract import Request, View
from novita_gpu.domain.api_key import FREE, KeyLimits, Scope, allows
from novita_gpu.domain.value import Value

__all__ = ["Keyring", "Operation", "Principal", "Scope", "allows"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route. `scope` None: open, no key is needed. `answers`: a view by status, or a media type that is not JSON.
    `media_types`: what 200 may be as well. `listed`: in the documentation. `counted`: against the rate limit.
    `may_open`: without a key for this machine's own user, with METRICS_OPEN.

    `problems` are the codes of its own; those that every route has are added to them.
    """

    id: str
    summary: str
    tag: str
    scope: Scope | None
    answers: Mapping[int, type[View] | str]
    media_types: tuple[str, ...] = ()
    query: type[Request] | None = None
    body: type[Request] | None = None
    body_required: bool = False
    problems: tuple[str, ...] = ()
    examples: Mapping[str, Any] = field(default_factory=dict[str, Any])
    listed: bool = True
    counted: bool = True
    may_open: bool = False


class Principal(Value, frozen=True, kw_only=True):
    """Whose key it is. `id` never changes; `name` is what events call them.

    `mark` is another one when the key behind this id is another: a session of the one before is over then.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    mark: str = ""
    limits: KeyLimits = FREE


class Keyring(Protocol):
    async def principal(self, key: str) -> Principal | None:
        """Whose key this is. Compares in constant time, and answers from memory: it is asked at every request."""
        ...

    def named(self, key_id: str) -> Principal | None:
        """Whom the key of this id lets in now; None once it is revoked or has expired. From memory."""
        ...
