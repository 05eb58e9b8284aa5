"""The private server: found or started, shared, and stopped by the last to leave."""

import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from docket import Docket

from novita_gpu.store import open_store
from novita_gpu.store.base import Unavailable
from novita_gpu.store.folder import CannotStart, Folder, taken
from novita_gpu.store.local import PrivateValkey, ServerState, find_server
from novita_gpu.store.wire import Wire, connect
from tests.store.samples import creation, new_record
from tests.store.waiting import soon, until

Serving = Callable[..., PrivateValkey]


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.needs_redis_server)])
def program(request: pytest.FixtureRequest) -> Path:
    found = find_server() if request.param == "valkey" else shutil.which("redis-server")
    if not found:
        pytest.skip("no redis-server on the PATH")
    return Path(found)


@pytest.fixture
def runtime() -> Generator[Path]:
    """A runtime folder with a short path, as real ones have."""
    with TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder)


def is_served(folder: Path) -> bool:
    """A server holds the folder: its lock is the server's own, and ends with it."""
    lock = Folder(folder).opened("server.lock")
    try:
        return not taken(lock)
    finally:
        os.close(lock)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@asynccontextmanager
async def supervised(valkey: PrivateValkey) -> AsyncGenerator["asyncio.Queue[ServerState]"]:
    """What supervision tells, while it goes on."""
    told: asyncio.Queue[ServerState] = asyncio.Queue()
    task = asyncio.create_task(valkey.supervise(told.put_nowait))
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def user(folder: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Another process that uses the folder's server."""
    pipe = asyncio.subprocess.PIPE
    words = (sys.executable, "-m", "tests.store.user", str(folder))
    process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def heard(process: asyncio.subprocess.Process) -> list[str]:
    """The next line that a user says, as words."""
    assert process.stdout
    return (await soon(process.stdout.readline())).decode().split()


def tell(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdin
    process.stdin.write(f"{word}\n".encode())


async def test_it_is_durable_private_and_without_a_port(tmp_path: Path, program: Path) -> None:
    folder = tmp_path / "data" / "store"
    async with PrivateValkey(folder, program=program) as valkey:
        wire = Wire(connect(valkey.url))
        names = ("port", "appendonly", "appendfsync", "maxmemory-policy", "save", "dir")
        found = [await wire.setting(name) for name in names]
        await wire.close()
        assert found == ["0", "yes", "always", "noeviction", "", str(folder)]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "valkey.sock").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "appendonlydir").stat().st_mode) == 0o700
        assert os.getsid(valkey.pid) != os.getsid(0)
    assert valkey.pid == 0


async def test_what_was_stored_is_there_at_the_next_start(tmp_path: Path, program: Path) -> None:
    record = new_record()
    async with PrivateValkey(tmp_path, program=program) as valkey, open_store(valkey.url) as store:
        await store.records.commit(creation(record))
        pid = valkey.pid
    assert not is_served(tmp_path)
    async with PrivateValkey(tmp_path, program=program) as valkey, open_store(valkey.url) as store:
        assert await store.records.load(record.id)
        assert valkey.pid != pid


async def test_a_second_attaches_and_only_the_last_to_leave_stops_it(tmp_path: Path, program: Path) -> None:
    first, second = PrivateValkey(tmp_path, program=program), PrivateValkey(tmp_path, program=program)
    await first.start()
    await second.start()
    pid = first.pid
    assert second.pid == pid
    await first.leave()
    assert is_served(tmp_path)
    async with open_store(second.url) as store:
        await store.ping()
    await second.leave()
    assert not is_served(tmp_path)
    await second.leave()


async def test_of_many_that_start_at_once_one_starts_a_server(tmp_path: Path) -> None:
    users = [PrivateValkey(tmp_path) for _ in range(8)]
    await soon(asyncio.gather(*(each.start() for each in users)))
    pids = {each.pid for each in users}
    assert len(pids) == 1
    await soon(asyncio.gather(*(each.leave() for each in users)))
    assert not is_served(tmp_path)


