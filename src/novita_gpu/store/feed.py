"""The feed: what changed, in numbers without gaps, so that a reader knows whether it has seen everything."""

from datetime import datetime

from novita_gpu.domain.instance import InstanceId
from novita_gpu.domain.value import Value
from novita_gpu.store.keys import Keys
from novita_gpu.store.stored import instant
from novita_gpu.store.wire import BLOCK_AT_MOST_S, Wire

# Changes kept. A reader that is further behind loads everything: below a thousand that would happen in a busy minute.
FEED_CAP = 10_000
# Entries of one read.
BATCH = 1_000
INCARNATION = "incarnation"


class News(Value, frozen=True, kw_only=True):
    """One entry: a commit (`revision`), a heartbeat (`activity`), or an event of no record (only `sequence`).

    `of_keys`: the keys of the API have changed.
    """

    number: int
    instance: InstanceId | None = None
    revision: int = 0
    sequence: int = 0
    activity: datetime | None = None
    of_keys: bool = False


class Position(Value, frozen=True, kw_only=True):
    """Where the feed is: `incarnation` names the store's contents, `number` its last entry."""

    incarnation: str | None
    number: int


class Feed:
    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def position(self) -> Position:
        fact, number = await self._wire.mget((self._keys.fact(INCARNATION), self._keys.feed_number()))
        return Position(incarnation=fact.decode() if fact else None, number=int(number or 0))

    async def wait(self, after: int, block_s: float = BLOCK_AT_MOST_S) -> list[News]:
        """Entries with numbers above `after`; waits for the first. None after `block_s`."""
        found = await self._wire.wait_for_entries(self._keys.feed(), after, BATCH, int(block_s * 1000))
        return [_news(number, fields) for number, fields in found]


def _news(number: int, fields: dict[bytes, bytes]) -> News:
    instance, activity = fields.get(b"id"), fields.get(b"activity")
    return News(
        number=number,
        instance=InstanceId(instance.decode()) if instance else None,
        revision=int(fields.get(b"revision", 0)),
        sequence=int(fields.get(b"sequence", 0)),
        activity=instant(activity) if activity else None,
        of_keys=b"api-keys" in fields,
    )
