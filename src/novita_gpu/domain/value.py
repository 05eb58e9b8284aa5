"""What every value of the domain is."""

from novita_gpu.hidden import Discreet


class Value(Discreet, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen value with named fields."""
