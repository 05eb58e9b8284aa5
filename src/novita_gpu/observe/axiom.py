"""Every line of the log at Axiom too: gathered, sent by a thread of its own, and never waited for.

axiom-py brings the call and the reading of its answer. Its own log handlers send within the call that logs, without a
time-out, and lose or hoard what could not be sent: docs/decisions/0026. Here who logs only puts a line on a heap. What
the heap has no room for is dropped and counted, and so is what Axiom will not take.
"""

import gzip
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import requests
import structlog
from axiom_py import Client  # pyright: ignore[reportMissingTypeStubs] - it brings none
from axiom_py.client import AxiomError, ContentEncoding, ContentType  # pyright: ignore[reportMissingTypeStubs]
from requests.adapters import HTTPAdapter
from structlog.typing import EventDict, WrappedLogger

from novita_gpu.observe.logs import formatter
from novita_gpu.observe.shipping import Shipped, Shipper

log = structlog.get_logger()

# Columns of their own. All else goes into the one map: a data set has at most 257 columns.
COLUMNS = frozenset(
    {
        *("level", "event", "category", "logger", "exception"),
        *("request_id", "correlation_id", "instance_id", "operation_id", "event_id"),
        *("actor", "reason", "client", "method", "route", "status", "ms"),
    }
)
MAP = "fields"
# Lines wait until there are so many, or so long. Shorter, and each line is a request; longer, and a search is behind.
BATCH_BYTES = 1024 * 1024
EVERY = timedelta(seconds=1)
# What may wait while Axiom does not answer: a quarter of an hour of a busy service.
HEAP_BYTES = 16 * 1024 * 1024
# Axiom refuses a longer one, and with it all that is sent beside it.
LINE_BYTES = 512 * 1024
CONNECT_S, ANSWER_S = 5.0, 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
# How long a stop waits for what is on the heap.
FLUSH_WITHIN = timedelta(seconds=5)
OVERLOADED = frozenset({408, 425, 429})
TOLD_EVERY_S = 60.0


class Unsent(Exception):
    """Axiom did not take them. `lasting`: the same lines would be refused again."""

    def __init__(self, why: str, *, lasting: bool) -> None:
        super().__init__(why)
        self.lasting = lasting


