"""Who asks, and whether they may. Each route's `Operation` says what is needed; what says nothing needs a key."""

from collections.abc import Mapping
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler

from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.edge import ids_of
from novita_gpu.api.operation import Operation, Principal, Scope, allows
from novita_gpu.control.commands import Caller
from novita_gpu.domain.errors import Fault, Invalid, Problem
from novita_gpu.store.base import Claim

Connection = ASGIConnection[Any, Any, Any, Any]
# The longest key we make is far shorter; what is longer is not looked up.
MAX_KEY_CHARS = 512


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Litestar calls this before every handler. Raises `UNAUTHORIZED` and `FORBIDDEN`."""
    operation = cast("Operation | None", handler.opt.get("operation"))
    if operation is None and _method(connection) == "OPTIONS":
        raise MethodNotAllowedException  # made by Litestar for every path; nothing of ours answers another origin
    principal = await _presented(connection, desk_of(connection))
    connection.scope["state"]["principal"] = principal
    needed = operation.scope if operation else Scope.READ
    if needed is not None:
        _admit(principal, needed)
    if operation and operation.query is None and connection.scope["query_string"]:
        raise Invalid(Fault(field="query", message="this route takes no query"))


def _method(connection: Connection) -> str:
    return str(cast("Mapping[str, Any]", connection.scope)["method"])


def _admit(principal: Principal | None, needed: Scope) -> None:
    if principal is None:
        raise Problem("UNAUTHORIZED", "A valid API key is needed: Authorization: Bearer <key>.")
    if not allows(principal.scopes, needed):
        raise Problem("FORBIDDEN", f"This key lacks the scope {needed}.", details={"needed": needed})


async def _presented(connection: Connection, desk: Desk) -> Principal | None:
    """Whose key the request bears; None without one, or with one that is not known."""
    kind, _, key = (connection.headers.get("authorization") or "").partition(" ")
    key = key.strip()
    if kind.lower() != "bearer" or not key or len(key) > MAX_KEY_CHARS or not key.isascii():
        return None
    return await desk.parts.keyring.principal(key)


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
