"""The keys of the API: stored as hashes, and all of them in memory, so that a request asks nobody."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from novita_gpu.domain.api_key import ApiKey
from novita_gpu.domain.events import Event, EventType
from novita_gpu.store.base import Full, KeyNameTaken
from novita_gpu.store.feed import FEED_CAP
from novita_gpu.store.keys import Keys
from novita_gpu.store.stored import api_key_document, api_key_of, encode, instant, micros
from novita_gpu.store.wire import Script, Wire, Word

ENROLL = Script("journal", "enroll")
REVOKE = Script("journal", "revoke")
USED = Script("used")
# All are read by every replica at each change of one.
MOST = 200
# Between two stored uses of one key, in each process.
TO_THE = timedelta(minutes=1)


class ApiKeys:
    """`load` brings them into memory; the view does so at its own loads and when the feed tells of a change.

    `add`, `remove`, `load`, `stored`, `store_uses` and `last_uses` may raise `Unavailable`, and may be repeated.
    """

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire, self._keys = wire, keys
        self._by_id: dict[str, ApiKey] = {}
        self._by_digest: dict[str, ApiKey] = {}
        self._uses: dict[str, datetime] = {}
        self._stored_uses: dict[str, datetime] = {}

    def all(self) -> list[ApiKey]:
        """The oldest first."""
        return sorted(self._by_id.values(), key=lambda key: (key.created_at, key.id))

    def named(self, key_id: str) -> ApiKey | None:
        return self._by_id.get(key_id)

    def of_digest(self, digest: str) -> ApiKey | None:
        return self._by_digest.get(digest)

    async def load(self) -> None:
        self.take(await self.stored())

    async def stored(self) -> list[ApiKey]:
        rows = await self._wire.hgetall(self._keys.api_keys())
        return [api_key_of(row) for row in rows.values()]

    async def add(self, key: ApiKey, told: Event | None = None) -> None:
        """Others know it once the feed has told them. Raises `KeyNameTaken`, and `Full` where there are `MOST`."""
        names = (self._keys.api_keys(), *self._telling(EventType.KEY_CREATED))
        words = (key.id, api_key_document(key), key.name, MOST, _document(told), FEED_CAP)
        verdict, *_ = await self._wire.verdict(ENROLL, names, words)
        if verdict == b"name":
            raise KeyNameTaken(f"another key is called {key.name}")
        if verdict == b"full":
            raise Full(f"there are {MOST} keys")
        self.take((*self._by_id.values(), key))

    async def remove(self, key_id: str, told: Event | None = None) -> bool:
        """It lets nobody in any more: here at once, elsewhere once the feed has told. False: there is none."""
        names = (self._keys.api_keys(), self._keys.api_keys_used(), *self._telling(EventType.KEY_REVOKED))
        found = await self._wire.number(REVOKE, names, (key_id, _document(told), FEED_CAP))
        self.take(key for key in self._by_id.values() if key.id != key_id)
        return bool(found)

    def used(self, key_id: str, at: datetime) -> None:
        self._uses[key_id] = at

    async def store_uses(self) -> None:
        """Writes the uses that are news to the minute; nothing if there is none."""
        news = {
            key_id: at
            for key_id, at in self._uses.items()
            if key_id in self._by_id and (key_id not in self._stored_uses or at - self._stored_uses[key_id] >= TO_THE)
        }
        if not news:
            return
        words: list[Word] = [word for key_id, at in news.items() for word in (key_id, micros(at))]
        await self._wire.number(USED, (self._keys.api_keys(), self._keys.api_keys_used()), words)
        self._stored_uses |= news

    async def last_uses(self) -> Mapping[str, datetime]:
        """When each was last used, as far as that is known: here at once, elsewhere to the minute."""
        stored = await self._wire.hgetall(self._keys.api_keys_used())
        known = {key_id.decode(): instant(at) for key_id, at in stored.items()}
        return known | {key_id: max(at, known.get(key_id, at)) for key_id, at in self._uses.items()}

    def take(self, keys: Iterable[ApiKey]) -> None:
        """These are all of them now."""
        self._by_id = {key.id: key for key in keys}
        self._by_digest = {key.digest: key for key in self._by_id.values()}
        self._uses = {key_id: at for key_id, at in self._uses.items() if key_id in self._by_id}
        self._stored_uses = {key_id: at for key_id, at in self._stored_uses.items() if key_id in self._by_id}

    def _telling(self, kind: EventType) -> tuple[str, ...]:
        keys = self._keys
        return keys.sequence(), keys.events(), keys.type(kind), keys.feed(), keys.feed_number()


def _document(told: Event | None) -> bytes:
    return encode(replace(told, sequence=0)) if told else b""
