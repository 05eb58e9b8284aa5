"""Who asks, and whether they may. Each route's `Operation` says what is needed; what says nothing needs a key.

`presented` is asked by the gate for every request, `guard` by Litestar before every handler.
"""

from collections.abc import Mapping
from contextlib import suppress
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
from novita_gpu.api.session import CHANGES_NOTHING, borne, may_change
from novita_gpu.control.commands import Caller
from novita_gpu.domain.errors import Fault, Invalid, Problem
from novita_gpu.domain.value import Value
from novita_gpu.store.base import Claim, Unavailable

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
        _from_its_page(connection)
    if operation and operation.query is None and connection.scope["query_string"]:
        raise Invalid(Fault(field="query", message="this route takes no query"))


def _method(connection: Connection) -> str:
    return str(cast("Mapping[str, Any]", connection.scope)["method"])


def _admit(connection: Connection, needed: Scope, *, is_openable: bool) -> None:
    """`is_openable`: METRICS_OPEN lets this machine's own user in without a key."""
    principal, opening = principal_of(connection), desk_of(connection).parts.opening
    if principal is None:
        if connection.scope["state"].get("is_doubtful"):
            raise Problem("STORE_UNAVAILABLE", "The store does not answer, and this session is not known here.")
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


def _from_its_page(connection: Connection) -> None:
    """A cookie goes along with whatever makes a browser send a request; the token of its page does not."""
    token = session_of(connection)
    if token and _method(connection) not in CHANGES_NOTHING and not may_change(token, connection.headers):
        log.warning("access.refused", category=observe.SECURITY, reason="no token of the page")
        what = "A change needs the token of the page that the session was begun for: X-CSRF-Token. Load the page again."
        raise Problem("FORBIDDEN", what)


class Entry(Value, frozen=True, kw_only=True):
    """Who asks. `is_counted`: against the rate limit. `refused_by`: too many wrong keys came from there.

    `session`: the token that let it in. `is_doubtful`: it bears one, and the store does not say whether it is good.
    """

    principal: Principal | None = None
    is_counted: bool = True
    refused_by: Quota | None = None
    session: str | None = None
    is_doubtful: bool = False


async def presented(connection: Connection, desk: Desk, address: str) -> Entry:
    """Whose key or session the request bears; nobody's without one, or with one that is not known."""
    given, token = connection.headers.get("authorization"), borne(connection.cookies)
    if given is not None:
        return await by_key(given, desk, address)
    entry = await _by_session(token, desk) if token else Entry()
    if entry.principal is None and desk.parts.opening.all and why_not_local(connection.scope) is None:
        return Entry(principal=LOCAL)
    return entry


async def _by_session(token: str, desk: Desk) -> Entry:
    """A page asks as often as it has to; its requests are not counted."""
    try:
        principal = await desk.sessions.principal(token)
    except Unavailable:
        return Entry(is_doubtful=True)
    return Entry(principal=principal, session=token, is_counted=False) if principal else Entry()


async def by_key(given: str, desk: Desk, address: str) -> Entry:
    """Whose key that `Authorization` bears. Wrong ones are counted."""
    parts = desk.parts
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


def address_of(connection: Connection) -> str:
    """Who is counted for the request, as the log names it."""
    return desk_of(connection).parts.proxies.caller(connection.scope)


def principal_of(connection: Connection) -> Principal | None:
    return cast("Principal | None", connection.scope["state"].get("principal"))


def session_of(connection: Connection) -> str | None:
    """The token of the session that the request was let in by."""
    return cast("str | None", connection.scope["state"].get("session"))


async def stands(connection: Connection) -> bool:
    """Its key or session lets somebody in still: what is held open ends once that was revoked, ended or has expired."""
    principal, token, desk = principal_of(connection), session_of(connection), desk_of(connection)
    if token:
        with suppress(Unavailable):
            return await desk.sessions.principal(token) is not None
    return principal is None or desk.parts.keyring.named(principal.id) is not None


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
