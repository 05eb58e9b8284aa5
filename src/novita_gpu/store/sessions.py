"""Who is logged in to the dashboard: one document each, under the hash of what the browser bears."""

from datetime import timedelta

from novita_gpu.store.keys import Keys
from novita_gpu.store.stored import millis
from novita_gpu.store.wire import Wire


class Sessions:
    """All sessions of one store. Every call may raise `Unavailable`, and may be repeated."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire, self._keys = wire, keys

    async def begin(self, token_hash: str, document: bytes, ttl: timedelta) -> None:
        await self._wire.put(self._keys.session(token_hash), document, millis(ttl))

    async def find(self, token_hash: str) -> bytes | None:
        return await self._wire.get(self._keys.session(token_hash))

    async def renew(self, token_hash: str, ttl: timedelta) -> bool:
        """It ends so long after now. False: there is none; one that was ended does not come back."""
        return await self._wire.expire(self._keys.session(token_hash), millis(ttl))

    async def end(self, token_hash: str) -> None:
        await self._wire.delete(self._keys.session(token_hash))
