"""The README's session: its commands are run as they stand there, and its answers are what a real plane answers."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from tests.architecture.pages import ROOT, Fence, fences, section, text_of
from tests.cli.process import begin, environment
from tests.webhooks.receiver import SECRET

API = "http://127.0.0.1:3000"
RECEIVER = "http://127.0.0.1:3001/"
END_OF_BLOCK = "-- end of block --"
WITHIN_S = 100
# Real in the README, and another at every run.
VARYING = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
    (r"\b(ins|op|evt|req)_[0-9a-z]{26}\b", r"<\1>"),
    (r"\b[0-9a-f]{16}\b", "<cloud id>"),
    (r"http://127\.0\.0\.1:\d{5}", "<endpoint>"),
    (r"ssh -p \d+ ", "ssh -p <port> "),
)
LEFT_OUT = "…"
VARYING_FIELDS = frozenset({"sshPassword", "costUsd", "responseTimeMs"})


async def test_the_session_is_as_the_readme_tells_it(tmp_path: Path):
    blocks = list(fences(section(text_of("README.md"), "## A session")))
    async with asyncio.timeout(WITHIN_S), demo(tmp_path) as url, receiver() as (heard, receives_at):
        script = "\n".join(
            f"{block.text}echo '{END_OF_BLOCK}'" for block in blocks if block.language == "sh" and not hears(block)
        )
        for shown, real in ((API, url), (RECEIVER, receives_at), (".venv/bin/", f"{sys.prefix}/bin/")):
            script = script.replace(shown, real)
        printed = iter((await run(script, tmp_path, url)).split(f"{END_OF_BLOCK}\n"))
        told = [await heard() for _ in lines_of_receiver(blocks)]

    last = ""
    for block in blocks:
        if block.language == "sh" and not hears(block):
            last = next(printed)
        if block.language == "json":
            shown, real = list(documents(block.text)), list(documents(last))
            assert list(differences(shown, real)) == []
    assert sorted(told) == sorted(f"{line}  signature holds" for line in lines_of_receiver(blocks))
    assert "trainer-1  ready" in last


def hears(block: Fence) -> bool:
    return "receiver.py" in block.text


def lines_of_receiver(blocks: list[Fence]) -> list[str]:
    shown = next(block.text for block in blocks if block.text.startswith("listening on"))
    return shown.splitlines()[1:]


@asynccontextmanager
async def demo(folder: Path) -> AsyncGenerator[str]:
    """The address of a demo with its data in `.demo` of the folder."""
    process = await begin(folder, "demo", "--port", "0", WEBHOOK_SECRET=SECRET)
    assert process.stdout
    try:
        while not (found := re.search(rb"API +(\S+)", await process.stdout.readline())):
            assert not process.stdout.at_eof(), "the demo did not start"
        yield found[1].decode()
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()


@asynccontextmanager
async def receiver() -> AsyncGenerator[tuple["Heard", str]]:
    """The receiver of docs/, checking signatures: what it prints, line by line, and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "docs" / "receiver.py", "0", SECRET), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    heard = Heard(process.stdout)
    try:
        yield heard, (await heard()).removeprefix("listening on ")
    finally:
        process.kill()
        await process.wait()


class Heard:
    def __init__(self, printed: asyncio.StreamReader) -> None:
        self._printed = printed

    async def __call__(self) -> str:
        return (await self._printed.readline()).decode().rstrip("\n")


async def run(script: str, folder: Path, url: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-eu", "-o", "pipefail", "-c", script),
        cwd=folder,
        env=environment(NOVITA_GPU_URL=url, COLUMNS="120"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def documents(text: str) -> Iterator[object]:
    """Each JSON document of the text. `…` at the end of an object stands for fields that are left out."""
    text = re.sub(r",\s*…", f', "{LEFT_OUT}": true', text).strip()
    while text:
        document, end = json.JSONDecoder().raw_decode(text)
        yield document
        text = text[end:].strip()


def differences(shown: object, real: object, at: str = "") -> Iterator[str]:
    """Where the real answer is not what the README shows; what varies from run to run only has to be of its kind."""
    differ = steady(shown) != steady(real)
    if isinstance(shown, dict) and isinstance(real, dict):
        wanted, given = cast("dict[str, object]", shown), cast("dict[str, object]", real)
        if LEFT_OUT not in wanted and wanted.keys() != given.keys():
            yield f"{at}: fields {sorted(wanted)}, really {sorted(given)}"
        for name in wanted.keys() - {LEFT_OUT, *VARYING_FIELDS}:
            yield from differences(wanted[name], given.get(name), f"{at}.{name}")
    elif isinstance(shown, list) and isinstance(real, list):
        wanted_rows, given_rows = cast("list[object]", shown), cast("list[object]", real)
        if len(wanted_rows) != len(given_rows):
            yield f"{at}: {len(wanted_rows)} rows, really {len(given_rows)}"
        for number, (row, real_row) in enumerate(zip(wanted_rows, given_rows, strict=False)):
            yield from differences(row, real_row, f"{at}[{number}]")
    elif differ:
        yield f"{at}: {shown!r}, really {real!r}"


def steady(value: object) -> object:
    if isinstance(value, str):
        for pattern, mark in VARYING:
            value = re.sub(pattern, mark, value)
    return value
