"""Whatever is wrong with the server, callers see one error."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from novita_gpu.store import Store, open_store
from novita_gpu.store.base import Unavailable
from novita_gpu.store.local import PrivateValkey
from novita_gpu.store.wire import ANSWER_WITHIN_S, Script, connect
from tests.store.samples import creation, new_record


async def test_no_server(tmp_path: Path) -> None:
    async with open_store(f"unix://{tmp_path}/nobody") as store:
        for asked in (store.ping(), store.records.living(), store.records.commit(creation(new_record()))):
            with pytest.raises(Unavailable):
                await asked


async def test_an_error_of_the_server(store: Store) -> None:
    await store.wire.put(store.keys.living(), "not a set")
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await store.records.living()


async def test_a_server_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    async with PrivateValkey(tmp_path) as valkey, open_store(valkey.url) as store:
        await store.ping()
        os.kill(valkey.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(Unavailable, match="not in time"):
                await store.records.commit(creation(new_record()))
        finally:
            os.kill(valkey.pid, signal.SIGCONT)
        assert time.monotonic() - began < ANSWER_WITHIN_S + 2
        await store.ping()


async def test_scripts_that_the_server_forgot_are_sent_again(store: Store, valkey_url: str) -> None:
    await store.facts.first("a", "1")
    async with connect(valkey_url) as server:
        await server.script_flush()
    assert await store.facts.first("a", "2") == "1"


async def test_a_cancelled_call_ends_and_leaves_the_store_well(store: Store) -> None:
    for _ in range(50):
        waiting = asyncio.create_task(store.feed.wait(0, 30))
        await asyncio.sleep(0.002)
        waiting.cancel()
        done, _pending = await asyncio.wait([waiting], timeout=5)
        assert done
    await store.ping()


async def test_more_calls_than_connections_wait_for_their_turn(store: Store) -> None:
    await asyncio.gather(*(store.ping() for _ in range(500)))


def test_a_script_is_the_join_of_its_files() -> None:
    script = Script("journal", "touch")
    assert script.text.startswith("-- Shared by every script")
    assert "A heartbeat" in script.text
    assert len(script.sha) == 40
