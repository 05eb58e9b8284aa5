"""Records in memory, found and listed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from novita_gpu.domain.instance import CloudId, InstanceId, Record, RunKind, Status, Wish
from novita_gpu.domain.spec import BillingMode
from novita_gpu.store.index import BadCursor, Filter, Index
from tests.store.samples import NOON, after, attempt, machine, new_record


def stored(name: str | None = None, at_s: float = 0, revision: int = 1, **fields: object) -> Record:
    return replace(new_record(name, at=after(at_s)), revision=revision, **fields)


def index_of(*records: Record) -> Index:
    index = Index()
    for record in records:
        index.put(record)
    return index


def listed(index: Index, which: Filter | None = None, limit: int = 2) -> list[list[Record]]:
    """All pages."""
    pages, cursor = list[list[Record]](), None
    while True:
        page = index.page(which or Filter(), cursor, limit)
        pages.append(list(page.records))
        cursor = page.cursor
        if not cursor:
            return pages


@given(revisions=st.lists(st.integers(1, 9), min_size=1))
def test_only_a_higher_revision_wins_whatever_comes_first(revisions: list[int]) -> None:
    record, index = stored("trainer"), Index()
    for place, revision in enumerate(revisions):
        is_higher = revision > max(revisions[:place], default=0)
        assert index.put(replace(record, revision=revision, generation=revision)) is is_higher
    found = index.get(record.id)
    assert found and (found.revision, found.generation) == (max(revisions), max(revisions))
    assert len(index) == 1


def test_pages_are_newest_first_and_complete() -> None:
    records = [stored(at_s=number) for number in range(5)]
    index = index_of(*(records[place] for place in (3, 0, 4, 2, 1)))
    assert listed(index) == [[records[4], records[3]], [records[2], records[1]], [records[0]]]


def test_records_of_one_instant_are_each_listed_once() -> None:
    records = [stored() for _ in range(7)]
    assert sorted(record.id for page in listed(index_of(*records)) for record in page) == [r.id for r in records]


def test_what_is_created_or_removed_meanwhile_does_not_shift_the_next_page() -> None:
    records = [stored(at_s=number) for number in range(6)]
    index = index_of(*records)
    first = index.page(Filter(), None, 2)
    index.put(stored(at_s=99))
    index.drop(records[4].id)
    second = index.page(Filter(), first.cursor, 2)
    assert list(second.records) == [records[3], records[2]]


def test_the_total_counts_what_the_filter_admits() -> None:
    index = index_of(*(stored(f"web-{number}") for number in range(3)), stored("job-1"))
    assert index.page(Filter(name_prefix="web"), None, 2).total == 3
    assert index.page(Filter(), None, 2).total == 4
    index.put(stored("web-4"))
    assert index.page(Filter(name_prefix="web"), None, 2).total == 4


def test_filters() -> None:
    first = stored("web-1", machine=machine("m1"))
    spot = stored("web-2", at_s=1)
    spot = replace(spot, spec=replace(spot.spec, billing_mode=BillingMode.SPOT, regions=("AS-01", "US-01")))
    stopped = stored("job-1", at_s=2, wants=Wish.STOPPED, attempts=(attempt(1, "dep/x/1"),))
    starting = stored("job-2", at_s=3)
    starting = replace(starting, run=replace(starting.run, kind=RunKind.START))
    index = index_of(first, spot, stopped, starting)
    for which, expected in (
        (Filter(billing_mode=BillingMode.SPOT), [spot]),
        (Filter(region="EU-01"), [starting, stopped, first]),
        (Filter(region="eu-01"), [stopped, first]),
        (Filter(region="AS-01"), [spot]),
        (Filter(region="US-01"), []),
        (Filter(statuses=frozenset({Status.STOPPING, Status.STARTING})), [starting, stopped]),
        (Filter(name_prefix="job", statuses=frozenset({Status.STARTING})), [starting]),
    ):
        assert listed(index, which, limit=9) == [expected], which


def test_a_filtered_list_is_paged_by_the_same_cursors() -> None:
    records = [stored(f"{'web' if number % 2 else 'job'}-{number}", at_s=number) for number in range(7)]
    pages = listed(index_of(*records), Filter(name_prefix="job"))
    assert pages == [[records[6], records[4]], [records[2], records[0]]]


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "MTIz", "ünï", "eC5pbnM", "A" * 5000])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    if not cursor:
        assert index_of().page(Filter(), cursor, 10).records == ()
        return
    with pytest.raises(BadCursor):
        index_of(stored()).page(Filter(), cursor, 10)


def test_a_record_is_found_by_its_machine_as_long_as_it_has_it() -> None:
    record = stored(machine=machine("m1"))
    index = index_of(record)
    assert index.by_machine(CloudId("m1")) == record
    moved = replace(record, revision=2, machine=machine("m2"))
    index.put(moved)
    assert index.by_machine(CloudId("m1")) is None
    assert index.by_machine(CloudId("m2")) == moved


def test_a_name_finds_the_living_one_else_the_one_closed_last() -> None:
    early = stored("trainer", deleted_at=after(10))
    late = stored("trainer", deleted_at=after(20))
    index = index_of(late, early)
    assert index.by_name("trainer") == late
    living = stored("trainer", at_s=30)
    index.put(living)
    assert index.by_name("trainer") == living
    closed = replace(living, revision=2, deleted_at=after(40))
    index.put(closed)
    assert index.by_name("trainer") == closed
    assert index.by_name("nobody") is None


def test_what_is_dropped_is_gone_everywhere() -> None:
    record = stored("trainer", machine=machine("m1"))
    index = index_of(record)
    index.drop(record.id)
    index.drop(InstanceId("ins_nobody"))
    assert (len(index), list(index), index.by_name("trainer"), index.by_machine(CloudId("m1"))) == (0, [], None, None)


def test_closed_ones_are_named_by_age() -> None:
    old, young = stored(deleted_at=NOON), stored(deleted_at=NOON + timedelta(days=2))
    assert index_of(old, young, stored()).closed_before(NOON + timedelta(days=1)) == [old.id]
