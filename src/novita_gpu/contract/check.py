"""Reads a request strictly and names every fault of it at once.

The rules are those of the Struct: its types, `Meta` bounds and patterns, and two keys of `Meta(extra=...)`: `rule`, a
function of the value that says what is wrong with it, and `expected`, the words for what would be right. Under
`secret: True` no value is ever repeated. The OpenAPI document is made of the same Structs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import chain, islice
from typing import Any, ClassVar, TypeVar, cast

import msgspec
from msgspec import Struct, inspect

from novita_gpu.domain.errors import Fault, Invalid, Problem
from novita_gpu.hidden import Discreet

# Real requests nest four deep. Too small refuses them; too large lets a body exhaust the stack of whoever walks it.
MAX_DEPTH = 32
# A body can break more rules than anybody reads.
MAX_FAULTS = 100
MAX_VALUE_CHARS = 100

Rule = Callable[[Mapping[str, object]], Iterable[Fault]]


class Request(Discreet, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a caller may send. `rules` span several fields and see the body as it was sent."""

    rules: ClassVar[tuple[Rule, ...]] = ()


T = TypeVar("T", bound=Request)


class Unreadable(Problem):
    """The body is not JSON, or nests too deep to be read."""

    def __init__(self, why: str) -> None:
        super().__init__("INVALID_JSON", f"The body is not JSON that can be read: {why}.")


def read_json(body: bytes, kind: type[T]) -> T:
    """The request in the body; an empty body is an empty object. Raises `Unreadable` and `Invalid`."""
    return check(_parsed(body) if body.strip() else {}, kind)


def read_query(pairs: Iterable[tuple[str, str]], kind: type[T]) -> T:
    """The request in a query string, where numbers and truth values are spelled as text. Raises `Invalid`."""
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    types = {f.encode_name: f.type for f in _shape(kind).fields}
    repeated = [
        Fault(field=name, message="must be given once")
        for name, values in given.items()
        if len(values) > 1 and name in types and not isinstance(_bare(types[name]), inspect.VarTupleType)
    ]
    tree = {name: _spelled(values, types[name]) if name in types else values[0] for name, values in given.items()}
    return check(tree, kind, *repeated)


def check(tree: object, kind: type[T], *known: Fault) -> T:
    """The tree as a `kind`. Raises `Invalid` with what is `known` and every fault, at most `MAX_FAULTS`."""
    faults = tuple(islice(chain(known, _all_faults(tree, kind)), MAX_FAULTS))
    if faults:
        raise Invalid(*faults)
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:  # a rule that only the Struct itself knows
        raise Invalid(Fault(field="body", message=str(error))) from None