async def test_two_processes_share_one_server(tmp_path: Path) -> None:
    async with user(tmp_path) as one, user(tmp_path) as other:
        pids = {(await heard(process))[1] for process in (one, other)}
        assert len(pids) == 1
        tell(one, "leave")
        assert await heard(one) == ["left"]
        assert is_served(tmp_path)
        tell(other, "leave")
        assert await heard(other) == ["left"]
        assert not is_served(tmp_path)


async def test_a_killed_parent_leaves_it_running_and_the_next_start_finds_it(tmp_path: Path) -> None:
    async with user(tmp_path) as parent:
        pid = int((await heard(parent))[1])
        tell(parent, "commit")
        committed = {(await heard(parent))[1] for _ in range(20)}
        parent.kill()
        assert parent.stdout
        committed |= {line.split()[1].decode() for line in (await soon(parent.stdout.read())).splitlines()}
        await parent.wait()
    assert is_served(tmp_path)
    async with PrivateValkey(tmp_path) as valkey, open_store(valkey.url) as store:
        assert valkey.pid == pid
        assert committed <= set(await store.records.living())
    assert not is_served(tmp_path)


async def test_a_killed_server_keeps_every_acknowledged_commit(tmp_path: Path) -> None:
    async with user(tmp_path) as committing:
        pid = int((await heard(committing))[1])
        tell(committing, "commit")
        committed = {(await heard(committing))[1] for _ in range(50)}
        os.kill(pid, signal.SIGKILL)
        while (words := await heard(committing))[0] == "committed":
            committed.add(words[1])
        assert words == ["unavailable"]
        tell(committing, "leave")
        async with PrivateValkey(tmp_path) as valkey, open_store(valkey.url) as store:
            assert valkey.pid != pid
            living = set(await store.records.living())
            assert committed <= living
            assert len(living) - len(committed) <= 1
            events = await store.events.read(limit=100_000)
            assert [event.sequence for event in events] == list(range(1, len(living) + 1))
            assert await heard(committing) == ["left"]
    assert not is_served(tmp_path)


async def test_parent_and_server_killed_at_once_come_back_together(tmp_path: Path) -> None:
    async with user(tmp_path) as parent:
        pid = int((await heard(parent))[1])
        parent.kill()
        os.kill(pid, signal.SIGKILL)
        await parent.wait()
    async with PrivateValkey(tmp_path) as valkey, open_store(valkey.url) as store:
        await store.ping()
        assert valkey.pid != pid


async def test_a_supervised_server_is_started_again_and_the_store_goes_on(tmp_path: Path, program: Path) -> None:
    async with (
        PrivateValkey(tmp_path, program=program) as valkey,
        open_store(valkey.url) as store,
        supervised(valkey) as told,
    ):
        record = await store.records.commit(creation(new_record()))
        for restarts in (1, 2):
            os.kill(valkey.pid, signal.SIGKILL)
            down, up = await soon(told.get()), await soon(told.get())
            assert (down.up, up) == (False, ServerState(up=True, restarts=restarts))
            assert str(tmp_path) in down.reason
            assert await store.records.load(record.id) == record


async def test_pauses_grow_while_it_dies_again_and_again(tmp_path: Path) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))

    async with PrivateValkey(tmp_path, pause=pause, monotonic=lambda: 0.0) as valkey, supervised(valkey) as told:
        for _ in range(5):
            os.kill(valkey.pid, signal.SIGKILL)
            while not (await soon(told.get())).up:
                pass
    between = [seconds for seconds in pauses if seconds != 0.02]
    assert between[:5] == [0, 0.25, 0.5, 1, 2]


async def test_a_server_that_others_restarted_is_attached_to(tmp_path: Path) -> None:
    async with (
        PrivateValkey(tmp_path) as one,
        PrivateValkey(tmp_path) as other,
        supervised(one) as told,
        supervised(other) as told_too,
    ):
        os.kill(one.pid, signal.SIGKILL)
        for queue in (told, told_too):
            while not (await soon(queue.get())).up:
                pass
        assert one.pid == other.pid
        assert is_served(tmp_path)


