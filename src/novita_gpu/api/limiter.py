"""How often a caller may ask. A window begins with a caller's first request, so what is left of it is known exactly."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

from novita_gpu.domain.value import Value
from novita_gpu.store.base import Unavailable

SPAN_S = 60.0
# Callers remembered at once, some 10 MB. Who has more addresses than this gains nothing by having one forgotten.
MOST_CALLERS = 50_000
# Wrong keys from one address in a minute. A person mistypes a few. A guess at 256 bits needs no limit to fail, but a
# key that an operator chose may be weaker.
FAILURES = 20
# The shared count is waited for so long; then, and for a while, each process counts alone.
SHARED_WITHIN_S = 0.25
ALONE_FOR_S = 2.0


class Quota(Value, frozen=True, kw_only=True):
    """Where a caller stands: `used` of `limit`, and the seconds until its window ends. `policy` names the limit."""

    policy: Literal["key", "address", "wrong-keys"]
    limit: int
    used: int
    left_s: float

    @property
    def is_over(self) -> bool:
        return self.used > self.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


class Windows:
    """Counts by caller in memory, those who began first in front; they are also the first to be forgotten."""

    def __init__(self, monotonic: Callable[[], float], most: int = MOST_CALLERS) -> None:
        self._monotonic, self._most = monotonic, most
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, caller: str) -> tuple[int, float]:
        """The requests of its window with this one, and the seconds until that ends."""
        now = self._monotonic()
        self._forget(now)
        begun, count = self._windows.get(caller, (now, 0))
        if not count and len(self._windows) >= self._most:
            self._windows.popitem(last=False)
        self._windows[caller] = (begun, count + 1)
        return count + 1, begun + SPAN_S - now

    def at(self, caller: str) -> tuple[int, float]:
        """The same without this one."""
        now = self._monotonic()
        begun, count = self._windows.get(caller, (now, 0))
        return (count, begun + SPAN_S - now) if now < begun + SPAN_S else (0, SPAN_S)

    def _forget(self, now: float) -> None:
        while self._windows:
            first = next(iter(self._windows))
            if now < self._windows[first][0] + SPAN_S:
                return
            self._windows.popitem(last=False)


class Counter(Protocol):
    """Counts for all processes together."""

    async def add(self, caller: str, span_s: float) -> tuple[int, float]:
        """The requests of its window with this one, and the seconds until that ends. Raises `Unavailable`."""
        ...


class Limiter:
    """`per_minute` 0: no limit but that on wrong keys. `shared` counts keys; addresses are counted by each process.

    Keys have a table of their own: no flood of addresses makes one of them forgotten.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        shared: Counter | None = None,
        shared_within_s: float = SHARED_WITHIN_S,
        wrong_keys: int = FAILURES,
    ) -> None:
        self._shared_within_s, self._wrong_keys = shared_within_s, wrong_keys
        self._per_minute, self._monotonic, self._shared = per_minute, monotonic, shared
        self._keys, self._addresses, self._failures, self._told = (Windows(monotonic) for _ in range(4))
        self._let_in: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._alone_until = 0.0

    async def of_key(self, key_id: str) -> Quota | None:
        """Counts a request; None where there is no limit."""
        if not self._per_minute:
            return None
        used, left_s = await self._shared_count(key_id) or self._keys.add(key_id)
        return Quota(policy="key", limit=self._per_minute, used=used, left_s=left_s)

    def of_address(self, address: str) -> Quota | None:
        """Counts a request without a valid key; None where there is no limit."""
        if not self._per_minute:
            return None
        used, left_s = self._addresses.add(address)
        return Quota(policy="address", limit=self._per_minute, used=used, left_s=left_s)

    def failed(self, address: str) -> Quota:
        """Counts a wrong key."""
        used, left_s = self._failures.add(address)
        return Quota(policy="wrong-keys", limit=self._wrong_keys, used=used, left_s=left_s)

    def let_in(self, address: str, key_id: str) -> Quota | None:
        """None: a right key comes in. Else it may be a guess: there were too many wrong ones from there.

        Who was let in from there before is let in still: one bad neighbour behind an address locks nobody out.
        """
        used, left_s = self._failures.at(address)
        known = (address, key_id)
        if used >= self._wrong_keys and known not in self._let_in:
            return Quota(policy="wrong-keys", limit=self._wrong_keys, used=used + 1, left_s=left_s)
        if known not in self._let_in:
            if len(self._let_in) >= MOST_CALLERS:
                self._let_in.popitem(last=False)
            self._let_in[known] = None
        return None

    def is_news(self, quota: Quota, caller: str) -> bool:
        """Whether nothing was told for a minute of this caller's being sent away. A flood fills no log."""
        return self._told.add(f"{quota.policy} {caller}")[0] == 1

    async def _shared_count(self, caller: str) -> tuple[int, float] | None:
        if self._shared is None or self._monotonic() < self._alone_until:
            return None
        try:
            async with asyncio.timeout(self._shared_within_s):
                return await self._shared.add(caller, SPAN_S)
        except (Unavailable, TimeoutError):
            self._alone_until = self._monotonic() + ALONE_FOR_S
            return None