class Axiom(Shipper):
    """A sink beside the console. `close` sends what waits, for at most `FLUSH_WITHIN`, and drops the rest."""

    def __init__(
        self,
        token: str,
        dataset: str,
        url: str,
        *,
        heap_bytes: int = HEAP_BYTES,
        every: timedelta = EVERY,
        flush_within: timedelta = FLUSH_WITHIN,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        super().__init__()
        self.setFormatter(formatter(structlog.processors.format_exc_info, _row))
        self._send = _sender(token, dataset, url)
        self._heap_bytes, self._every_s = heap_bytes, every.total_seconds()
        self._flush_within_s, self._first_pause_s = flush_within.total_seconds(), first_pause_s
        self._heap: deque[bytes] = deque()
        self._bytes = self._sent = self._dropped = self._in_hand = 0
        self._ends_at: float | None = None
        self._news = threading.Condition(threading.Lock())
        self._told_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="axiom", daemon=True)
        self._thread.start()

    @property
    def shipped(self) -> Shipped:
        with self._news:
            return Shipped(sent=self._sent, dropped=self._dropped, waiting=len(self._heap) + self._in_hand)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode()
        except Exception:  # as every handler: what cannot be logged must not stop what was under way
            self.handleError(record)
            return
        with self._news:
            if self._ends_at is not None:
                return
            if len(line) > LINE_BYTES or self._bytes + len(line) > self._heap_bytes:
                self._dropped += 1
                return
            self._heap.append(line)
            self._bytes += len(line)
            if self._bytes >= BATCH_BYTES:
                self._news.notify()

    def close(self) -> None:
        with self._news:
            if self._ends_at is not None:
                return
            self._ends_at = time.monotonic() + self._flush_within_s
            self._news.notify()
        self._thread.join(self._flush_within_s)
        with self._news:
            self._dropped += len(self._heap) + self._in_hand
            self._heap.clear()
            self._in_hand = self._bytes = 0
        if self._dropped:
            log.warning("axiom.dropped", lines=self._dropped)
        super().close()

    def _run(self) -> None:
        while (batch := self._batch()) is not None:
            if batch:
                self._deliver(batch)

    def _batch(self) -> list[bytes] | None:
        """The oldest lines, once it is time for them; None when all is over."""
        with self._news:
            if self._ends_at is None and self._bytes < BATCH_BYTES:
                self._news.wait(self._every_s)
            batch: list[bytes] = []
            size = 0
            while self._heap and size < BATCH_BYTES:
                batch.append(self._heap.popleft())
                size += len(batch[-1])
            self._bytes -= size
            self._in_hand = len(batch)
            return batch if batch or self._ends_at is None else None

    def _deliver(self, batch: list[bytes]) -> None:
        """Tried again, with growing pauses, until it is taken, refused for good, or time is up."""
        body, pause_s = gzip.compress(b"\n".join(batch), compresslevel=1), self._first_pause_s
        while True:
            try:
                refused = self._send(body)
            except Unsent as fault:
                self._tell(fault, len(batch))
                is_over = self._rested(pause_s)
                if fault.lasting or is_over:
                    self._done(dropped=len(batch))
                    return
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._done(sent=len(batch) - refused, dropped=refused)
                return

    def _rested(self, pause_s: float) -> bool:
        """After the pause, which the begin of a stop cuts short: whether there is no time for another try."""
        with self._news:
            left_s = pause_s if self._ends_at is None else self._ends_at - time.monotonic()
            self._news.wait(max(0.0, min(pause_s, left_s)))
            return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _done(self, *, sent: int = 0, dropped: int = 0) -> None:
        with self._news:
            if self._in_hand:  # else a stop gave it up meanwhile
                self._sent, self._dropped, self._in_hand = self._sent + sent, self._dropped + dropped, 0

    def _tell(self, fault: Unsent, lines: int) -> None:
        """Once a minute at most: this line goes to Axiom as well."""
        now = time.monotonic()
        is_over = self._ends_at is not None and now >= self._ends_at
        if now - self._told_at >= TOLD_EVERY_S and not is_over:
            self._told_at = now
            log.warning("axiom.unsent", reason=str(fault), lines=lines, tried_again=not fault.lasting)


class _InTime(HTTPAdapter):
    """One try with an end: axiom-py has no time-out, and tries again by itself for as long as Retry-After says."""

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        return super().send(request, *args, **{**how, "timeout": (CONNECT_S, ANSWER_S)})


def _sender(token: str, dataset: str, url: str) -> Callable[[bytes], int]:
    """Sends lines, gzipped; answers how many of them were refused. Raises `Unsent`."""
    client = Client(token=token, url=url)
    for scheme in ("http://", "https://"):
        client.session.mount(scheme, _InTime())

    def send(body: bytes) -> int:
        try:
            return client.ingest(dataset, body, ContentType.NDJSON, ContentEncoding.GZIP).failed
        except AxiomError as error:
            is_lasting = error.status < 500 and error.status not in OVERLOADED
            raise Unsent(f"Axiom answers {error.status}", lasting=is_lasting) from None
        except requests.JSONDecodeError:
            raise Unsent("Axiom's answer cannot be read", lasting=True) from None
        except (requests.RequestException, OSError) as error:
            # Its text can hold the request's headers, so only the kind is told.
            raise Unsent(f"Axiom does not answer: {type(error).__name__}", lasting=False) from None
        except Exception as error:  # its answer is made into classes that raise errors of their own
            raise Unsent(f"Axiom's answer cannot be read: {type(error).__name__}", lasting=True) from None

    return send


def _row(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """A line as Axiom has it: few columns, all else in one map of plain values."""
    row: dict[str, object] = {"_time": event.pop("timestamp", None)}
    fields: dict[str, object] = {}
    for name, value in event.items():
        (row if name in COLUMNS else fields)[name] = _plain(value)
    return msgspec.json.encode({**row, MAP: fields} if fields else row).decode()


def _plain(value: object) -> object:
    """Deeper values as text: each name below the map may be a column of its own where the map is not declared."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return msgspec.json.encode(value, enc_hook=str).decode()