async def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    """With `appendfsync always` a server that cannot write ends: nothing is acknowledged that is not on the disk."""
    limited = script(tmp_path / "limited", f"ulimit -f 100; trap '' XFSZ; exec {find_server()} \"$@\"")
    async with PrivateValkey(tmp_path / "store", program=limited) as valkey, open_store(valkey.url) as store:
        kept = 0
        with pytest.raises(Unavailable):
            for number in range(1000):
                await store.facts.put(f"fact-{number}", "x" * 1000)
                kept = number
        async with supervised(valkey) as told:
            while not (await soon(told.get())).up:
                pass
            assert await store.facts.fact(f"fact-{kept}")
            with pytest.raises(Unavailable):
                for number in range(1000):
                    await store.facts.put(f"more-{number}", "x" * 1000)
            assert "AOF" in (await soon(told.get())).reason


async def test_no_server_is_started_on_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="is full"):
        await PrivateValkey(tmp_path, keep_free_bytes=2**62).start()


async def test_a_server_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    broken = script(tmp_path / "broken", "echo starting; echo 'no such library' >&2; exit 3")
    with pytest.raises(CannotStart, match=r"\(3\):\nstarting\nno such library"):
        await PrivateValkey(tmp_path / "store", program=broken).start()


async def test_a_program_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="cannot be run"):
        await PrivateValkey(tmp_path, program=tmp_path / "missing").start()


async def test_a_start_that_is_given_up_leaves_nothing_running(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    starting = asyncio.create_task(PrivateValkey(tmp_path / "store", program=slow).start())
    await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not is_served(tmp_path / "store")


async def test_a_long_path_has_its_socket_in_the_runtime_folder(tmp_path: Path, runtime: Path) -> None:
    folder = tmp_path / ("long" * 30)
    async with PrivateValkey(folder, environ={"XDG_RUNTIME_DIR": str(runtime)}) as valkey:
        assert str(runtime / "ngpu") in valkey.url
        assert stat.S_IMODE((runtime / "ngpu").stat().st_mode) == 0o700
        async with PrivateValkey(folder, environ={}) as other:
            assert (other.url, other.pid) == (valkey.url, valkey.pid)
    assert list((runtime / "ngpu").iterdir()) == []


def test_without_a_runtime_folder_it_is_one_of_ours_in_tmp(tmp_path: Path) -> None:
    socket = Folder(tmp_path / ("long" * 30), {}).socket()
    assert socket.parent == Path(f"/tmp/ngpu-{os.getuid()}")
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    with suppress(OSError):
        socket.parent.rmdir()


def test_a_link_in_a_shared_place_is_not_followed(tmp_path: Path, runtime: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (runtime / "ngpu").symlink_to(tmp_path / "theirs")
    with pytest.raises(CannotStart, match="somebody else"):
        Folder(tmp_path / ("long" * 30), {"XDG_RUNTIME_DIR": str(runtime)}).socket()


def test_a_folder_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o755)
    assert stat.S_IMODE(Folder(tmp_path / "store").path.stat().st_mode) == 0o700


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(CannotStart):
        Folder(tmp_path / "store")


def test_a_server_on_the_path_serves_where_the_wheel_has_none(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="no server found"):
        find_server("no_such_wheel", path=str(tmp_path))
    redis = script(tmp_path / "redis-server", "")
    assert find_server("no_such_wheel", path=str(tmp_path)) == redis
    valkey = script(tmp_path / "valkey-server", "")
    assert find_server("no_such_wheel", path=str(tmp_path)) == valkey


async def test_the_work_engine_takes_the_same_address(tmp_path: Path) -> None:
    async with (
        PrivateValkey(tmp_path / "a folder") as valkey,
        Docket(name="work", url=f"{valkey.url}&max_connections=2000") as docket,
    ):
        assert await docket.snapshot()
