"""Whose key it is: the admin key, or one of those that were made; all from memory."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from novita_gpu.api.operation import Principal, Scope
from novita_gpu.control.admission import hashed, is_same
from novita_gpu.domain.api_key import ApiKey
from novita_gpu.store.api_keys import ApiKeys
from novita_gpu.store.base import Unavailable

# Of the admin key's hash: its sessions end when it is another one.
MARK_CHARS = 16
# Between two writes of when keys were last used.
NOTED_EVERY = timedelta(seconds=60)


class StoredKeyring:
    """Keys are found by their hash, which tells nothing of them, and then compared in constant time."""

    def __init__(self, admin_hash: str, keys: ApiKeys, now: Callable[[], datetime]) -> None:
        self._admin_hash, self._keys, self._now = admin_hash, keys, now
        self._admin = Principal(id="admin", name="admin", scopes=frozenset(Scope), mark=admin_hash[:MARK_CHARS])

    async def principal(self, key: str) -> Principal | None:
        digest = hashed(key)
        if is_same(digest, self._admin_hash):
            return self._admin
        found = self._keys.of_digest(digest)
        if found is None or not is_same(digest, found.digest):
            return None
        principal = self._let_in(found)
        if principal:
            self._keys.used(found.id, self._now())
        return principal

    def named(self, key_id: str) -> Principal | None:
        if key_id == self._admin.id:
            return self._admin
        found = self._keys.named(key_id)
        return self._let_in(found) if found else None

    def _let_in(self, key: ApiKey) -> Principal | None:
        if not key.opens(self._now()):
            return None
        return Principal(id=key.id, name=key.name, scopes=key.scopes, limits=key.limits)

    async def note_uses(self, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """For ever: writes when keys were last used. While the store is out it is written later."""
        while True:
            await pause(NOTED_EVERY.total_seconds())
            with suppress(Unavailable):
                await self._keys.store_uses()
