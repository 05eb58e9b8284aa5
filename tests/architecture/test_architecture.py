"""ARCHITECTURE.md and the other pages claim nothing that is not so."""

import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from novita_gpu.domain.events import DELIVERED, EventType
from novita_gpu.settings import Settings
from tests.architecture.pages import PAGES, ROOT, fences, links, named, section, text_of

PACKAGE = ROOT / "src" / "novita_gpu"
DECISIONS = ROOT / "docs" / "decisions"
EVENT = re.compile(r"(instance|launch|start|readiness|cloud|sync|webhook)\.[a-z_]+")
# Made by whoever sets the project up or runs it.
MADE = ("data/", ".demo/", ".tools/", ".venv/")


def test_every_module_is_in_the_tree():
    shown = set(tree())
    missing = [
        str(module.relative_to(PACKAGE))
        for module in PACKAGE.rglob("*.py")
        if module.name not in ("__init__.py", "__main__.py") and not is_shown(module, shown)
    ]
    assert missing == []


def test_everything_in_the_tree_exists():
    assert [str(path) for path in tree() if not path.exists()] == []


def test_a_room_that_shows_a_module_shows_them_all():
    shown = set(tree())
    opened = {path.parent for path in shown if path.suffix == ".py"} - {PACKAGE}
    hidden = [
        str(module)
        for room in opened
        for module in room.glob("*.py")
        if module.name not in ("__init__.py", "__main__.py") and module not in shown
    ]
    assert hidden == []


def test_the_layers_are_those_that_are_held():
    shown = next(f.text for f in fences(section(text_of("ARCHITECTURE.md"), "## Rooms")) if "→" in f.text)
    contracts = project()["tool"]["importlinter"]["contracts"]
    held = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [layer.strip() for layer in shown.split("→")] == held


def test_every_top_module_has_a_layer():
    contract = next(c for c in project()["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    placed = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == placed | set(contract["exhaustive_ignores"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path):
    text = page.read_text("utf-8")
    wrong = [name for name in named(text) if not exists(name)]
    wrong += [link for link in links(text) if not (page.parent / link).exists()]
    assert wrong == []


def test_the_types_that_webhooks_are_said_to_carry_are_those_that_are_delivered():
    said = section(text_of("docs/webhooks.md"), "## What is sent")
    listed = said.partition("Types that are sent:")[2].partition(". The event log")[0]
    assert sorted(named(listed)) == sorted(DELIVERED)


def test_decisions_are_numbered_and_say_what_enforces_them():
    pages = sorted(DECISIONS.glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert [mark for mark in ("**What.**", "**Why.**", "**Enforced by**") if mark not in text] == []


def test_the_lock_knows_no_mirror():
    """One index and one host of files, both public names over https without port, user or folder of this machine."""
    lock = text_of("uv.lock")
    indexes: set[str] = set(re.findall(r'registry = "([^"]+)"', lock))
    files: set[str] = {"/".join(url.split("/")[:3]) for url in re.findall(r'url = "([^"]+)"', lock)}
    assert (len(indexes), len(files)) == (1, 1)
    for address in (*indexes, *files):
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("https", parts.hostname)
        assert re.fullmatch(r"([a-z0-9]+\.)+(org|com)", parts.netloc)
    assert "file://" not in lock


def tree() -> Iterator[Path]:
    """Every path of the tree under "Rooms"; a line's depth is its indentation."""
    block = next(f.text for f in fences(section(text_of("ARCHITECTURE.md"), "## Rooms")) if "src/novita_gpu" in f.text)
    rooms: list[Path] = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        path = (rooms[depth - 1] if depth else ROOT) / name
        rooms[depth:] = [path]
        yield path


def is_shown(module: Path, shown: set[Path]) -> bool:
    """It has a line, or its package has one and shows no modules of its own."""
    if module in shown:
        return True
    return any(room in shown for room in module.parents if room != PACKAGE and PACKAGE in room.parents)


def exists(name: str) -> bool:
    """What is named as a path, a setting or constant, or an event. All else is no claim of ours."""
    for looks_like, holds in CLAIMS:
        if looks_like(name):
            return holds(name)
    return True


def is_path(name: str) -> bool:
    plain = re.fullmatch(r"[\w./-]+", name) is not None and not name.startswith("/")
    return plain and (name.endswith("/") or re.search(r"\.(py|md|toml|lock|lua|sh)$", name) is not None)


def path_exists(name: str) -> bool:
    if name.startswith(MADE):
        return True
    return any((base / name).exists() for base in (ROOT, PACKAGE, PACKAGE / "store"))


def is_word_in_capitals(name: str) -> bool:
    return re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|HOST|PORT", name) is not None


def word_exists(name: str) -> bool:
    return name.lower() in Settings.model_fields or re.search(rf"\b{name}\b", sources()) is not None


CLAIMS: tuple[tuple[Callable[[str], bool], Callable[[str], bool]], ...] = (
    (is_path, path_exists),
    (is_word_in_capitals, word_exists),
    (lambda name: EVENT.fullmatch(name) is not None, lambda name: name in set(EventType)),
)


@cache
def sources() -> str:
    """All that is ours and is no page."""
    files = [*PACKAGE.rglob("*.py"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    return "\n".join(file.read_text("utf-8") for file in files)


def project() -> dict[str, Any]:
    return tomllib.loads(text_of("pyproject.toml"))
