"""Scripts, styles and pictures of the dashboard. What is served is looked up by name, not by path.

Read at import: nobody waits for a disk later.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from novita_gpu.domain.value import Value

MEDIA_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_IMPORT = re.compile(rb'^(?:import|export)\b[^;]*?from "\./([a-z_/]+\.js)";', re.MULTILINE)


class Asset(Value, frozen=True, kw_only=True):
    body: bytes
    packed: bytes
    media_type: str


def _read() -> Mapping[str, Asset]:
    found = _walked(files("novita_gpu.ui").joinpath("static"))
    return MappingProxyType(
        {
            name: Asset(body=body, packed=gzip.compress(body, 9, mtime=0), media_type=MEDIA_TYPES[_ending(name)])
            for name, body in sorted(found)
        }
    )


def _build() -> str:
    whole = sha256()
    for name, asset in ASSETS.items():
        whole.update(f"{name} {len(asset.body)} ".encode() + asset.body)
    return whole.hexdigest()[:12]


@cache
def imports(script: str) -> tuple[str, ...]:
    """Every script that this one needs, directly or not, so that a page can name them all at once."""
    found: dict[str, None] = {}
    left = [script]
    while left:
        for name in (match.decode() for match in _IMPORT.findall(ASSETS[left.pop()].body)):
            if name not in found:
                found[name] = None
                left.append(name)
    return tuple(found)


def _walked(folder: Traversable, above: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walked(entry, f"{above}{entry.name}/")
        elif _ending(entry.name) in MEDIA_TYPES:
            yield above + entry.name, entry.read_bytes()


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


# By name, such as `vendor/uPlot.js`.
ASSETS = _read()
# Names this set of assets. It is part of their addresses, so that browsers may keep them for ever.
BUILD = _build()
