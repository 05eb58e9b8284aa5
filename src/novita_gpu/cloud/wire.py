"""The cloud's JSON read tolerantly: numbers as strings, empty strings for nothing, unknown words kept as they are.

Nothing here raises for a field that is missing or strange; `parse` raises `Unreadable` for an answer that is no JSON.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import msgspec
import structlog

from novita_gpu.cloud.base import Unreadable

log = structlog.get_logger(__name__)

ROOT = "https://api.novita.ai"
GPU_PATH = "/gpu-instance/openapi/v1"
ACCOUNT_PATH = "/openapi/v1"
# The forms in which people have written the base address.
_ROOT_ENDINGS = (GPU_PATH, "/gpu-instance/openapi", "/gpu-instance", ACCOUNT_PATH, "/openapi")

# 9999-12-31, the last day that a datetime can name.
_LAST_SECOND = 253_402_300_799
_LARGEST = Decimal(2**63)
# Unknown words remembered, so that each is logged once. More would let a strange answer fill the memory.
_WORDS_REMEMBERED = 200


def root_of(value: str) -> str:
    """The root from any form in which it is given: with or without a path family, with or without a slash.

    Raises ValueError for what is no http(s) address.
    """
    root = value.strip().rstrip("/")
    for ending in _ROOT_ENDINGS:
        if root.endswith(ending):
            root = root.removesuffix(ending).rstrip("/")
            break
    parts = urlsplit(root)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the cloud's address must begin with https:// (or http://) and name a host")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the cloud's address holds no user, query or fragment")
    return root


def gpu_url(root: str, path: str) -> str:
    return f"{root}{GPU_PATH}{path}"


def account_url(root: str, path: str) -> str:
    return f"{root}{ACCOUNT_PATH}{path}"


class Fields:
    """One JSON object, asked for by field name; the first name that holds something is taken."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def of(cls, value: object) -> "Fields":
        """The object, or an empty one in place of anything else."""
        return cls(value if is_object(value) else {})

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __repr__(self) -> str:
        return f"Fields({', '.join(sorted(self._values))})"  # names only: values can be secret

    def raw(self, name: str) -> object:
        return self._values.get(name)

    def text(self, *names: str) -> str:
        """A string, or a number as one; "" for everything else."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, str) and value:
                return value
            if isinstance(value, int | float) and not isinstance(value, bool):
                return str(value)
        return ""

    def whole(self, *names: str) -> int | None:
        number = self.number(*names)
        return None if number is None else int(number)

    def number(self, *names: str) -> Decimal | None:
        return next((n for n in (_number(self._values.get(name)) for name in names) if n is not None), None)

    def at(self, *names: str) -> datetime | None:
        """Unix seconds as an instant; "0", "-1" and "" are none."""
        seconds = self.whole(*names)
        if seconds is None or not 0 < seconds <= _LAST_SECOND:
            return None
        return datetime.fromtimestamp(seconds, UTC)

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        return value is True or value == 1 or (isinstance(value, str) and value.lower() in {"true", "1"})

    def inner(self, name: str) -> "Fields":
        """A nested object; the first of a list of them; an empty one when there is none."""
        value = self._values.get(name)
        return next(_objects(value), Fields({})) if _is_list(value) else Fields.of(value)

    def each(self, name: str) -> Iterator["Fields"]:
        return _objects(self._values.get(name))

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        return tuple(item for item in _items(value) if isinstance(item, str) and item)

    def wholes(self, name: str) -> tuple[int, ...]:
        numbers = (_number(item) for item in _items(self._values.get(name)))
        return tuple(int(number) for number in numbers if number is not None)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _items(value: object) -> list[Any]:
    return value if _is_list(value) else []


def _objects(value: object) -> Iterator[Fields]:
    return (Fields.of(item) for item in _items(value) if is_object(item))


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < _LARGEST else None


def decode(body: bytes) -> object:
    """The JSON of a body, None when it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def parse(body: bytes) -> Fields:
    """The JSON object of a body. Raises `Unreadable`, saying what came in its place, never its content."""
    value = decode(body)
    if is_object(value):
        return Fields.of(value)
    if not body.strip():
        raise Unreadable("the cloud answered with an empty body")
    what = "a page" if looks_like_page(body) else "something that is no JSON object"
    raise Unreadable(f"the cloud answered with {what}; is the address right?")


def looks_like_page(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


class Rows(msgspec.Struct, frozen=True):
    """The objects of a list answer. `total` is None when it does not say; `strange` counts entries that are none."""

    fields: tuple[Fields, ...]
    total: int | None
    strange: int = 0


def rows_of(answer: Fields, *names: str) -> Rows:
    """The list under the first of the names. Missing altogether it is `Unreadable`, unless a total is given.

    A refusal answered with 200 has no list either, and must not be taken for an empty one.
    """
    name = next((name for name in names if name in answer), None)
    total = answer.whole("total")
    value = answer.raw(name) if name else None
    if value is not None and not _is_list(value):
        raise Unreadable(f"the cloud's answer has no list in {name!r}")
    if name is None and total is None:
        raise Unreadable(f"the cloud's answer has no {names[0]!r}")
    fields = tuple(_objects(value))
    return Rows(fields, total, strange=len(_items(value)) - len(fields))


class Lexicon:
    """Words that the cloud may use. An unknown one is kept as it is and logged once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def word(self, kind: str, word: str, known: frozenset[str]) -> str:
        entry = (kind, word[:64])
        if word and word not in known and entry not in self._seen and len(self._seen) < _WORDS_REMEMBERED:
            self._seen.add(entry)
            log.warning("word.unknown", kind=kind, word=entry[1])
        return word
