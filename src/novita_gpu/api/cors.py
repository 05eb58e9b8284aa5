"""Pages of other origins: none may read an answer unless the operator names it."""

from collections.abc import Iterable, Iterator

Header = tuple[bytes, bytes]

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_HEADERS = b"Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-ID, X-Correlation-ID"
_SHOWN = (
    b"ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, Warning, X-Correlation-ID, "
    b"X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-ID"
)
# How long a browser may remember what it was told.
_FOR_S = b"600"


class Cors:
    """`allowed`: origins such as https://app.example.com. Cookies never go with such a request."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(origin.encode() for origin in allowed)

    def headers(self, asked: Iterable[Header]) -> Iterator[Header]:
        """What an answer bears besides; nothing if no origin is named."""
        if not self._allowed:
            return
        yield b"vary", b"Origin"
        origin = self._origin(asked)
        if origin:
            yield b"access-control-allow-origin", origin
            yield b"access-control-expose-headers", _SHOWN

    def preflight(self, method: str, asked: Iterable[Header]) -> list[Header] | None:
        """The answer to a browser that asks first, if it asks for an origin that is named."""
        known = list(asked)
        is_asking = method == "OPTIONS" and any(name == b"access-control-request-method" for name, _ in known)
        if not is_asking or not self._origin(known):
            return None
        return [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", _FOR_S),
        ]

    def _origin(self, asked: Iterable[Header]) -> bytes | None:
        origins = [value for name, value in asked if name == b"origin"]
        return origins[0] if len(origins) == 1 and origins[0] in self._allowed else None
