"""The environment, read once, into one frozen object. An empty variable is an unset one."""

import os
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from redis.asyncio.connection import parse_url

from novita_gpu import egress
from novita_gpu.cloud.calls import checked_key
from novita_gpu.cloud.wire import ROOT, root_of
from novita_gpu.contract.requests import IDLE_MINUTES_AT_MOST
from novita_gpu.domain.errors import Refused
from novita_gpu.domain.image import REPOSITORY
from novita_gpu.domain.spec import Activity, OnStartCapacity
from novita_gpu.hidden import HIDDEN

ADMIN_KEY_LENGTH = 16
# What the file systems of today take for one name.
NAME_BYTES = 255

# The least are far below any use: an interval that rounds to nothing would keep a process busy with nothing else.
Seconds = Annotated[float, Field(ge=0.01, le=86_400)]
Minutes = Annotated[float, Field(ge=0.001, le=525_600)]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Usd = Annotated[Decimal, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _web_root(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    parts = urlsplit(value)
    if not parts.hostname or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must name a host, and hold nothing that has to be escaped")
    if parts.port == 0 or parts.query or parts.fragment:  # asked for its port it raises for one above 65535
        raise ValueError("must hold no query or fragment, and no port 0")
    return value


def _key(value: SecretStr) -> SecretStr:
    key = checked_key(value.get_secret_value())
    if not key:
        raise ValueError("is blank")
    return SecretStr(key)


def _admin_key(value: SecretStr) -> SecretStr:
    key = _key(value)
    if len(key) < ADMIN_KEY_LENGTH:
        raise ValueError(f"must have at least {ADMIN_KEY_LENGTH} characters")
    return key


def _folder(value: Path) -> Path:
    if any(len(os.fsencode(part)) > NAME_BYTES for part in value.parts):
        raise ValueError(f"no name in it may have more than {NAME_BYTES} bytes")
    return value


def _redis_address(value: SecretStr) -> SecretStr:
    address = value.get_secret_value()
    if not address.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    try:
        parse_url(address)
    except ValueError:
        form = "redis://user:password@host:port/database, with / @ : and % in a password as %2F %40 %3A %25"
        raise ValueError(f"is no address: {form}") from None  # the fault tells parts of it
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    head, mark, key = value.get_secret_value().partition("whsec_")
    try:
        is_one = bool(mark) and not head and 24 <= len(b64decode(key, validate=True)) <= 64
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64")
    return value


def _plainly(message: str) -> str:
    """pydantic's words for a person who sets variables."""
    plain = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return plain.partition(", unable to parse")[0]


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        ip_network(entry)
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for origin in value:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin:
            raise ValueError(f"{origin!r} is no origin: it has a scheme and a host, and nothing after it")
    return value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[Listed, AfterValidator(_origins)]
Networks = Annotated[Listed, AfterValidator(_networks)]
Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], NoDecode, BeforeValidator(_listed)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
Root = Annotated[str, AfterValidator(_web_root)]
CloudRoot = Annotated[Root, AfterValidator(root_of)]
Key = Annotated[SecretStr, AfterValidator(_key)]
AdminKey = Annotated[SecretStr, AfterValidator(_admin_key)]
Folder = Annotated[Path, AfterValidator(_folder)]


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class WrongSettings(Exception):
    """Every wrong variable at once: `faults` are (variable, what is wrong with it)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{name}: {fault}" for name, fault in faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One variable as a person sees it; None: not set, or without a default."""

    name: str
    value: str | None
    default: str | None
    description: str
    is_secret: bool


def spelled(value: object) -> str | None:
    """As it would be set in the environment; a secret, and who an address is asked as, as stars."""
    if value is None or value == ():
        return None
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return f"{value:g}" if isinstance(value, float) else re.sub(r"//[^/@]*@", "//***@", str(value))


class Settings(BaseSettings):
    """Field names in capitals are the variables. Secrets print as stars."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", case_sensitive=False)

    novita_api_key: Key | None = Field(None, description="Key of the Novita account whose machines are managed.")
    novita_api_base_url: CloudRoot = Field(ROOT, description="Root of the cloud's API.")
    novita_calls_per_minute: Count = Field(100, description="Budget of calls to the cloud; 0 = unlimited.")

    host: str = Field("127.0.0.1", pattern=r"^[A-Za-z0-9._:%-]{1,253}$", description="Address to listen on.")
    port: int = Field(3000, ge=0, le=65_535, description="Port to listen on; 0 = any free one.")
    work_port: int | None = Field(
        None, ge=0, le=65_535, description="Port of HOST at which `work` answers /health and /metrics; unset: nowhere."
    )
    auth: Literal["on", "off"] = Field(
        "on", description="off: requests of this machine's own user need no key; only where HOST is a loopback address."
    )
    metrics_open: bool = Field(False, description="GET /metrics needs no key from this machine itself.")
    rate_limit_per_minute: Count = Field(
        100,
        description="Requests a minute of each key, or of an address without one; 0: no limit.",
    )
    rate_limit_shared: bool = Field(
        False, description="Requests of a key are counted for all replicas together, in REDIS_URL; a command each."
    )
    trusted_proxies: Networks = Field(
        (), description="Networks of proxies whose Forwarded and X-Forwarded-For count for where a request comes from."
    )
    allowed_origins: Origins = Field(
        (), description="Origins of web pages that may use the API with a key, such as https://app.example.com."
    )
    admin_api_key: AdminKey | None = Field(None, description="The admin key; made at first start if unset.")

    redis_url: Annotated[SecretStr, AfterValidator(_redis_address)] | None = Field(
        None, description="A shared Redis or Valkey, docs/redis.md; unset: a private Valkey in DATA_DIR."
    )
    redis_profile: Literal["local", "hosted"] = Field(
        "local",
        description="hosted: for a server that is paid for by the command; asked less often, later by seconds.",
    )
    redis_key_prefix: str = Field(
        "novita-gpu", pattern="^[A-Za-z0-9._:-]{1,64}$", description="Begins all keys: another one, another deployment."
    )
    redis_fallback: bool = Field(
        True, description="While REDIS_URL is out a private Valkey in DATA_DIR goes on; false: writes are refused then."
    )
    data_dir: Folder = Field(
        Path("data"), description="Folder of the private Valkey, the admin key, the deployment id."
    )
    deployment_id: str | None = Field(
        None, pattern="^[a-z0-9]{4,16}$", description="Tells this deployment's machines from another's."
    )

    webhook_secret: WebhookSecret | None = Field(None, description="whsec_ + base64; made at first start if unset.")
    webhook_secret_before: WebhookSecret | None = Field(
        None, description="Signs too, while receivers change over to WEBHOOK_SECRET."
    )
    webhook_allow_private: Networks = Field((), description="Networks of your own that receivers may be in.")
    webhook_ports: Ports = Field((80, 443), min_length=1, description="Ports that receivers outside of these may have.")
    webhook_url: str | None = Field(None, description="Receiver of events that have no receiver of their own.")

    default_regions: Listed = Field(
        ("AS-SGP-02", "CN-HK-01", "AS-IN-01"), min_length=1, description="Regions in order of preference."
    )
    on_start_capacity: OnStartCapacity = Field(
        OnStartCapacity.WAIT, description="When a stopped machine's GPU was given away: wait, migrate or fail."
    )
    max_instances: Count | None = Field(None, description="Instances that are not deleted; unset: no limit.")
    max_burn_usd_per_hour: Usd | None = Field(
        None, description="What all of them together may come to cost an hour; unset: no limit."
    )
    max_price_usd_per_hour: Usd | None = Field(
        None, description="What one of them may cost an hour without its disk; unset: no limit."
    )
    poll_moving_seconds: Seconds = Field(2, description="Between listings while something moves.")
    poll_resting_seconds: Seconds = Field(60, description="Between listings while all is at rest.")
    poll_spot_seconds: Seconds = Field(10, description="Between listings while a spot machine is meant to run.")
    sync_interval_minutes: Minutes = Field(
        30, description="Between whole comparisons with the cloud; one is made at each start."
    )
    create_settle_seconds: Seconds = Field(20, description="How long a lost create may take to show.")
    launch_timeout_minutes: Minutes = Field(30, description="From accepted to running.")
    not_ready_stop_minutes: Minutes = Field(60, description="A machine that runs and never answers is stopped.")
    orphan_policy: Literal["report", "delete"] = Field(
        "report", description="What becomes of machines of ours that no living instance has."
    )
    orphan_grace_minutes: Minutes = Field(30, description="An orphan younger than this is never removed.")
    auto_stop_enabled: bool = Field(True, description="Idleness stops instances; false: none, whatever they ask for.")
    auto_stop_idle_minutes: int = Field(
        20, ge=1, le=IDLE_MINUTES_AT_MOST, description="How long idle, unless an instance says otherwise; 1 to 10080."
    )
    auto_stop_activity: Activity = Field(
        Activity.HEARTBEAT, description="What shows use, unless an instance says otherwise: heartbeat, gpu or any."
    )
    auto_stop_max_idle_minutes: Minutes | None = Field(
        None, description="No instance may ask to idle for longer, by minutes, a pin or switching it off."
    )
    auto_stop_only_with_network_volume: bool = Field(
        False, description="Idleness stops only instances whose data is safe on a network volume."
    )
    auto_stop_warn_minutes: float = Field(2, ge=0, le=1440, description="How long before a stop it is told of.")
    auto_stop_check_minutes: Minutes = Field(5, description="Between checks, the safety net under each one's alarm.")
    delete_stopped_after_days: float | None = Field(
        None, gt=0, le=3650, description="Delete what was stopped for so long, told of a day before; unset: never."
    )

    recovery_on_reclaim: Literal["migrate", "recreate", "none"] = Field(
        "migrate", description="How a spot machine that was taken comes back; migrate: as a new machine if that fails."
    )
    recovery_max_per_day: int = Field(3, ge=0, le=100, description="How often one instance is brought back in a day.")
    recovery_min_interval_minutes: Minutes = Field(
        30, description="Between the first and the second recovery of a day; each further one is doubled."
    )
    recovery_when_unsure: Literal["recover", "leave"] = Field(
        "recover", description="A spot machine that exited, an hour old or more, and nothing tells why."
    )

    recovery_image_repository: str | None = Field(
        None,
        pattern=REPOSITORY,
        max_length=300,
        description="Where images of machines that will be taken are saved, without a tag, unless an instance says so.",
    )
    recovery_image_auth_id: str | None = Field(
        None, pattern=r"^\S{1,255}$", description="Id of that registry's credential in the cloud."
    )

    deleted_retention_days: float = Field(
        7, ge=1, le=3650, description="How long deleted instances are found, with their events and costs."
    )
    event_retention_days: float = Field(30, gt=0, le=3650, description="How long events are kept.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error: lines below it are not logged."
    )
    log_format: Literal["json", "text"] | None = Field(
        None, description="json or text; unset: text at a terminal, else json. Text has colours at a terminal."
    )
    axiom_token: Key | None = Field(
        None, description="API token of Axiom that may ingest: lines of the log go there too; with AXIOM_DATASET."
    )
    axiom_dataset: str | None = Field(
        None,
        validate_default=True,
        pattern="^[A-Za-z0-9._-]{1,128}$",
        description="Data set at Axiom, with a map field named fields.",
    )
    axiom_url: Root = Field("https://api.axiom.co", description="Root of Axiom's API, or of what speaks as it does.")
    otel_exporter_otlp_endpoint: Root | None = Field(
        None,
        description="OTLP/HTTP receiver of traces; needs the extra otlp. Other variables of OpenTelemetry hold too.",
    )
    slow_request_ms: Milliseconds = Field(1000, description="Requests that take longer are warned of in the log.")
    slow_cloud_call_ms: Milliseconds = Field(5000, description="Calls to the cloud that take longer are, too.")

    @field_validator("webhook_url")
    @classmethod
    def _may_be_called(cls, url: str | None, info: ValidationInfo) -> str | None:
        """As for every receiver. Networks or ports that are wrong themselves are told of instead."""
        if url is not None and {"webhook_allow_private", "webhook_ports"} <= set(info.data):
            allowed = egress.Networks.parse(",".join(info.data["webhook_allow_private"]))
            try:
                egress.check_url(url, allowed, frozenset(info.data["webhook_ports"]))
            except Refused as refused:
                raise ValueError(f"{refused.message} WEBHOOK_ALLOW_PRIVATE, WEBHOOK_PORTS say what is.") from None
        return url

    @field_validator("auto_stop_max_idle_minutes")
    @classmethod
    def _above_the_default(cls, most: float | None, info: ValidationInfo) -> float | None:
        idle = info.data.get("auto_stop_idle_minutes")
        if most is not None and idle is not None and most < idle:
            raise ValueError(f"must not be less than AUTO_STOP_IDLE_MINUTES, which is {idle}")
        return most

    @field_validator("axiom_dataset")
    @classmethod
    def _with_its_token(cls, dataset: str | None, info: ValidationInfo) -> str | None:
        if "axiom_token" in info.data and (dataset is None) is not (info.data["axiom_token"] is None):
            raise ValueError("AXIOM_TOKEN and AXIOM_DATASET are set together, or neither")
        return dataset

    @field_validator("auth")
    @classmethod
    def _only_on_loopback(cls, auth: str, info: ValidationInfo) -> str:
        host = info.data.get("host", "")
        if auth == "off" and not is_loopback(host):
            raise ValueError(f"off is for a loopback address only, and HOST is {host}: anybody could come in")
        return auth

    @classmethod
    def load(cls, **given: object) -> "Settings":
        """From the environment; `given` goes before it. Raises `WrongSettings`."""
        try:
            return cls(**given)  # pyright: ignore[reportArgumentType] -- pydantic checks them, that is the point
        except ValidationError as error:
            raise WrongSettings(
                [(str(e["loc"][0]).upper(), _plainly(e["msg"])) for e in error.errors(include_input=False)]
            ) from None

    def told(self) -> Iterator["Setting"]:
        """Each of them in words, without what is secret."""
        for name, field in type(self).model_fields.items():
            value: object = getattr(self, name)
            yield Setting(
                name=name.upper(),
                value=spelled(value),
                default=spelled(cast("object", field.default)),
                description=field.description or "",
                is_secret="SecretStr" in str(field.annotation),
            )

    @property
    def moving(self) -> timedelta:
        return timedelta(seconds=self.poll_moving_seconds)

    @property
    def resting(self) -> timedelta:
        return timedelta(seconds=self.poll_resting_seconds)
