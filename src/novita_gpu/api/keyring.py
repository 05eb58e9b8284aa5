"""Who may come in: for now one admin key."""

from novita_gpu.api.operation import Principal, Scope
from novita_gpu.control.admission import matches

ADMIN = Principal(id="admin", name="admin", scopes=frozenset(Scope))


class AdminKeyring:
    def __init__(self, key_hash: str) -> None:
        self._key_hash = key_hash

    async def principal(self, key: str) -> Principal | None:
        return ADMIN if matches(key, self._key_hash) else None

    def named(self, key_id: str) -> Principal | None:
        return ADMIN if key_id == ADMIN.id else None
