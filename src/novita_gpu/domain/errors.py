"""What can be wrong, as codes and facts. No HTTP numbers here: one table in `api` maps codes to them.

Problem
├── Invalid            the request breaks rules; `faults` names every one
├── Missing            what was named does not exist
├── Conflicting        it exists, and its state or name forbids the wish
├── Unavailable        try again later; `retry_after` says when
└── Refused            understood, and it will not be done: no offer, a limit, a price, an address
"""

from datetime import timedelta

from msgspec import Struct


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One broken rule: the field's path as the caller wrote it, and what to do about it."""

    field: str
    message: str
    value: str | int | float | bool | None = None


class Problem(Exception):
    """An answer to a caller that is not the one hoped for. `code` is part of the public contract."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: object = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.retry_after = retry_after


class Invalid(Problem):
    """Every fault of a request at once."""

    def __init__(self, *faults: Fault, message: str = "The request breaks rules; details names each.") -> None:
        super().__init__("VALIDATION_ERROR", message, details=faults)
        self.faults = faults


class Missing(Problem):
    """No such instance, template, product, delivery, cache."""


class Conflicting(Problem):
    """The state of what was named forbids the wish."""


class Unavailable(Problem):
    """Store or cloud cannot answer now."""


class Refused(Problem):
    """Understood, and it will not be done."""
