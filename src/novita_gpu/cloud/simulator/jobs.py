"""Work on a machine that the cloud does by itself."""

from dataclasses import dataclass

MIGRATIONS = frozenset({"instanceMigrate", "autoInstanceMigrate"})


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work on a machine: `pulling`, `running`, then `success`, `fail` or `break`."""

    id: str
    type: str
    instance_id: str
    created_at: float
    state: str = "pulling"
    error: str = ""
    error_message: str = ""
