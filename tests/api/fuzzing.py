"""Requests made of the OpenAPI document, sent with each kind of key: what is answered is in the document, is no bug of
ours, and opens nothing that the table of routes closes.

    python -m tests.api.fuzzing --seconds 120 [--from 0] [--key none|read|operate|admin]
"""

import argparse
import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from litestar import Litestar
from schemathesis.checks import CHECKS  # pyright: ignore[reportUnknownVariableType]

from novita_gpu import observe
from novita_gpu.api.app import ROUTES
from novita_gpu.api.limiter import Limiter
from novita_gpu.api.openapi import document
from novita_gpu.store.local import find_server
from tests.api.served import KEYS, Scope, served
from tests.valkey import running_server

SPEC = document(Litestar(list(ROUTES), openapi_config=None, logging_config=None), version="test")
NONE = "none"
CALLERS = (NONE, *map(str, Scope))
QUIET = [
    HealthCheck.function_scoped_fixture,
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
]
IN_A_ROUND = 50
STEPS = 8


def without_security(spec: dict[str, Any]) -> dict[str, Any]:
    """Our own key goes with every request, over whatever would be tried in its place."""
    open_paths = {
        path: {method: {k: v for k, v in told.items() if k != "security"} for method, told in methods.items()}
        for path, methods in spec["paths"].items()
    }
    components = {name: parts for name, parts in spec["components"].items() if name != "securitySchemes"}
    return {name: part for name, part in spec.items() if name != "security"} | {
        "paths": open_paths,
        "components": components,
    }


# A wait takes its time.
schema: Any = schemathesis.openapi.from_dict(without_security(SPEC)).exclude(  # pyright: ignore[reportUnknownMemberType]
    operation_id="waitForInstance"
)
# A valid request may well be refused: the name is taken, the cursor of another list, the wait over.
NOT_ASKED = cast("list[Any]", CHECKS.get_by_names(["positive_data_acceptance"]))
# A delete of an instance is a wish, which comes about later; then it is told as deleted for days.
OF_INSTANCES = [*NOT_ASKED, *cast("list[Any]", CHECKS.get_by_names(["use_after_free"]))]


def headers_of(caller: str) -> dict[str, str]:
    return {} if caller == NONE else {"Authorization": f"Bearer {KEYS[Scope(caller)]}"}


def scope_of(case: Any) -> Scope | None:
    """What the document says that its route needs; nothing where the path does not take the method."""
    needed = SPEC["paths"][case.path].get(case.method.lower(), {}).get("x-scope")
    return Scope(needed) if needed else None


def check(case: Any, response: Any, caller: str, recorder: Any = None) -> None:
    """Raises `AssertionError`, or what schemathesis does. `recorder`: of what was asked before."""
    assert response.status_code != 500, response.text
    needed = scope_of(case)
    refused = None if needed is None else 401 if caller == NONE else None if Scope(caller).holds(needed) else 403
    if refused:
        assert response.status_code == refused, f"{case.method} {case.path} as {caller}: {response.status_code}"
    elif needed:
        assert response.status_code != 401
    excluded = OF_INSTANCES if case.path.startswith("/api/instances/{id}") else NOT_ASKED
    case.validate_response(response, excluded_checks=excluded, recorder=recorder)


def send(case: Any, root: str, caller: str) -> Any:
    return case.call(base_url=root, headers=headers_of(caller), timeout=20)


def one_after_another(root: str, caller: str, many: int, start: int) -> Counter[int]:
    """Requests without a connection to each other, over all routes."""
    found: Counter[int] = Counter()

    @seed(start)
    @settings(max_examples=many, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=QUIET)
    @given(case=schema.as_strategy())
    def sent(case: Any) -> None:
        response = send(case, root, caller)
        found[response.status_code] += 1
        check(case, response, caller)

    sent()
    return found


def built_on_each_other(root: str, caller: str, many: int) -> Counter[int]:
    """Requests that use what earlier ones were answered, as far as the document tells which."""
    found: Counter[int] = Counter()

    class Machine(schema.as_state_machine()):
        def call(self, case: Any, **_: Any) -> Any:
            return send(case, root, caller)

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            found[response.status_code] += 1
            check(case, response, caller, self.recorder)

    limits = settings(
        max_examples=many,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=QUIET,
    )
    run_state_machine_as_test(Machine, settings=limits)
    return found


@contextmanager
def in_a_thread(valkey: str) -> Generator[str]:
    """The API's address; it runs in a thread of its own, with an instance in it."""
    found: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with served(valkey, limiter=Limiter(0, wrong_keys=sys.maxsize)) as api:
            await api.created("fuzzed")
            found.append(api.root)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def fuzz(root: str, caller: str, seconds: float, start: int) -> Counter[int]:
    """Until the time is over, round after round."""
    found: Counter[int] = Counter()
    ends, turn = time.monotonic() + seconds, start
    while time.monotonic() < ends:
        found += one_after_another(root, caller, IN_A_ROUND, turn)
        found += built_on_each_other(root, caller, IN_A_ROUND // STEPS)
        turn += 1
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=120, help="for each kind of key")
    asked.add_argument("--from", dest="start", type=int, default=0, help="the first seed")
    asked.add_argument("--key", choices=CALLERS, help="only this kind")
    given_ = asked.parse_args()
    server = find_server()
    observe.configure(form="text", level="error")
    with running_server(Path(server)) as valkey:
        for caller in (given_.key,) if given_.key else CALLERS:
            with in_a_thread(valkey) as root:
                found = fuzz(root, caller, given_.seconds, given_.start)
            told = ", ".join(f"{status}: {count}" for status, count in sorted(found.items()))
            sys.stdout.write(f"{caller}: {found.total()} requests; {told}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
