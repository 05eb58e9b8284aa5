"""Who may come in: for now one admin key."""

from novita_gpu.api.operation import Principal, Scope
from novita_gpu.control.admission import matches

MARK_CHARS = 16


class AdminKeyring:
    def __init__(self, key_hash: str) -> None:
        self._key_hash = key_hash
        self._admin = Principal(id="admin", name="admin", scopes=frozenset(Scope), mark=key_hash[:MARK_CHARS])

    async def principal(self, key: str) -> Principal | None:
        return self._admin if matches(key, self._key_hash) else None

    def named(self, key_id: str) -> Principal | None:
        return self._admin if key_id == self._admin.id else None
