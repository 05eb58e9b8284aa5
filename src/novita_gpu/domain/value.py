"""What every value of the domain is."""

from msgspec import Struct


class Value(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen value with named fields."""
