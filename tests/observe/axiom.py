"""A server that speaks Axiom's ingest, and misbehaves as told."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "xaat-0123456789-token"
DATASET = "gpu-logs"


class FakeAxiom:
    """`answers`: a status for each next request, then 200. While `hangs` is set nothing is answered."""

    def __init__(self, answers: list[int] | None = None) -> None:
        self.answers = answers or []
        self.hangs = threading.Event()
        self.goes_on = threading.Event()
        self.lines: list[dict[str, Any]] = []
        self.asked: Counter[int] = Counter()
        self.refuses = 0  # of each batch, while it takes the rest
        self.body: bytes | None = None  # in place of Axiom's own
        self.news = threading.Condition()
        self.url = ""

    def names(self) -> list[str]:
        return [line["event"] for line in self.lines]

    def took(self, body: bytes) -> bytes:
        lines = [json.loads(line) for line in gzip.decompress(body).splitlines()]
        refused = min(self.refuses, len(lines))
        self.lines += lines[refused:]
        told: dict[str, Any] = {"ingested": len(lines) - refused, "failed": refused, "failures": []}
        told |= {"processedBytes": len(body), "blocksCreated": 0, "walLength": 0}
        return self.body or json.dumps(told).encode()

    def until(self, holds: Any, within_s: float = 20) -> None:
        with self.news:
            assert self.news.wait_for(holds, within_s)


@contextmanager
def ingesting(axiom: FakeAxiom | None = None) -> Generator[FakeAxiom]:
    axiom = axiom or FakeAxiom()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert axiom
            body = self.rfile.read(int(self.headers["content-length"]))
            if axiom.hangs.is_set():
                axiom.goes_on.wait(30)
                return
            status = 404 if self.path != f"/v1/datasets/{DATASET}/ingest" else 200
            status = 403 if self.headers["authorization"] != f"Bearer {TOKEN}" else status
            status = axiom.answers.pop(0) if axiom.answers else status
            with axiom.news:
                answer = axiom.took(body) if status == 200 else b'{"message": "no"}'
                axiom.asked[status] += 1
                axiom.news.notify_all()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - as in the library

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        axiom.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield axiom
        finally:
            axiom.goes_on.set()
            server.shutdown()
