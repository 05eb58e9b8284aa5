"""docs/settings.md, made from the settings: `python -m tests.architecture.settings_page` writes it."""

from collections.abc import Iterator
from typing import cast

from pydantic.fields import FieldInfo

from novita_gpu.settings import Settings, spelled
from tests.architecture.pages import ROOT

PAGE = ROOT / "docs" / "settings.md"
HEAD = """# Settings

From the environment, read once at start. An empty variable is an unset one; every wrong one is told at once, with exit
code 2. Only `NOVITA_API_KEY` must be set. Lists are separated by commas. `novita-gpu doctor` checks what is set.

This page is made from `src/novita_gpu/settings.py` by `make docs`.

| variable | default | what it is |
|---|---|---|
"""


def page() -> str:
    return HEAD + "".join(f"{row}\n" for row in rows())


def rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"| `{name.upper()}` | {default_of(field)} | {field.description} |"


def default_of(field: FieldInfo) -> str:
    told = spelled(cast("object", field.default))
    return f"`{told}`" if told else ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
