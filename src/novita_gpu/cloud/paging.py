"""Pages read one after another until every row is known, and whether that can be believed."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from novita_gpu.cloud.base import CloudError
from novita_gpu.cloud.wire import Fields, Rows

# The largest that the cloud's console offers; more is not documented.
PAGE_SIZE = 100
# Too small: a large account is never seen whole; too large: a cloud that pages for ever is asked for long.
MOST_PAGES = 200


class Pages(Struct, frozen=True, kw_only=True):
    """Distinct rows in the order of their first sight. `fault` says why they are not all; `error` what cut it short."""

    rows: tuple[Fields, ...]
    total: int
    fault: str = ""
    error: CloudError | None = None


async def read_pages(fetch: Callable[[int], Awaitable[Rows]], *id_names: str) -> Pages:
    """Pages from number 1 on, until distinct ids are as many as the total or a page brings none that is new.

    A page that is merely short does not end it: the cloud may have a smaller largest page than the one asked for.
    Raises for the first page only.
    """
    rows: dict[str, Fields] = {}
    totals: list[int | None] = []
    strange = 0
    for number in range(1, MOST_PAGES + 1):
        try:
            page = await fetch(number)
        except CloudError as error:
            if number == 1:
                raise
            return _pages(rows, totals, f"page {number} could not be read: {error.message}", error)
        known = len(rows)
        named = [(row.text(*id_names), row) for row in page.fields]
        rows |= {name: row for name, row in named if name}
        strange += page.strange + sum(not name for name, _ in named)
        totals.append(page.total)
        if len(rows) == known or (page.total is not None and len(rows) >= page.total):
            return _pages(rows, totals, _fault(len(rows), totals, strange))
    return _pages(rows, totals, f"paging did not end after {MOST_PAGES} pages")


def _pages(rows: dict[str, Fields], totals: list[int | None], fault: str, error: CloudError | None = None) -> Pages:
    total = next((total for total in reversed(totals) if total is not None), len(rows))
    return Pages(rows=tuple(rows.values()), total=total, fault=fault, error=error)


def _fault(distinct: int, totals: list[int | None], strange: int) -> str:
    if strange:
        return f"{strange} rows could not be read"
    if None in totals:
        return "the cloud did not say how many there are"
    if len(set(totals)) > 1:
        return "the total moved while the pages were read"
    if distinct != totals[-1]:
        return f"{distinct} machines were listed, {totals[-1]} were said to be there"
    return ""
