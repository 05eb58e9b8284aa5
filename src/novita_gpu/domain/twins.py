"""The rule for machines that bear one of an instance's markers and are neither its own nor awaited."""

from msgspec.structs import replace

from novita_gpu.domain.case import Case, mutate
from novita_gpu.domain.instance import (
    GOING_STATUSES,
    MutationKind,
    Wish,
)
from novita_gpu.domain.look import Row
from novita_gpu.domain.orphans import Standing, held_back, is_past, standing
from novita_gpu.domain.steps import (
    Adopt,
    Change,
    Step,
)


def twin(case: Case) -> Step | None:
    """Machines that bear one of its markers and are neither its own nor awaited."""
    for row in case.look.marked if case.look else ():
        stands = standing(case.record, row)
        if row.seen.status in GOING_STATUSES or stands in {None, Standing.OWN, Standing.FORMER, Standing.AWAITED}:
            continue
        if is_past(case.record, row):
            continue
        step = _orphan(case, row) if stands is Standing.ORPHAN else _unwanted(case, row)
        if step:
            return step
    return None


def _unwanted(case: Case, row: Row) -> Step | None:
    """A machine that nobody waits for any more: taken if one is wanted and none was ever there, else deleted."""
    record = case.record
    attempt = next(a for a in record.attempts if a.marker == row.marker)
    wanted = record.wants is Wish.RUNNING and not record.failure and not record.deleted_at
    none_there = record.machine is None and record.open_attempt is None and attempt.machine is None
    if wanted and none_there:
        return Adopt(attempt=attempt, row=row, reason="a machine of an earlier attempt turned up and none is there")
    removal = record.twin_removal
    if removal and removal.machine == row.id and row.seen.at <= removal.over_at:
        return None  # the look is from before its removal
    late = f"a late machine of attempt {attempt.number} is not wanted"
    is_former = standing(record, row) is Standing.LEFTOVER
    why = "its former machine is not wanted any more" if is_former else late
    step = mutate(case, MutationKind.DELETE, row, why)
    return step if isinstance(step, Change) else None


def _orphan(case: Case, row: Row) -> Step | None:
    """Its former machine, which went unasked and is back: removed by the rule for orphans, else left alone."""
    if not case.look or not case.look.complete or held_back(row, case.orphans, case.policy.orphans, case.now):
        return None
    step = mutate(case, MutationKind.DELETE, row, f"{row.name} has no living record any more")
    return replace(step, orphan=True) if isinstance(step, Change) else None
