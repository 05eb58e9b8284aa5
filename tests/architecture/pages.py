"""The project's pages, read for what they claim."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    sorted(
        page
        for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
        if page.name != "CHANGELOG.md"  # tells of what was, too
    )
)


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language and its lines."""

    language: str
    text: str


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(page: str, heading: str) -> str:
    """From the heading to the next one of its rank or above."""
    rank = len(heading.partition(" ")[0])
    begin = page.index(f"\n{heading}\n")
    after = re.search(rf"^#{{1,{rank}}} ", page[begin + len(heading) + 2 :], re.MULTILINE)
    return page[begin : begin + len(heading) + 2 + after.start()] if after else page[begin:]


def fences(page: str) -> Iterator[Fence]:
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield Fence(found[1], found[2])


def named(page: str) -> Iterator[str]:
    """What stands in backticks outside of fenced blocks."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    for found in re.finditer(r"`([^`\n]+)`", prose):
        yield found[1]


def links(page: str) -> Iterator[str]:
    """Targets of links that stay in this repository, without their anchor."""
    for found in re.finditer(r"\]\(([^)#\s]+)[^)]*\)", page):
        if "://" not in found[1]:
            yield found[1]
