"""The examples of docs/webhooks.md, run as programs: they take what is sent, also while secrets rotate, and refuse what
is changed, signed by others, or older than five minutes. Two of them are the libraries that receivers use.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from novita_gpu.webhooks.message import body_of, signed
from tests.architecture.pages import ROOT, fences, text_of
from tests.webhooks.outbox import an_event
from tests.webhooks.receiver import OLD_SECRET, SECRET

BODY = body_of(an_event(7))
STRANGE = "whsec_" + "A" * 32
# Left by tests/system.sh, which `make test` runs.
NODE_MODULES = ROOT / ".tools" / "node" / "node_modules"


def example(language: str) -> str:
    """The only example in this language that verifies."""
    (found,) = (f.text for f in fences(text_of("docs/webhooks.md")) if f.language == language and "verify" in f.text)
    return found


def headers(secrets: Sequence[str], late: timedelta = timedelta(0)) -> dict[str, str]:
    return signed("msg_7", BODY, secrets, datetime.now(UTC) - late)


def cases() -> Iterator[tuple[str, Mapping[str, str], bytes, bool]]:
    """What comes, and whether a receiver with `SECRET` takes it. Made at the moment, as its age counts."""
    yield "signed", headers([SECRET]), BODY, True
    yield "before the change of secrets", headers([OLD_SECRET, SECRET]), BODY, True
    yield "after the change of secrets", headers([SECRET, OLD_SECRET]), BODY, True
    yield "by another", headers([STRANGE, OLD_SECRET]), BODY, False
    yield "changed", headers([SECRET]), BODY.replace(b"ready", b"steady"), False
    yield "renamed", {**headers([SECRET]), "webhook-id": "msg_8"}, BODY, False
    yield "almost five minutes old", headers([SECRET], timedelta(minutes=4, seconds=30)), BODY, True
    yield "a replay of what is older", headers([SECRET], timedelta(minutes=5, seconds=5)), BODY, False
    yield "from the future", headers([SECRET], timedelta(minutes=-5, seconds=-30)), BODY, False


EXPECTED = {name: taken for name, _, _, taken in cases()}


@asynccontextmanager
async def serving(*command: str, cwd: Path) -> AsyncGenerator[str]:
    """The address at which the program listens."""
    port = free_port()
    env = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=env, stdout=asyncio.subprocess.PIPE)
    try:
        await listening(process, port)
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, "it ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def taken(url: str) -> dict[str, bool]:
    """What the receiver there makes of each case."""
    found: dict[str, bool] = {}
    async with aiohttp.ClientSession() as http:
        for name, sent, body, _ in cases():
            async with http.post(url, data=body, headers=sent) as answer:
                assert answer.status in {204, 401}
                found[name] = answer.status == 204
    return found


async def test_python(tmp_path: Path) -> None:
    (tmp_path / "receiver.py").write_text(example("python"))
    async with serving(sys.executable, "receiver.py", cwd=tmp_path) as url:
        assert await taken(url) == EXPECTED


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library from npm, as receivers install it."""
    if NODE_MODULES.exists():
        return NODE_MODULES
    folder = tmp_path_factory.mktemp("node")
    words = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--fetch-retries=1", "--fetch-timeout=20000"]
    words += ["--prefix", str(folder), "standardwebhooks@1"]
    if subprocess.run(words, capture_output=True, timeout=100).returncode:
        pytest.skip("needs the npm registry, which cannot be reached")
    return folder / "node_modules"


@pytest.mark.needs_node
async def test_node(tmp_path: Path, node_modules: Path) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "receiver.cjs").write_text(example("js"))
    async with serving("node", "receiver.cjs", cwd=tmp_path) as url:
        assert await taken(url) == EXPECTED


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
async def test_shell(tmp_path: Path) -> None:
    (tmp_path / "verify.sh").write_text(example("sh") + '\nverify "$@"\n')
    found: dict[str, bool] = {}
    for name, sent, body, _ in cases():
        words = [sent[f"webhook-{part}"] for part in ("id", "timestamp", "signature")]
        process = await asyncio.create_subprocess_exec(
            *("sh", "verify.sh", *words),
            cwd=tmp_path,
            env={**os.environ, "WEBHOOK_SECRET": SECRET},
            stdin=asyncio.subprocess.PIPE,
        )
        await process.communicate(body)
        found[name] = process.returncode == 0
    assert found == EXPECTED
