"""What was found, as a table."""

from collections import Counter
from collections.abc import Iterable

from tests.idle.truth import Findings

HEAD = ("role", "instances", "hours", "sessions", "stops", "in use", "left idle", "untold", "latest", "unseen", "reads")
WIDTHS = (22, 9, 8, 8, 6, 7, 9, 7, 7, 7, 6)


def whole(shares: Iterable[dict[str, Findings]]) -> dict[str, Findings]:
    """The findings of several fleets as one, by role."""
    found: dict[str, Findings] = {}
    for share in shares:
        for role, one in share.items():
            of_role = found.setdefault(role, Findings())
            for name in ("instances", "hours", "sessions", "stops", "in_use", "left_idle", "untold", "unseen"):
                setattr(of_role, name, getattr(of_role, name) + getattr(one, name))
            of_role.readings += one.readings
            of_role.latest = max(of_role.latest, one.latest)
            of_role.broken += one.broken
    return found


def lines(found: dict[str, Findings], happened: Counter[str], days: int, seconds: float) -> list[str]:
    """`latest`: seconds by which the latest undisturbed stop came after its time. `unseen`: use that began within 75 s
    before the stop.
    """
    rows = [HEAD, *(_row(role, one) for role, one in found.items())]
    told = ", ".join(f"{count} {what}" for what, count in sorted(happened.items()))
    broken = [promise for one in found.values() for promise in one.broken]
    return [
        *("  ".join(str(cell).rjust(width) for cell, width in zip(row, WIDTHS, strict=True)) for row in rows),
        f"{days} days of a fleet in {seconds:.0f} s of one core; {told}",
        *(f"broken: {promise}" for promise in broken),
    ]


def _row(role: str, one: Findings) -> tuple[str | int, ...]:
    return (
        *(role, one.instances, f"{one.hours:.0f}", one.sessions, one.stops, one.in_use, one.left_idle, one.untold),
        *(f"{one.latest.total_seconds():.0f} s", one.unseen, one.readings),
    )
