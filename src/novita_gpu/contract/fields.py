"""The types of public fields, with their bounds and the rules that a pattern cannot say."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from msgspec import Meta

from novita_gpu.domain.image import REPOSITORY
from novita_gpu.hidden import HIDDEN, Secret

# The words that stand where an instance's name stands in a path.
ROUTE_WORDS = frozenset(
    {"auto-stop", "comprehensive", "delete", "migration", "plan", "restart", "start", "stop", "stop-all", "sync"}
)
# Environment entries that only we set: a machine is known as ours by one of them.
RESERVED_ENV_PREFIX = "NOVITA_GPU_"
# The cloud keeps these for itself (documented).
RESERVED_PORTS = frozenset({2222, 2223, 2224})
MAX_URL_CHARS = 2048


def not_reserved(name: str) -> str | None:
    if name in ROUTE_WORDS:
        return "is a word of this API's paths"
    if re.fullmatch("[0-9A-Fa-f]{16}", name):
        return "looks like an id of the cloud: 16 hex digits"
    return "must not begin with ins_, as our ids do" if name.startswith("ins_") else None


def web_address(url: str) -> str | None:
    wrong = "must be an http or https address"
    if not url.isascii() or not url.isprintable() or " " in url:
        return wrong
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return wrong
    if parts.scheme not in ("http", "https") or not named:
        return wrong
    return "must not hold a user name or password" if "@" in parts.netloc else None


def host_alone(url: str) -> str:
    """An address without what may hold a token: whoever is named in it, its path and its query."""
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return url if url in (host, f"{host}/") else f"{host}/{HIDDEN}"


def price(text: str) -> str | None:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", text):
        return 'must be a decimal string in USD with at most 4 places, such as "0.3500"'
    return None if Decimal(text) > 0 else "must be more than 0"


def moment(text: str) -> str | None:
    """RFC 3339 with its offset, in years that stay years when turned to UTC."""
    wrong = "must be a time with its offset, such as 2026-01-31T12:00:00.000Z"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", text):
        return wrong
    try:
        at = datetime.fromisoformat(re.sub(r"(\.[0-9]{1,6})[0-9]*", r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return wrong
    return None if 2000 <= at.year < 2200 else "must lie between the years 2000 and 2200"


def exposable(port: int) -> str | None:
    return "is a port that the cloud keeps for itself" if port in RESERVED_PORTS else None


def free_key(key: str) -> str | None:
    return f"must not begin with {RESERVED_ENV_PREFIX}" if key.startswith(RESERVED_ENV_PREFIX) else None


def distinct(by: str = "") -> Callable[[Sequence[Any]], str | None]:
    """No two entries alike, or alike in the field `by`."""

    def rule(entries: Sequence[Any]) -> str | None:
        texts = [repr(_key(e, by)) for e in entries]
        return None if len(set(texts)) == len(texts) else "must not name the same entry twice"

    return rule


def _key(entry: object, by: str) -> object:
    return cast("dict[str, object]", entry).get(by) if by and isinstance(entry, dict) else entry


Name = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_-]{1,100}$",
        description="Unique among living instances; not a word of the paths, not 16 hex digits, not `ins_…`.",
        examples=["trainer-1"],
        extra={"rule": not_reserved, "expected": "1 to 100 of A-Z, a-z, 0-9, _ and -"},
    ),
]
Ref = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_-]{1,100}$",
        description="Our id, the cloud's id, or the name.",
        examples=["trainer-1"],
        extra={"expected": "an id or a name: 1 to 100 of A-Z, a-z, 0-9, _ and -"},
    ),
]
Words = Annotated[str, Meta(min_length=1, max_length=255)]
Region = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_-]{1,64}$",
        description="A region's name or a cluster's id.",
        examples=["AS-SGP-02", "as-sgp-2"],
        extra={"expected": "a region's name, such as AS-SGP-02, or a cluster's id"},
    ),
]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_URL_CHARS,
        examples=["https://example.com/hook"],
        extra={"rule": web_address},
        extra_json_schema={"format": "uri"},
    ),
]
Price = Annotated[
    Decimal,
    Meta(
        description="USD for all of its GPUs and hour; disk beyond the free part comes on top.",
        examples=["0.3500"],
        extra={"rule": price, "expected": 'a decimal string in USD, such as "0.3500"'},
        extra_json_schema={"pattern": r"^[0-9]{1,6}(\.[0-9]{1,4})?$"},
    ),
]
Moment = Annotated[
    datetime,
    Meta(
        tz=True,
        examples=["2026-01-31T12:00:00.000Z"],
        extra={"rule": moment, "expected": "a time, such as 2026-01-31T12:00:00.000Z"},
    ),
]
# The caller's own words, for a rule that is not of the time alone and has to repeat them.
MomentText = Annotated[
    str,
    Meta(
        examples=["2026-01-31T12:00:00.000Z"],
        extra={"rule": moment, "expected": "a time, such as 2026-01-31T12:00:00.000Z"},
        extra_json_schema={"format": "date-time"},
    ),
]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]
ExposedPort = Annotated[int, Meta(ge=1, le=65535, extra={"rule": exposable})]
Command = Annotated[Secret, Meta(max_length=2047)]
ImageUrl = Annotated[
    str,
    Meta(
        pattern="^[!-~]{1,500}$",
        examples=["docker.io/library/ubuntu:22.04"],
        extra={"expected": "an image's address of 1 to 500 characters without spaces"},
    ),
]
Repository = Annotated[
    str,
    Meta(
        pattern=REPOSITORY,
        max_length=300,
        description="Registry and repository, without a tag.",
        examples=["docker.io/team/checkpoints"],
        extra={"expected": "a registry's repository without a tag, of 1 to 300 characters"},
    ),
]

# Answers spell their values as text, so that every number of places and every zone is ours to decide.
Time = Annotated[str, Meta(examples=["2026-01-31T12:00:00.000Z"], extra_json_schema={"format": "date-time"})]
Usd = Annotated[str, Meta(description="USD", pattern=r"^-?[0-9]+\.[0-9]{4}$", examples=["0.3500"])]


def time_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
