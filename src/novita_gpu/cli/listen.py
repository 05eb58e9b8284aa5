"""A receiver on this machine: checks the signature of each webhook and prints it."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct, field

from novita_gpu.cli.access import DEMO_FOLDER
from novita_gpu.cli.ask import Json
from novita_gpu.cli.ending import USAGE, Stopped, ending, wrong

SECRET_FILE = "webhook-secret"  # noqa: S105 — its name, not the secret
SECRET = re.compile("whsec_[A-Za-z0-9+/]{22,}={0,2}")
HELP_SECRET = "whsec_…; may be repeated. [default: of a service on this machine, its DATA_DIR/webhook-secret]"  # noqa: S105


def register(group: typer.Typer) -> None:
    @group.command("listen")
    def _listen(
        host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 3001,
        secret: Annotated[
            list[str] | None, typer.Option("--secret", envvar="NOVITA_GPU_WEBHOOK_SECRET", help=HELP_SECRET)
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Receive webhooks here: check each signature, and print what came.

        A service that is to send here has this network in WEBHOOK_ALLOW_PRIVATE."""
        asyncio.run(_receive(host, port, _checked(secret or [_secret_on_disk()]), as_json=as_json))


class _Instance(Struct, frozen=True):
    name: str = ""


class _Data(Struct, frozen=True):
    sequence: int = 0
    reason: str | None = None
    instance: _Instance = _Instance()


class _Told(Struct, frozen=True):
    type: str = "?"
    data: _Data = _Data()


class Heard(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One webhook as it is printed. `refused`: why its signature does not hold."""

    webhook_id: str
    refused: str | None = None
    again: bool = False
    body: Any = field(default=None)


class Listener:
    """`secrets`: any of them will do. The ids seen are kept, to say what came again."""

    def __init__(self, secrets: Sequence[str], *, as_json: bool) -> None:
        self._secrets, self._as_json = secrets, as_json
        self._seen: set[str] = set()

    def take(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Prints it; whether its signature holds."""
        name = headers.get("webhook-id", "")
        refused = self._refusal(body, headers)
        tree = None if refused else msgspec.json.decode(body)
        heard = Heard(webhook_id=name, refused=refused, again=name in self._seen, body=tree)
        if not refused:
            self._seen.add(name)
        _say(msgspec.json.encode(heard).decode() if self._as_json else _line(heard))
        return refused is None

    def _refusal(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError

        why = "no secret"
        for secret in self._secrets:
            try:
                Webhook(secret).verify(body, dict(headers))
            except (WebhookVerificationError, ValueError) as error:
                why = str(error)
            else:
                return None
        return why


def _line(heard: Heard) -> str:
    if heard.refused:
        return f"REFUSED  {_plain(heard.webhook_id)}: {heard.refused}"
    told = msgspec.convert(heard.body, _Told)
    parts = (f"{told.data.sequence:>5}", f"{told.type:<26}", told.data.instance.name, told.data.reason or "")
    return _plain("  ".join(filter(None, (*parts, "(again)" if heard.again else ""))))


def _plain(text: str) -> str:
    """Others wrote it: nothing in it may steer the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


async def _receive(host: str, port: int, secrets: Sequence[str], *, as_json: bool) -> None:
    from aiohttp import web

    listener = Listener(secrets, as_json=as_json)

    async def handle(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return web.Response(status=204 if listener.take(await request.read(), headers) else 401)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        typer.echo(f"listening on http://{bound[0]}:{bound[1]}/", err=as_json)
        sys.stdout.flush()
        await asyncio.Event().wait()
    except OSError as error:
        todo = "Choose another --port, or end what has it."
        raise Stopped(
            ending(USAGE, "CANNOT_START", f"It cannot listen on {host}:{port}: {error}", todo=todo)
        ) from error
    finally:
        await runner.cleanup()


def _checked(secrets: Sequence[str]) -> Sequence[str]:
    if not all(SECRET.fullmatch(secret) for secret in secrets):
        raise wrong("The secret is not whsec_ and base64", "Give it as the service answered it.")
    return secrets


def _secret_on_disk() -> str:
    for folder in (os.environ.get("DATA_DIR") or "data", DEMO_FOLDER):
        try:
            return Path(folder, SECRET_FILE).read_text().strip()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise wrong(f"{Path(folder, SECRET_FILE)} cannot be read: {error}", "Give it with --secret.") from error
    raise wrong("No secret is known to check signatures with", "Give it with --secret or NOVITA_GPU_WEBHOOK_SECRET.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
