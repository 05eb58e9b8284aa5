"""The commands that make an instance, and that say what it would be: every option of create, declared once."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from msgspec.structs import asdict

from novita_gpu.cli.ask import Ask, Timeout, WaitFor, asks
from novita_gpu.cli.ending import wrong
from novita_gpu.cli.waiting import TIMEOUT_S, give_accepted
from novita_gpu.hidden import SECRET, Discreet

if TYPE_CHECKING:
    from novita_gpu.client.options import CreateOptions

Flag = bool | None
Words = str | None
Number = int | None

_GROUPS = {"health_check": "health_", "auto_stop": "auto_stop_", "recovery": "recovery_"}
_READERS: dict[str, Callable[[list[str]], Any]] = {
    "ports": lambda texts: list(map(_port, texts)),
    "envs": lambda texts: dict(map(_env, texts)),
    "network_storages": lambda texts: list(map(_storage, texts)),
}


class Wanted(Discreet, frozen=True, kw_only=True):
    """An instance as it is typed. None or empty: not given."""

    name: Annotated[str, typer.Argument(help="1 to 100 of A-Z, a-z, 0-9, _ and -.")]
    product_name: Annotated[Words, typer.Option("--product", help="Product by its whole name.")] = None
    product_id: Annotated[Words, typer.Option("--product-id", help="Product by its id.")] = None
    template_id: Annotated[Words, typer.Option("--template", help="Template by its id.")] = None
    image_url: Annotated[Words, typer.Option("--image", help="Image, where there is no template.")] = None
    gpu_num: Annotated[Number, typer.Option("--gpus", help="How many GPUs, 1 to 8. [default: 1]")] = None
    rootfs_size: Annotated[Number, typer.Option("--rootfs-size", help="Disk in GB.")] = None
    region: Annotated[Words, typer.Option("--region", help="Preferred region.")] = None
    regions: Annotated[
        list[str] | None, typer.Option("--regions", metavar="REGION", help="Region to try; repeat in order.")
    ] = None
    fallback: Annotated[Flag, typer.Option("--fallback/--no-fallback", help="Try other regions too.")] = None
    billing_mode: Annotated[Literal["onDemand", "spot"] | None, typer.Option("--billing-mode")] = None
    max_price_per_hour: Annotated[Words, typer.Option("--max-price", help="USD an hour for all of it.")] = None
    ports: Annotated[
        list[str] | None, typer.Option("--port", metavar="PORT", help="As 8888 or 22/tcp; may be repeated.")
    ] = None
    envs: Annotated[
        list[str] | None,
        SECRET,
        typer.Option("--env", metavar="KEY=VALUE", help="As KEY=VALUE, or KEY to hand yours on; may be repeated."),
    ] = None
    command: Annotated[Words, SECRET, typer.Option("--command")] = None
    entrypoint: Annotated[Words, SECRET, typer.Option("--entrypoint")] = None
    min_cuda_version: Annotated[Words, typer.Option("--min-cuda", help="As 12.4.")] = None
    network_storages: Annotated[
        list[str] | None, typer.Option("--storage", metavar="ID", help="As ID or ID:/mount/point; may be repeated.")
    ] = None
    health_path: Annotated[Words, typer.Option("--health-path", help="Path that the probes ask for.")] = None
    health_target_port: Annotated[Number, typer.Option("--health-port", help="Probe only this port.")] = None
    health_timeout_ms: Annotated[Number, typer.Option("--health-timeout-ms", help="Of one probe.")] = None
    health_retry_attempts: Annotated[Number, typer.Option("--health-retries")] = None
    health_retry_delay_ms: Annotated[Number, typer.Option("--health-retry-delay-ms")] = None
    health_max_wait_time_ms: Annotated[Number, typer.Option("--health-max-wait-ms", help="From running to ready.")] = (
        None
    )
    auto_stop_enabled: Annotated[Flag, typer.Option("--auto-stop/--no-auto-stop", help="Stop it when it is idle.")] = (
        None
    )
    auto_stop_idle_minutes: Annotated[Number, typer.Option("--idle-minutes", help="How long idle.")] = None
    auto_stop_activity: Annotated[
        Literal["heartbeat", "gpu", "any"] | None, typer.Option("--activity", help="What counts as use.")
    ] = None
    auto_stop_max_lifetime_minutes: Annotated[
        Number, typer.Option("--max-lifetime-minutes", help="Stop it then, used or not.")
    ] = None
    auto_stop_pinned_until: Annotated[
        Words, typer.Option("--pinned-until", help="Not for idleness before 2026-01-31T12:00:00Z.")
    ] = None
    recovery_on_reclaim: Annotated[
        Literal["migrate", "recreate", "none"] | None,
        typer.Option("--on-reclaim", help="When a spot machine is taken."),
    ] = None
    recovery_max_per_day: Annotated[Number, typer.Option("--recoveries-per-day")] = None
    recovery_allow_on_demand: Annotated[
        Flag, typer.Option("--recover-on-demand/--recover-on-spot", help="An on-demand machine may replace it.")
    ] = None
    recovery_save_image: Annotated[
        Flag, typer.Option("--save-image/--no-save-image", help="Before it is taken; the new one is made from it.")
    ] = None
    recovery_image_repository: Annotated[
        Words, typer.Option("--image-repository", help="Where it is saved, without a tag.")
    ] = None
    recovery_image_auth_id: Annotated[Words, typer.Option("--image-auth", help="Id of that registry's credential.")] = (
        None
    )
    on_start_capacity: Annotated[
        Literal["wait", "migrate", "fail"] | None,
        typer.Option("--on-start-capacity", help="When its GPU was given away while it was stopped."),
    ] = None
    webhook_url: Annotated[Words, typer.Option("--webhook-url", help="Receiver of its events.")] = None


def register(app: typer.Typer) -> None:
    @asks(app, "create")
    async def _create(
        ask: Ask,
        wanted: Wanted,
        idempotency_key: Annotated[
            Words, typer.Option("--idempotency-key", help="The same within 24 h never makes a second one.")
        ] = None,
        wait: WaitFor = False,
        timeout: Timeout = TIMEOUT_S,
    ) -> None:
        """Make an instance.

        What is left out is as the service is configured, or as the template says.
        """
        answer = await ask.client.create(wanted.name, idempotency_key=idempotency_key, **_options(wanted))
        await give_accepted(ask, answer, wanted.name, "ready", timeout if wait else None, after=0)

    @asks(app, "plan")
    async def _plan(ask: Ask, wanted: Wanted) -> None:
        """Say what create would do and cost, and why.

        Takes what create takes, and changes nothing."""
        from novita_gpu.cli import spending

        answer = await ask.client.plan(wanted.name, **_options(wanted))
        ask.give(answer, lambda: spending.plan(answer))


def _options(wanted: Wanted) -> "CreateOptions":
    """Only what was given: all else is as the service is configured."""
    options: dict[str, Any] = {}
    for field, value in asdict(wanted).items():
        if field == "name" or value in (None, []):
            continue
        group = next((group for group, prefix in _GROUPS.items() if field.startswith(prefix)), None)
        if group:
            options.setdefault(group, {})[field.removeprefix(_GROUPS[group])] = value
        else:
            options[field] = _READERS[field](value) if field in _READERS else value
    return cast("CreateOptions", options)


def _port(text: str) -> dict[str, Any]:
    number, _, kind = text.partition("/")
    if not number.isdecimal() or kind not in {"", "http", "tcp"}:
        raise wrong(f"--port {text!r} is not a port", "Write it as 8888, 8888/http or 22/tcp.")
    return {"port": int(number), "type": kind or "http"}


def _env(text: str) -> tuple[str, str]:
    key, is_given, value = text.partition("=")
    if is_given:
        return key, value
    if key not in os.environ:
        raise wrong(f"--env {key}: there is no such variable here", "Write it as KEY=VALUE.")
    return key, os.environ[key]


def _storage(text: str) -> dict[str, str]:
    storage, _, mount_point = text.partition(":")
    return {"id": storage, "mount_point": mount_point} if mount_point else {"id": storage}
