"""Prints each webhook that it receives: `receiver.py [port [secret]]`. With the secret it checks the signatures."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def verdict(body: bytes, headers: dict[str, str]) -> str:
    if len(sys.argv) < 3:
        return ""
    try:
        Webhook(sys.argv[2]).verify(body, headers)
    except WebhookVerificationError as error:
        return f"REFUSED: {error}"
    return "signature holds"


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        event = json.loads(body)
        data = event["data"]
        told = verdict(body, {name.lower(): value for name, value in self.headers.items()})
        name = data.get("instance", {}).get("name", "")
        tell(f"{data['sequence']:>4}  {event['type']:<20}  {name}  {told}".rstrip())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """What was received is told above."""


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 3001), Receiver)
    tell(f"listening on http://127.0.0.1:{server.server_port}/")
    server.serve_forever()
