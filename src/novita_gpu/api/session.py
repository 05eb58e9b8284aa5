"""Sessions of the dashboard: a key is exchanged for a cookie, and each change made with it needs a token as well.

The cookie is random and opaque; the store has its hash, so that all replicas know it and a look into the store lets
nobody in. The key itself is asked for at each request: one that is revoked ends its sessions.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from novita_gpu.api.operation import Keyring, Principal
from novita_gpu.domain.value import Value
from novita_gpu.store import Store
from novita_gpu.store.base import Unavailable
from novita_gpu.store.keys import LOGGED_IN_FOR

# Not used for so long, it is over. An open page uses it all the time.
IDLE_FOR = timedelta(hours=2)
# The store is asked so often, and told of use so often: a log-out is known to all replicas within FRESH_FOR.
FRESH_FOR = timedelta(seconds=5)
TOLD_EVERY = timedelta(minutes=1)
# Sessions in memory. Fewer than browsers at work: each request of the others asks the store.
REMEMBERED = 1_000
COOKIE = "novita-gpu"
# Browsers take this one over https only, for this host and all of its paths.
COOKIE_OVER_TLS = "__Host-novita-gpu"
TOKEN_HEADER = "x-csrf-token"  # noqa: S105 - its name
TOKEN_CHARS = 43  # of 32 bytes
CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})


class Session(Value, frozen=True, kw_only=True):
    """Which key it stands for, by its id and mark, and when it ends however much it is used."""

    key: str
    mark: str
    ends_at: datetime


class _Known(Value, frozen=True, kw_only=True):
    session: Session
    looked_at: datetime
    told_at: datetime


class Sessions:
    def __init__(self, store: Store, keyring: Keyring, now: Callable[[], datetime]) -> None:
        self._store, self._keyring, self._now = store, keyring, now
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def begin(self, principal: Principal) -> str:
        """A new session; answers what the browser is to bear. Raises `Unavailable`."""
        now, token = self._now(), secrets.token_urlsafe(32)
        session = Session(key=principal.id, mark=principal.mark, ends_at=now + LOGGED_IN_FOR)
        await self._store.sessions.begin(_hashed(token), msgspec.json.encode(session), IDLE_FOR)
        self._remember(_hashed(token), _Known(session=session, looked_at=now, told_at=now))
        return token

    async def principal(self, token: str) -> Principal | None:
        """Whose session it is; None when it is over. One known here goes on while the store does not answer."""
        session = await self._session(_hashed(token))
        if session is None:
            return None
        principal = self._keyring.named(session.key)
        return principal if principal and principal.mark == session.mark else None

    async def end(self, token: str) -> None:
        """Raises `Unavailable`; here it is over in any case."""
        self._known.pop(_hashed(token), None)
        await self._store.sessions.end(_hashed(token))

    async def _session(self, token_hash: str) -> Session | None:
        now, known = self._now(), self._known.get(token_hash)
        if known and now - known.looked_at >= FRESH_FOR and not self._store.is_away:
            known = await self._looked(token_hash, known)
        elif known is None:
            known = await self._found(token_hash)
        if known is None or now >= known.session.ends_at or now - known.told_at >= IDLE_FOR:
            self._known.pop(token_hash, None)
            return None
        return known.session

    async def _looked(self, token_hash: str, known: _Known) -> _Known | None:
        try:
            found = await self._found(token_hash, known.told_at)
        except Unavailable:
            return known
        return found

    async def _found(self, token_hash: str, told_at: datetime | None = None) -> _Known | None:
        """As the store has it, told there that it is used if that was not done lately."""
        now, stored = self._now(), await self._store.sessions.find(token_hash)
        if stored is None:
            return None
        session = msgspec.json.decode(stored, type=Session)
        if told_at is None or now - told_at >= TOLD_EVERY:
            await self._store.sessions.renew(
                token_hash, min(IDLE_FOR, max(session.ends_at - now, timedelta(seconds=1)))
            )
            told_at = now
        known = _Known(session=session, looked_at=now, told_at=told_at)
        self._remember(token_hash, known)
        return known

    def _remember(self, token_hash: str, known: _Known) -> None:
        self._known[token_hash] = known
        self._known.move_to_end(token_hash)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def change_token(token: str) -> str:
    """What a page of this session sends with each change: made of what only its browser bears."""
    return hmac.new(token.encode(), b"change", sha256).hexdigest()


def may_change(token: str, headers: Mapping[str, str]) -> bool:
    """The request was made by a page of this session, and of this site."""
    return from_here(headers) and hmac.compare_digest(
        headers.get(TOKEN_HEADER, "").encode(), change_token(token).encode()
    )


def from_here(headers: Mapping[str, str]) -> bool:
    """No page of another site made this request, as far as browsers tell. What is no browser says nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def borne(cookies: Mapping[str, str]) -> str | None:
    """The token among the request's cookies. The one that needs https goes first."""
    tokens = (cookies.get(name, "") for name in (COOKIE_OVER_TLS, COOKIE))
    return next((token for token in tokens if len(token) == TOKEN_CHARS and token.isascii()), None)


def cookie(token: str, headers: Mapping[str, str]) -> str:
    """`Set-Cookie` for a login. The browser itself says in `Origin` whether it came over https."""
    over_tls = headers.get("origin", "").startswith("https://")
    name, more = (COOKIE_OVER_TLS, "; Secure") if over_tls else (COOKIE, "")
    return f"{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={int(LOGGED_IN_FOR.total_seconds())}{more}"


def no_cookies() -> tuple[str, str]:
    """`Set-Cookie`, twice, for a log-out."""
    gone = "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
    return COOKIE + gone, COOKIE_OVER_TLS + gone + "; Secure"
