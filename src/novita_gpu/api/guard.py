"""Who asks, and whether they may. Each route's `Operation` says what is needed; what says nothing needs a key."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler

from novita_gpu.api.desk import Desk, desk_of
from novita_gpu.api.edge import ids_of
from novita_gpu.api.operation import Operation, Principal, Scope, allows
from novita_gpu.api.session import CHANGES_NOTHING, borne, may_change
from novita_gpu.control.commands import Caller
from novita_gpu.domain.errors import Fault, Invalid, Problem
from novita_gpu.store.base import Claim, Unavailable

Connection = ASGIConnection[Any, Any, Any, Any]
# The longest key we make is far shorter; what is longer is not looked up.
MAX_KEY_CHARS = 512


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Litestar calls this before every handler. Raises `UNAUTHORIZED` and `FORBIDDEN`."""
    operation = cast("Operation | None", handler.opt.get("operation"))
    if operation is None and _method(connection) == "OPTIONS":
        raise MethodNotAllowedException  # made by Litestar for every path; nothing of ours answers another origin
    needed = operation.scope if operation else Scope.READ
    await _recognise(connection, desk_of(connection), is_open=needed is None)
    if needed is not None:
        _admit(principal_of(connection), needed)
        _from_its_page(connection)
    if operation and operation.query is None and connection.scope["query_string"]:
        raise Invalid(Fault(field="query", message="this route takes no query"))


def _method(connection: Connection) -> str:
    return str(cast("Mapping[str, Any]", connection.scope)["method"])


def _admit(principal: Principal | None, needed: Scope) -> None:
    if principal is None:
        raise Problem("UNAUTHORIZED", "A valid API key is needed: Authorization: Bearer <key>.")
    if not allows(principal.scopes, needed):
        raise Problem("FORBIDDEN", f"This key lacks the scope {needed}.", details={"needed": needed})


async def _recognise(connection: Connection, desk: Desk, *, is_open: bool) -> None:
    """By the key that the request bears, else by its session. Nobody without one, or with one that is not known."""
    authorization, token = connection.headers.get("authorization"), borne(connection.cookies)
    principal = None
    if authorization is not None:
        principal = await presented(authorization, desk)
    elif token is not None:
        with suppress(*((Unavailable,) if is_open else ())):
            principal = await desk.sessions.principal(token)
        connection.scope["state"]["session"] = token if principal else None
    connection.scope["state"]["principal"] = principal


def _from_its_page(connection: Connection) -> None:
    """A cookie goes along with whatever makes a browser send a request; the token of its page does not."""
    token = session_of(connection)
    if token and _method(connection) not in CHANGES_NOTHING and not may_change(token, connection.headers):
        what = "A change needs the token of the page that the session was begun for: X-CSRF-Token. Load the page again."
        raise Problem("FORBIDDEN", what)


async def presented(authorization: str, desk: Desk) -> Principal | None:
    """Whose key that header bears."""
    kind, _, key = authorization.partition(" ")
    key = key.strip()
    if kind.lower() != "bearer" or not key or len(key) > MAX_KEY_CHARS or not key.isascii():
        return None
    return await desk.parts.keyring.principal(key)


def principal_of(connection: Connection) -> Principal | None:
    return cast("Principal | None", connection.scope["state"].get("principal"))


def session_of(connection: Connection) -> str | None:
    """The token of the session that the request was let in by."""
    return cast("str | None", connection.scope["state"].get("session"))


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
        correlation=ids_of(request.scope).correlation,
        scopes=frozenset(str(s) for s in principal.scopes),
        claim=claim,
    )
