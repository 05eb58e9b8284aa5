"""Commands that run the service, or look at how it is set up."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from novita_gpu.cli.access import DEMO_FOLDER
from novita_gpu.cli.ask import Json
from novita_gpu.cli.ending import UNREACHABLE, USAGE, Stopped, ending
from novita_gpu.cli.hint import first_command

if TYPE_CHECKING:
    from novita_gpu.programs import Finding
    from novita_gpu.settings import Settings, WrongSettings

T = TypeVar("T")
HOST = "127.0.0.1"
PORT = 3000
SIMULATOR_PORT = 3100

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on. [default: HOST, else 127.0.0.1]")]
Port = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on. [default: PORT, else 3000]")
]


def register(app: typer.Typer) -> None:
    _running(app)
    _looking(app)


def _running(app: typer.Typer) -> None:
    @app.command("demo")
    def _demo(
        folder: Annotated[Path, typer.Option("--folder", help="Where it keeps its data.")] = Path(DEMO_FOLDER),
        host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = HOST,
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = PORT,
        as_json: Json = False,  # noqa: ARG001 — errors are told by it, in `app`
    ) -> None:
        """Try everything with a simulated cloud: no account, no money."""
        from novita_gpu import programs

        _run(lambda: programs.demo(folder, host, port, lambda url, key: first_command(url, folder, key)))

    @app.command("serve")
    def _serve(
        no_worker: Annotated[bool, typer.Option("--no-worker", help="Answer only; `work` elsewhere.")] = False,
        host: Host = None,
        port: Port = None,
        as_json: Json = False,  # noqa: ARG001 — errors are told by it, in `app`
    ) -> None:
        """Run the service. Settings come from the environment."""
        settings = _settings(host=host, port=port)
        from novita_gpu import programs

        _run(lambda: programs.serve(settings, worker=not no_worker))

    @app.command("work")
    def _work(
        host: Host = None,
        port: Annotated[
            int | None,
            typer.Option(
                "--port", min=0, max=65535, help="Port for /health and /metrics. [default: WORK_PORT, else none]"
            ),
        ] = None,
        as_json: Json = False,  # noqa: ARG001 — errors are told by it, in `app`
    ) -> None:
        """Run a worker without the API."""
        settings = _settings(host=host, work_port=port)
        from novita_gpu import programs

        _run(lambda: programs.work(settings))

    @app.command("simulate")
    def _simulate(
        host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = HOST,
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = SIMULATOR_PORT,
        as_json: Json = False,  # noqa: ARG001 — errors are told by it, in `app`
    ) -> None:
        """Run the simulated cloud alone.

        Its address serves as NOVITA_API_BASE_URL."""
        from novita_gpu import programs

        _run(lambda: programs.simulate(host, port))


def _looking(app: typer.Typer) -> None:
    @app.command("doctor")
    def _doctor(as_json: Json = False) -> None:
        """Check settings, key, cloud and store, and say what to do."""
        settings = _settings()
        from novita_gpu import programs

        findings = _run(lambda: programs.diagnose(settings))
        if as_json:
            sys.stdout.write(msgspec.json.encode({"findings": findings}).decode() + "\n")
        else:
            _show(findings)
        if not all(finding.ok for finding in findings):
            raise typer.Exit(USAGE)

    @app.command("version")
    def _version(as_json: Json = False) -> None:
        """Show the version."""
        from importlib.metadata import version

        known = version("novita-gpu-api")
        typer.echo(msgspec.json.encode({"version": known}).decode() if as_json else known)


def _settings(**given: object) -> "Settings":
    from novita_gpu.settings import Settings, WrongSettings

    try:
        return Settings.load(**{name: value for name, value in given.items() if value is not None})
    except WrongSettings as error:
        raise _wrong_settings(error) from error


def _wrong_settings(error: "WrongSettings") -> Stopped:
    faults = [{"field": name, "message": fault} for name, fault in error.faults]
    return Stopped(ending(USAGE, "WRONG_SETTINGS", "The settings are wrong.", details=faults))


def _run(program: Callable[[], Coroutine[object, object, T]]) -> T:
    from novita_gpu.settings import WrongSettings
    from novita_gpu.store.base import StoreError

    try:
        return asyncio.run(program())
    except WrongSettings as error:
        raise _wrong_settings(error) from error
    except StoreError as error:
        todo = "Check REDIS_URL, or that DATA_DIR can be written: `novita-gpu doctor`."
        raise Stopped(ending(UNREACHABLE, "STORE_UNAVAILABLE", f"The store: {error}", todo=todo)) from error
    except OSError as error:
        todo = "Check that the folder can be written."
        raise Stopped(ending(USAGE, "CANNOT_START", f"It cannot start: {error}", todo=todo)) from error


def _show(findings: Sequence["Finding"]) -> None:
    for finding in findings:
        mark = typer.style("ok   ", fg="green") if finding.ok else typer.style("wrong", fg="red", bold=True)
        typer.echo(f"{mark}  {finding.name}: {finding.what}")
        if finding.todo and not finding.ok:
            typer.echo(f"       what to do: {finding.todo}")
