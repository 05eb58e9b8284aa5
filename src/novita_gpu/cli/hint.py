"""The command that a demo gives to begin with. It works as it stands, in another terminal in the same folder."""

import shlex
import sys
from pathlib import Path

from novita_gpu.cli.access import KEY_FILE, URL, access
from novita_gpu.cli.ending import Stopped

FIRST = ("create", "first", "--product", "RTX 4090 24GB", "--template", "102", "--wait")


def first_command(url: str, folder: Path, key: str) -> str:
    """With the address and the place of the key, where they would not be found without."""
    words = shlex.join((_program(), *FIRST))
    if url != URL:
        words += f" --url {shlex.quote(url)}"
    if _found(url) != key:
        words += f' --key "$(cat {shlex.quote(str(folder / KEY_FILE))})"'
    return words


def _program() -> str:
    """Beside the Python that runs this; from here, if it is below."""
    program, here = Path(sys.executable).with_name("novita-gpu"), Path.cwd()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)


def _found(url: str) -> str | None:
    try:
        return access(url, None).key
    except Stopped:  # a key that cannot be read
        return None
