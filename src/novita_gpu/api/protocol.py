"""uvicorn's HTTP with an end to what comes before the body: so much of it, within so long."""

import asyncio
from datetime import UTC, datetime

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from novita_gpu.api.body import MAX_HEADERS, MAX_URL_CHARS
from novita_gpu.contract import encode, problem_answer, time_text

# Of a head that is not at its end yet; one that is, is judged by the gate.
MOST_HEAD = MAX_HEADERS + MAX_URL_CHARS
# From the connection, or from the first byte of a later request on it, to the end of its headers.
HEAD_WITHIN_S = 10.0


class BoundedHttp(HttpToolsProtocol):
    """Cuts off a connection whose head is endless or comes drop by drop; each would hold a file and memory for ever."""

    head_within_s = HEAD_WITHIN_S

    _head = 0
    _is_in_head = True
    _head_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MOST_HEAD:
                self.send_400_response(f"The headers are larger than {MAX_HEADERS} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """In the form of every other error. Nothing of the request is known yet, so its id is not either."""
        self._end_head()
        body = encode(
            problem_answer("VALIDATION_ERROR", msg, timestamp=time_text(datetime.now(UTC)), request_id="none")
        )
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\n"
            f"cache-control: private, no-store\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _begin_head(self) -> None:
        self._end_head()
        self._is_in_head, self._head = True, 0
        self._head_ends = self.loop.call_later(self.head_within_s, self.transport.close)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_ends:
            self._head_ends.cancel()
            self._head_ends = None
