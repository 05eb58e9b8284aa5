"""Requests counted for all processes together, each caller's from its first one on."""

from novita_gpu.store.keys import Keys
from novita_gpu.store.wire import Script, Wire

COUNT = Script("count")


class SharedWindows:
    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire, self._keys = wire, keys

    async def add(self, caller: str, span_s: float) -> tuple[int, float]:
        """The requests of its window with this one, and the seconds until that ends. Raises `Unavailable`.

        One whose answer is lost may be counted twice.
        """
        answer = await self._wire.verdict(COUNT, (self._keys.window(caller),), (int(span_s * 1000),))
        count, left_ms = map(int, answer)
        return count, left_ms / 1000
