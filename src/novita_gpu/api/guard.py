"""Who asks, and whether they may. Each route's `Operation` says what is needed; what says nothing needs a key.

`presented` is asked by the gate for every request, `guard` by Litestar before every handler.
"""

from collections.abc import Mapping
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler

from novita_gpu import observe
from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.edge import ids_of
from novita_gpu.api.limiter import Quota
from novita_gpu.api.operation import Keyring, Operation, Principal, Scope, allows
from novita_gpu.api.origin import why_not_local
from novita_gpu.control.commands import Caller
from novita_gpu.domain.errors import Fault, Invalid, Problem
from novita_gpu.domain.value import Value
from novita_gpu.store.base import Claim

log = observe.logger(__name__)

Connection = ASGIConnection[Any, Any, Any, Any]
# The longest key we make is far shorter; what is longer is not looked up.
MAX_KEY_CHARS = 512
# This machine's own user, where AUTH=off says so: whoever has the admin key, under another name.
LOCAL = Principal(id="admin", name="local", scopes=frozenset(Scope))


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Litestar calls this before every handler. Raises `UNAUTHORIZED` and `FORBIDDEN`."""
    operation = cast("Operation | None", handler.opt.get("operation"))
    if operation is None and _method(connection) == "OPTIONS":
        raise MethodNotAllowedException  # made by Litestar for every path; nothing of ours answers another origin
    needed = operation.scope if operation else Scope.READ
    if needed is not None:
        _admit(connection, needed, is_openable=operation is not None and operation.may_open)
    if operation and operation.query is None and connection.scope["query_string"]:
        raise Invalid(Fault(field="query", message="this route takes no query"))


def _method(connection: Connection) -> str:
    return str(cast("Mapping[str, Any]", connection.scope)["method"])


def _admit(connection: Connection, needed: Scope, *, is_openable: bool) -> None:
    """`is_openable`: METRICS_OPEN lets this machine's own user in without a key."""
    principal, opening = principal_of(connection), desk_of(connection).parts.opening
    if principal is None:
        is_open = opening.all or (opening.metrics and is_openable)
        why = why_not_local(connection.scope) if is_open else ""
        if why is None and is_openable:
            return
        if "authorization" not in connection.headers:  # of a wrong key it was told already
            log.info("access.refused", category=observe.SECURITY, reason="no key")
        text = "A valid API key is needed: Authorization: Bearer <key>."
        raise Problem("UNAUTHORIZED", f"{text} Without one this request is not let in, as {why}." if why else text)
    if not allows(principal.scopes, needed):
        log.warning("access.refused", category=observe.SECURITY, reason=f"no scope {needed}", key_id=principal.id)
        raise Problem("FORBIDDEN", f"This key lacks the scope {needed}.", details={"needed": needed})


class Entry(Value, frozen=True, kw_only=True):
    """Who asks. `is_counted`: against the rate limit. `refused_by`: too many wrong keys came from there."""

    principal: Principal | None = None
    is_counted: bool = True
    refused_by: Quota | None = None


async def presented(connection: Connection, desk: Desk, address: str) -> Entry:
    """Whose key the request bears; nobody's without one, or with one that is not known."""
    parts, given = desk.parts, connection.headers.get("authorization")
    if given is None:
        return Entry(principal=LOCAL if parts.opening.all and why_not_local(connection.scope) is None else None)
    principal = await _of_key(given, parts.keyring)
    if principal:
        return Entry(principal=principal, refused_by=parts.limiter.let_in(address, principal.id))
    quota = parts.limiter.failed(address)
    if quota.is_over:
        return Entry(refused_by=quota)
    log.warning("access.refused", category=observe.SECURITY, reason="wrong key")
    return Entry()


async def _of_key(given: str, keyring: Keyring) -> Principal | None:
    kind, _, key = given.partition(" ")
    key = key.strip()
    if kind.lower() != "bearer" or not key or len(key) > MAX_KEY_CHARS or not key.isascii():
        return None
    return await keyring.principal(key)


def principal_of(connection: Connection) -> Principal | None:
    return cast("Principal | None", connection.scope["state"].get("principal"))


def stands(connection: Connection) -> bool:
    """Its key lets somebody in still: what is held open ends once it was revoked or has expired."""
    principal = principal_of(connection)
    return principal is None or desk_of(connection).parts.keyring.named(principal.id) is not None


def may(connection: Connection, scope: Scope) -> bool:
    principal = principal_of(connection)
    return principal is not None and allows(principal.scopes, scope)


def caller_of(request: Request[Any, Any, Any], claim: Claim | None = None) -> Caller:
    """Who asks, as commands know them. Only behind a guarded route."""
    principal = principal_of(request)
    if principal is None:
        raise Problem("UNAUTHORIZED", "A valid API key is needed.")
    return Caller(
        actor=principal.name,
        key_id=principal.id,
        limits=principal.limits,
        correlation=ids_of(request.scope).correlation,
        scopes=frozenset(str(s) for s in principal.scopes),
        claim=claim,
    )
