"""What is secret is told by no value that is printed, also not by a traceback with the values of variables (S6)."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from msgspec import Struct
from rich.pretty import pretty_repr

import novita_gpu
from novita_gpu.hidden import HIDDEN, SECRET, Discreet, Secret, _hidden  # pyright: ignore[reportPrivateUsage]

SECRETIVE = re.compile(r"password|secret(s|_before)?$|digest|^command$|^entrypoint$|^headers$|^body$|^raw$")
PLANTED = "planted-2c9f"
# What anybody may have; and a cloud whose secrets are all invented.
OPEN = ("novita_gpu.ui.assets", "novita_gpu.cloud.simulator")


def values() -> Iterator[type[Struct]]:
    """Every value of the package that has fields."""
    for found in pkgutil.walk_packages(novita_gpu.__path__, "novita_gpu."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    left: list[type[Any]] = [Struct]
    while left:
        left += (kinds := left.pop().__subclasses__())
        yield from (
            kind for kind in kinds if kind.__module__.startswith("novita_gpu.") and not kind.__module__.startswith(OPEN)
        )


def holds_text(hint: Any) -> bool:
    return hint in {str, bytes} or any(holds_text(part) for part in get_args(hint))


def test_what_is_named_like_a_secret_is_one_by_its_type() -> None:
    open_ones: list[str] = []
    for kind in values():
        hints = get_type_hints(kind, include_extras=True)
        for name in kind.__struct_fields__:
            hidden = name in _hidden(kind) and issubclass(kind, Discreet)
            if SECRETIVE.search(name) and holds_text(hints[name]) and not hidden:
                open_ones.append(f"{kind.__module__}.{kind.__name__}.{name}")
    assert not open_ones, "\n".join(open_ones)


class Inner(Discreet, frozen=True):
    word: Secret


class Outer(Discreet, frozen=True, kw_only=True):
    name: str = "n"
    plain: Secret = PLANTED
    maybe: Secret | None = None
    many: tuple[Secret, ...] = (PLANTED,)
    whole: "msgspec.UnsetType | Secret" = PLANTED
    inner: tuple[Inner, ...] = (Inner(PLANTED),)


@pytest.mark.parametrize("printed", [repr, str, pretty_repr, "{!r:}".format])
def test_a_secret_prints_as_stars_wherever_it_lies(printed: Any) -> None:
    told = printed([Outer()])
    assert PLANTED not in told
    assert told.count(HIDDEN) == 4
    assert "name='n'" in told
    assert "maybe=None" in told


def test_a_value_that_hides_nothing_prints_all() -> None:
    assert (
        repr(Outer(plain="", many=(), whole="", inner=()))
        == "Outer(name='n', plain='', maybe=None, many=(), whole='', inner=())"
    )


def test_a_secret_goes_where_it_belongs() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Outer()), type=Outer) == Outer()
    assert SECRET.extra == {"secret": True}
