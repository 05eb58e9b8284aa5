"""The admin key: given by the operator, or made at first start; kept as a hash."""

import hashlib
import hmac
import secrets

from novita_gpu.store.facts import Facts

ADMIN_HASH = "admin-key-hash"
KEY_PREFIX = "ngpu_"


def hashed(key: str) -> str:
    """Keys are long and random, so a fast hash keeps them; a slow one would cost every request."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Of two hashes, compared in constant time."""
    return hmac.compare_digest(one, other)


async def admin_hash(facts: Facts, given: str | None) -> tuple[str, str | None]:
    """The hash of the admin key, and the key itself if it was made just now.

    Two starts at once make one: the store keeps the first.
    """
    if given:
        return hashed(given), None
    made = KEY_PREFIX + secrets.token_urlsafe(32)
    kept = await facts.first(ADMIN_HASH, hashed(made))
    return kept, made if kept == hashed(made) else None
