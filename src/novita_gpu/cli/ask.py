"""Commands that ask the service: their common options, their client, and what they print."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import msgspec
import typer

from novita_gpu.cli.access import access

if TYPE_CHECKING:
    from rich.console import RenderableType

    from novita_gpu.client import Client
    from novita_gpu.client.answers import Answer

P = ParamSpec("P")

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="NOVITA_GPU_URL", help="Where the service is. [default: http://127.0.0.1:3000]"),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="NOVITA_GPU_KEY",
        help="API key. [default: of a service on this machine, its DATA_DIR/admin-key or .demo/admin-key]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Its name, its id, or the cloud's id.")]
WaitFor = Annotated[bool, typer.Option("--wait", help="Wait until it is so, and show how far it is.")]
Timeout = Annotated[int, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait.")]


class Ask:
    """One command's connection to the service, and its way to answer the person."""

    def __init__(self, client: "Client", *, as_json: bool) -> None:
        self.client = client
        self.as_json = as_json

    def give(self, answer: "Answer | dict[str, Any]", shown: Callable[[], "RenderableType"]) -> None:
        """The result: JSON as it was answered, or what `shown` makes of it."""
        if self.as_json:
            self.give_json(answer)
        else:
            self.show(shown())

    def give_json(self, answer: "Answer | dict[str, Any]") -> None:
        body = msgspec.json.encode(answer) if isinstance(answer, dict) else answer.raw
        sys.stdout.buffer.write(body.strip() + b"\n")
        sys.stdout.buffer.flush()

    def show(self, shown: "RenderableType") -> None:
        from novita_gpu.cli.show import console

        console().print(shown)


def asks(
    app: typer.Typer, name: str, *, hidden: bool = False
) -> Callable[[Callable[Concatenate[Ask, P], Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Registers `work` as a command with its own parameters, `--url`, `--key` and `--json`.

    A parameter that is a `Struct` stands for its fields: so commands share a declaration of options.
    """

    def register(work: Callable[Concatenate[Ask, P], Coroutine[Any, Any, None]]) -> Callable[..., None]:
        _, *own = inspect.signature(work).parameters.values()

        def command(*, url: str | None, key: str | None, as_json: bool, **typed: Any) -> None:
            asyncio.run(_ask(work, url, key, _gathered(own, typed), as_json=as_json))

        spread = [option for one in own for option in _spread(one)]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in spread] + _common()
        command.__doc__ = work.__doc__
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return app.command(name, hidden=hidden)(command)

    return register


def _spread(parameter: inspect.Parameter) -> Iterable[inspect.Parameter]:
    """The parameter, or those that it stands for."""
    kind = parameter.annotation
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return inspect.signature(kind).parameters.values()
    return (parameter,)


def _gathered(own: Sequence[inspect.Parameter], typed: dict[str, Any]) -> dict[str, Any]:
    """What was typed, as the command's own parameters."""
    values: dict[str, Any] = {}
    for one in own:
        fields = {option.name: typed[option.name] for option in _spread(one)}
        values[one.name] = fields[one.name] if one.name in fields else one.annotation(**fields)
    return values


def _common() -> list[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter("url", kind, default=None, annotation=Url),
        inspect.Parameter("key", kind, default=None, annotation=Key),
        inspect.Parameter("as_json", kind, default=False, annotation=Json),
    ]


async def _ask(
    work: Callable[..., Coroutine[Any, Any, None]],
    url: str | None,
    key: str | None,
    own: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from novita_gpu.client import Client, Retry

    entry = access(url, key)
    # A person waits for it: a service that is just restarting is met again, one that is not there is told soon.
    async with Client(entry.url, entry.key, retry=Retry(tries=3, first=timedelta(seconds=0.2))) as client:
        await work(Ask(client, as_json=as_json), **own)