def _parsed(body: bytes) -> object:
    try:
        tree: object = msgspec.json.decode(body)
    except RecursionError:
        raise Unreadable(f"it nests deeper than {MAX_DEPTH}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error).partition(" - at")[0].rstrip(".")) from None
    if _depth_over(tree, MAX_DEPTH):
        raise Unreadable(f"it nests deeper than {MAX_DEPTH}")
    return tree


def _depth_over(tree: object, limit: int) -> bool:
    level = [tree]
    for _ in range(limit):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return cast("dict[str, object]", node).values()
    return cast("list[object]", node) if isinstance(node, list) else ()


@cache
def _shape(kind: type[Struct]) -> inspect.StructType:
    return cast("inspect.StructType", inspect.type_info(kind))


def _all_faults(tree: object, kind: type[Request]) -> Iterator[Fault]:
    if not isinstance(tree, dict):
        yield Fault(field="body", message="must be an object")
        return
    given = cast("dict[str, object]", tree)
    yield from _object(given, _shape(kind), "", secret=False)


def _object(given: Mapping[str, object], shape: inspect.StructType, at: str, *, secret: bool) -> Iterator[Fault]:
    fields = {f.encode_name: f for f in shape.fields}
    for name, value in given.items():
        if name not in fields:
            yield Fault(field=f"{at}{name[:MAX_VALUE_CHARS]}", message="is not a field of this request")
        elif value is None and fields[name].default is None:
            yield Fault(field=f"{at}{name}", message="must not be null; leave it out instead")
        else:
            yield from _faults(value, fields[name].type, f"{at}{name}", secret=secret)
    for name, field in fields.items():
        if field.required and name not in given:
            yield Fault(field=f"{at}{name}", message="is required")
    for rule in cast("type[Request]", shape.cls).rules:
        for fault in rule(given):
            yield Fault(field=f"{at}{fault.field}", message=fault.message)


def _faults(value: object, node: inspect.Type, at: str, *, secret: bool) -> Iterator[Fault]:
    node, extra = _unwrapped(node)
    secret = secret or bool(extra.get("secret"))
    if isinstance(node, inspect.UnionType):
        yield from _of_union(value, node, at, secret=secret)
    elif isinstance(node, inspect.StructType) and isinstance(value, dict):
        yield from _object(cast("dict[str, object]", value), node, f"{at}.", secret=secret)
    elif not _fits(value, node):
        yield Fault(
            field=at,
            message=f"must be {extra.get('expected') or _expected(node)}",
            value=_shown(value, secret=secret),
        )
    else:
        if isinstance(node, inspect.VarTupleType):
            for index, item in enumerate(cast("list[object]", value)):
                yield from _faults(item, node.item_type, f"{at}[{index}]", secret=secret)
        yield from _by_rule(value, extra, at, secret=secret)


def _of_union(value: object, union: inspect.UnionType, at: str, *, secret: bool) -> Iterator[Fault]:
    members = [t for t in union.types if not isinstance(t, inspect.NoneType)]
    if value is None and len(members) < len(union.types):
        return
    fitting = [t for t in members if _is_of(value, t)] or members
    if len(fitting) == 1:
        yield from _faults(value, fitting[0], at, secret=secret)
    else:
        expected = " or ".join(_expected(t) for t in members)
        yield Fault(field=at, message=f"must be {expected}", value=_shown(value, secret=secret))


def _unwrapped(node: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """The type itself, and what its metadata says of it."""
    extra: dict[str, Any] = {}
    while isinstance(node, inspect.Metadata):
        extra |= cast("dict[str, Any] | None", node.extra) or {}  # pyright: ignore[reportUnknownMemberType]
        node = node.type
    return node, extra


def _by_rule(value: object, extra: Mapping[str, Any], at: str, *, secret: bool) -> Iterator[Fault]:
    rule: Callable[[Any], str | None] | None = extra.get("rule")
    if rule and (message := rule(value)):
        yield Fault(field=at, message=message, value=_shown(value, secret=secret))


def _shown(value: object, *, secret: bool) -> str | int | float | bool | None:
    if secret or not isinstance(value, str | int | float | bool):
        return None
    return value[:MAX_VALUE_CHARS] if isinstance(value, str) else value


def _is_of(value: object, node: inspect.Type) -> bool:
    """Whether the value is of the node's JSON kind, whatever its bounds."""
    match _unwrapped(node)[0]:
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.StructType():
            return isinstance(value, dict)
        case inspect.VarTupleType():
            return isinstance(value, list)
        case inspect.BoolType():
            return isinstance(value, bool)
        case _:
            return isinstance(value, str)


def _fits(value: object, node: inspect.Type) -> bool:
    match node:
        case inspect.StrType(pattern=pattern) if isinstance(value, str):
            return _is_within(len(value), node) and (pattern is None or re.fullmatch(pattern, value) is not None)
        case inspect.IntType(ge=ge, le=le) if _is_of(value, node):
            number = cast("int", value)
            return (ge is None or number >= ge) and (le is None or number <= le)
        case inspect.LiteralType(values=values):
            return value in values
        case inspect.EnumType(cls=cls):
            return value in [member.value for member in cls]
        case inspect.DecimalType() | inspect.DateTimeType() if isinstance(value, str):
            return True  # their rules parse them
        case inspect.VarTupleType() if isinstance(value, list):
            return _is_within(len(cast("list[object]", value)), node)
        case inspect.BoolType():
            return isinstance(value, bool)
        case _:
            return False


def _is_within(length: int, node: inspect.StrType | inspect.VarTupleType) -> bool:
    return (node.min_length or 0) <= length and (node.max_length is None or length <= node.max_length)


def _expected(node: inspect.Type) -> str:
    node, extra = _unwrapped(node)
    if "expected" in extra:
        return str(extra["expected"])
    match node:
        case inspect.IntType(ge=ge, le=le):
            return "a whole number" + _range(ge, le)
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            return f"a text{_range(low, high, ' characters')}" + (f" that matches {pattern}" if pattern else "")
        case inspect.VarTupleType(min_length=low, max_length=high):
            return "a list" + _range(low, high, " entries")
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.EnumType(cls=cls):
            return "one of " + ", ".join(str(member.value) for member in cls)
        case inspect.BoolType():
            return "true or false"
        case _:
            return "an object"


def _range(low: float | None, high: float | None, unit: str = "") -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f" of at least {low}{unit}"
    return f" of {low or 0} to {high}{unit}"


def _bare(node: inspect.Type) -> inspect.Type:
    """The node without its metadata, and without the null of an optional field."""
    while True:
        if isinstance(node, inspect.Metadata):
            node = node.type
        elif isinstance(node, inspect.UnionType):
            node = next(t for t in node.types if not isinstance(t, inspect.NoneType))
        else:
            return node


def _spelled(values: list[str], node: inspect.Type) -> object:
    bare = _bare(node)
    if isinstance(bare, inspect.VarTupleType):
        return [_spelled([v], bare.item_type) for v in values]
    text = values[0]
    if isinstance(bare, inspect.IntType) and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if isinstance(bare, inspect.BoolType) and text in ("true", "false"):
        return text == "true"
    return text


def exactly_one(*names: str) -> Rule:
    def rule(given: Mapping[str, object]) -> Iterator[Fault]:
        if sum(n in given for n in names) != 1:
            yield Fault(field=names[0], message=f"exactly one of {' and '.join(names)} is required")

    return rule


def at_least_one(*names: str) -> Rule:
    def rule(given: Mapping[str, object]) -> Iterator[Fault]:
        if not any(n in given for n in names):
            yield Fault(field=names[0], message=f"one of {' and '.join(names)} is required")

    return rule
