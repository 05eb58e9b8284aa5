"""Lines of the log at Axiom: all of them while it takes them, and never anybody's trouble while it does not."""

import logging
import time
import tracemalloc
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import structlog

from novita_gpu.observe.axiom import COLUMNS, MAP, Axiom
from novita_gpu.observe.shipping import Shipped, shipped
from tests.observe.axiom import DATASET, TOKEN, FakeAxiom, ingesting
from tests.told import Told

log = structlog.get_logger()
QUICK: dict[str, Any] = {
    "every": timedelta(milliseconds=10),
    "first_pause_s": 0.01,
    "flush_within": timedelta(seconds=1),
}


@contextmanager
def sinking(url: str, token: str = TOKEN, **how: Any) -> Generator[Axiom]:
    with closing(Axiom(token, DATASET, url, **{**QUICK, **how})) as sink:
        yield sink


def test_a_line_has_few_columns_and_one_map(told: Told) -> None:
    with ingesting() as axiom, sinking(axiom.url) as sink:
        told(sink)
        log.warning("instance.failed", instance_id="ins_1", reason="r", token="hunter2", facts={"a": [1]}, tries=3)
        logging.getLogger("uvicorn.error").warning("said %s", "this")
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("asyncio").exception("never retrieved")
        axiom.until(lambda: len(axiom.lines) == 3)
    first, second, third = axiom.lines
    assert first.pop("_time")
    assert first == {
        "level": "warning",
        "event": "instance.failed",
        "instance_id": "ins_1",
        "reason": "r",
        MAP: {"token": "***", "facts": '{"a":[1]}', "tries": 3},
    }
    assert (second["event"], second["logger"]) == ("said this", "uvicorn.error")
    assert "ValueError: broken" in third["exception"]
    assert {name for line in axiom.lines for name in line} <= COLUMNS | {"_time", MAP}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_is_refused_for_now_is_sent_again(told: Told, status: int) -> None:
    with ingesting(FakeAxiom([status, status])) as axiom, sinking(axiom.url) as sink:
        told(sink)
        log.info("thing.happened")
        axiom.until(lambda: axiom.asked[200])
    assert axiom.asked == {status: 2, 200: 2}  # the second is the line about it
    assert axiom.names() == ["thing.happened", "axiom.unsent"]


def test_a_wrong_token_drops_its_lines_and_is_told_once_at_the_console(told: Told) -> None:
    with ingesting() as axiom:
        with sinking(axiom.url, token="xaat-hunter2") as sink:
            console = told(sink)
            for _ in range(20):
                log.info("thing.happened")
            axiom.until(lambda: axiom.asked[403])
        after = sink.shipped
    assert (after.sent, after.waiting, axiom.lines) == (0, 0, [])
    assert after.dropped in {20, 21}, "the line about it may be one of them"
    assert console.getvalue().count("Axiom answers 403") == 1
    assert "hunter2" not in console.getvalue()


def test_lines_that_it_refuses_are_counted_as_dropped(told: Told) -> None:
    with ingesting() as axiom:
        axiom.refuses = 1
        with sinking(axiom.url, every=timedelta(milliseconds=200)) as sink:
            told(sink)
            for _ in range(5):
                log.info("thing.happened")
        assert sink.shipped == Shipped(sent=4, dropped=1, waiting=0)


def test_an_answer_that_nobody_can_read_ends_nothing(told: Told) -> None:
    with ingesting() as axiom:
        axiom.body = b"<html>"
        with sinking(axiom.url) as sink:
            told(sink)
            log.info("thing.happened")
            axiom.until(lambda: axiom.asked[200])
            axiom.body = None
            log.info("thing.again")
            axiom.until(lambda: "thing.again" in axiom.names())
        assert sink.shipped.dropped >= 1


def test_a_stop_sends_what_waits(told: Told) -> None:
    with ingesting() as axiom, sinking(axiom.url, every=timedelta(hours=1)) as sink:
        told(sink)
        for number in range(3_000):
            log.info("thing.happened", number=number)
        sink.close()
    assert [line[MAP]["number"] for line in axiom.lines] == list(range(3_000))
    assert sink.shipped == Shipped(sent=3_000, dropped=0, waiting=0)


@pytest.mark.parametrize("trouble", ["hangs", "gone", 500, 429])
def test_a_stop_does_not_wait_for_a_server_in_trouble(told: Told, trouble: str | int) -> None:
    axiom = FakeAxiom([trouble] * 10_000 if isinstance(trouble, int) else None)
    if trouble == "hangs":
        axiom.hangs.set()
    with ingesting(axiom):
        url = "http://127.0.0.1:1" if trouble == "gone" else axiom.url
        with sinking(url) as sink:
            told(sink)
            for _ in range(100):
                log.info("thing.happened")
            began = time.monotonic()
            sink.close()
    assert time.monotonic() - began < 3
    assert sink.shipped.sent == sink.shipped.waiting == 0
    assert sink.shipped.dropped in {100, 101}, "the line about it may be one of them"


def test_memory_is_bounded_and_each_line_that_has_no_room_is_counted(told: Told) -> None:
    """While it hangs: forty times what the heap takes."""
    axiom = FakeAxiom()
    axiom.hangs.set()
    with ingesting(axiom), sinking(axiom.url, heap_bytes=100_000, flush_within=timedelta(0)) as sink:
        console = told(sink)
        tracemalloc.start()
        for _ in range(2_000):
            log.info("thing.happened", text="x" * 2_000)
            console.seek(0)
        size, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        between = sink.shipped
    assert between.sent == 0
    assert between.waiting + between.dropped in {2_000, 2_001}, "the line about it may be one of them"
    assert between.dropped > 1_900
    assert size < 500_000, "all of them are 4 MB"


def test_what_came_of_the_lines_of_this_process_is_told(told: Told) -> None:
    told()
    assert shipped() is None
    with ingesting() as axiom, sinking(axiom.url) as sink:
        told(sink)
        log.info("thing.happened")
        axiom.until(lambda: axiom.asked[200])
        sink.close()
        assert shipped() == Shipped(sent=1, dropped=0, waiting=0)
