"""What took the time: parts of a request or a call, summed where they are spent."""

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

STORE, CLOUD, HELD = "store", "cloud", "held"


class Parts:
    """Seconds by part. What is done side by side counts as often, so parts may come to more than the whole."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def ms(self, whole_s: float) -> dict[str, float]:
        """Each part and what is left of the whole, as fields of a line."""
        rest = max(0.0, whole_s - sum(self.seconds.values()))
        return {f"{part}_ms": ms(seconds) for part, seconds in (*self.seconds.items(), ("rest", rest))}


_parts: ContextVar[Parts | None] = ContextVar("parts", default=None)


def ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


@contextmanager
def measured() -> Generator[Parts]:
    """What is spent inside, tasks begun there included, is summed here and not further out."""
    parts = Parts()
    token = _parts.set(parts)
    try:
        yield parts
    finally:
        _parts.reset(token)


@contextmanager
def spent(part: str, clock: Callable[[], float] = time.perf_counter) -> Generator[None]:
    """The time inside is this part's."""
    began = clock()
    try:
        yield
    finally:
        took(part, clock() - began)


def took(part: str, seconds: float) -> None:
    parts = _parts.get()
    if parts is not None:
        parts.seconds[part] += seconds
