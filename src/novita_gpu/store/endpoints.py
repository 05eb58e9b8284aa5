"""Registered receivers, and up to which event of the log each has its deliveries."""

from collections.abc import Callable, Sequence
from uuid import uuid4

from msgspec.structs import replace

from novita_gpu.domain.endpoint import Endpoint
from novita_gpu.domain.events import Event
from novita_gpu.store.base import Delivery, Full, Stale
from novita_gpu.store.feed import FEED_CAP
from novita_gpu.store.keys import Keys
from novita_gpu.store.stored import delivery_document, encode, endpoint_document, endpoint_of, micros
from novita_gpu.store.wire import Script, Wire, Word

REGISTER = Script("register")
SWAP = Script("journal", "swap")
STRIKE = Script("strike")
FAN = Script("journal", "fan")
LOAD = Script("load")
# Each event is looked at once for each of them.
MOST = 50


class Endpoints:
    """The registered receivers of one store. Every call may raise `Unavailable`, and may be repeated."""

    def __init__(self, wire: Wire, keys: Keys, new_id: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._wire = wire
        self._keys = keys
        self._new_id = new_id

    async def add(self, endpoint: Endpoint) -> Endpoint:
        """A new one; every event after this moment is for it. Raises `Full` where there are `MOST`."""
        keys = (self._keys.endpoints(), self._keys.endpoint(endpoint.id), self._keys.sequence())
        if not await self._wire.number(REGISTER, keys, (endpoint.id, endpoint_document(endpoint), MOST)):
            raise Full(f"there are {MOST} endpoints")
        return replace(endpoint, revision=1)

    async def save(self, endpoint: Endpoint, told: Event | None = None) -> Endpoint:
        """As stored, and `told` in the log with it. Raises `Stale` when it has moved on or was removed."""
        keys = self._keys
        kind = told.type if told else ""
        names = (keys.endpoint(endpoint.id), keys.sequence(), keys.events(), keys.type(kind), keys.feed())
        document = encode(replace(told, sequence=0)) if told else b""
        words: list[Word] = [endpoint_document(endpoint), endpoint.revision, self._new_id(), document, FEED_CAP]
        revision = await self._wire.number(SWAP, (*names, keys.feed_number()), words)
        if not revision:
            raise Stale(f"endpoint {endpoint.id} has moved on from revision {endpoint.revision}")
        return replace(endpoint, revision=revision)

    async def remove(self, endpoint_id: str) -> bool:
        keys = (self._keys.endpoints(), self._keys.endpoint(endpoint_id))
        return bool(await self._wire.number(STRIKE, keys, (endpoint_id,)))

    async def load(self, endpoint_id: str) -> Endpoint | None:
        return next(iter(await self._load((endpoint_id,))), None)

    async def all(self) -> list[Endpoint]:
        """The oldest first."""
        return await self._load(await self._ids())

    async def told(self) -> dict[str, int]:
        """The sequence up to which each has its deliveries."""
        ids = await self._ids()
        rows = await self._wire.table(LOAD, [self._keys.endpoint(each) for each in ids], ("told",)) if ids else []
        return {each: int(row[0]) for each, row in zip(ids, rows, strict=True) if row[0] is not None}

    async def tell(self, endpoint_id: str, after: int, upto: int, deliveries: Sequence[Delivery]) -> bool:
        """Its deliveries of all events above `after` up to `upto`, all or none. False: it has them, or is gone."""
        keys = self._keys
        names = (keys.endpoint(endpoint_id), keys.receivers(), keys.rests(), keys.deliveries(), keys.delivery_number())
        words: list[Word] = [after, upto]
        for each in deliveries:
            words += [each.id, delivery_document(each), each.sequence, micros(each.due), each.host]
        return bool(await self._wire.number(FAN, (*names, *keys.of_deliveries(deliveries)), words))

    async def _ids(self) -> list[str]:
        return sorted(member.decode() for member in await self._wire.members(self._keys.endpoints()))

    async def _load(self, ids: Sequence[str]) -> list[Endpoint]:
        if not ids:
            return []
        keys = [self._keys.endpoint(each) for each in ids]
        rows = await self._wire.table(LOAD, keys, ("document", "revision"))
        return [endpoint_of(document, revision) for document, revision in rows if document and revision]
