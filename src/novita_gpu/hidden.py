"""What is secret, said by its type: wherever a value that holds it is printed, it prints as ***."""

from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from msgspec import Meta, Struct

HIDDEN = "***"
SECRET = Meta(extra={"secret": True})
Secret = Annotated[str, SECRET]


class Discreet(Struct, frozen=True):
    """Prints its fields, but of those whose type says `SECRET` only whether they hold anything.

    msgspec gives rich, which prints tracebacks with the values of variables, a way of its own: that one is closed too.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        hidden = _hidden(type(self))
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [(name, HIDDEN if name in hidden and value else value) for name, value in values]


@cache
def _hidden(kind: type[Struct]) -> frozenset[str]:
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name in kind.__struct_fields__ if _is_secret(hints[name]))


def _is_secret(hint: Any) -> bool:
    """It, or a part of it."""
    if isinstance(hint, Meta):
        return bool((hint.extra or {}).get("secret"))
    return any(_is_secret(part) for part in get_args(hint))
