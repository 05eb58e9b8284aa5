"""What holds for every test: the fixtures of a real server, how Hypothesis searches, what is skipped where something
is missing, and that no server is left running.
"""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ("tests.valkey", "tests.told")

SERVERS = ("valkey-server", "redis-server")
# A server that was told to end just now may take this long.
ENDS_WITHIN_S = 5.0
NEEDS = {
    "needs_redis_server": ("redis-server",),
    "needs_node": ("node",),
    "needs_chromium": ("chromium", "chromium-browser", "google-chrome"),
}

LEFT_OVER = pytest.StashKey[list[str]]()
NONE: list[str] = []
FIGURE = "figure"

# `default` tries the same cases at every run, `thorough` is for a night; neither has a deadline, since a busy machine
# is no fault.
settings.register_profile("default", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """What was measured, in a line: told at the end of the session."""
    return lambda text: record_property(FIGURE, text)


def is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a program which is missing are skipped by name; where `CI` is set that is an error."""
    missing = {mark: names for mark, names in NEEDS.items() if not any(map(shutil.which, names))}
    if missing and os.environ.get("CI") and any(item.get_closest_marker(mark) for item in items for mark in missing):
        raise pytest.UsageError(f"missing on this machine: {', '.join(n[0] for n in missing.values())}")
    for item in items:
        for mark, names in missing.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"needs {names[0]}"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Once, after all workers have ended: a server that the tests started and left running is a failure."""
    if not is_controller(session.config):
        return
    folders: pytest.TempPathFactory = getattr(session.config, "_tmp_path_factory")  # noqa: B009 - pytest tells it to fixtures alone
    left = left_over(folders.getbasetemp())
    session.config.stash[LEFT_OVER] = [f"{pid}: {words}" for pid, words in left.items()]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for server in config.stash.get(LEFT_OVER, NONE):
        terminalreporter.write_line(f"LEFT RUNNING, now ended: {server}", red=True)
    passed = (report for report in terminalreporter.getreports("passed") if isinstance(report, pytest.TestReport))
    for figure in sorted({str(value) for report in passed for name, value in report.user_properties if name == FIGURE}):
        terminalreporter.write_line(figure)
    skipped = Counter(
        str(report.longrepr[-1]).removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report, pytest.TestReport) and isinstance(report.longrepr, tuple)
    )
    for reason, number in sorted(skipped.items()):
        terminalreporter.write_line(f"skipped {number}: {reason}", yellow=True)


def left_over(folder: Path) -> dict[int, str]:
    """Servers that still run below this session's folder, by process id, after they had time to end."""
    until = time.monotonic() + ENDS_WITHIN_S
    while (left := dict(servers(folder))) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def servers(folder: Path) -> Iterator[tuple[int, str]]:
    """A server works in the folder of its data; where there is no /proc none is found."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            is_below = (process / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue  # ended meanwhile, or somebody else's
        if is_below and any(server in words for server in SERVERS):
            yield int(process.name), words[:200]
