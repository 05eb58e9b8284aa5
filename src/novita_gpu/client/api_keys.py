"""Keys of the API, as the service answers them."""

from datetime import datetime
from decimal import Decimal

from novita_gpu.client.answers import Answer, Part
from novita_gpu.hidden import Secret


class KeyLimits(Part, frozen=True, kw_only=True):
    """None: no such limit."""

    max_instances: int | None = None
    max_usd_per_hour: Decimal | None = None
    regions: tuple[str, ...] | None = None


class Key(Answer, frozen=True, kw_only=True):
    """A key without the key itself. `last_used_at` is true to the minute."""

    id: str = ""
    name: str = ""
    scopes: tuple[str, ...] = ()
    limits: KeyLimits | None = None
    created_at: datetime | None = None
    created_by: str = ""
    expires_at: datetime | None = None
    expired: bool = False
    last_used_at: datetime | None = None


class NewKey(Key, frozen=True, kw_only=True):
    """With the key itself, which is told this once."""

    key: Secret = ""


class KeyList(Answer, frozen=True, kw_only=True):
    keys: tuple[Key, ...] = ()
