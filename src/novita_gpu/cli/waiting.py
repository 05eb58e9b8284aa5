"""Waiting for a status, with progress on stderr: one moving line on a terminal, else a line for each change."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from novita_gpu.cli.ask import Ask

if TYPE_CHECKING:
    from novita_gpu.cli.show import Progress
    from novita_gpu.client import Accepted, Instance

TIMEOUT_S = 1800  # as long as the service itself gives a launch
REFRESHES_PER_S = 4


async def wait_for(
    ask: Ask,
    name: str,
    wanted: Sequence[str],
    timeout_s: int,
    *,
    after: int | None = None,
    estimate: datetime | None = None,
) -> "Instance":
    """The instance in one of the statuses. Raises `WaitTimeout`, or `InstanceFailed` when it has failed or is gone."""
    from novita_gpu.cli.show import Progress, now
    from novita_gpu.client import InstanceFailed

    progress = Progress(name, estimate, now())
    with _shown(progress, quiet=ask.as_json) as changed:
        async for one in ask.client.watch(name, wanted, timeout=timedelta(seconds=timeout_s), after=after):
            progress.seen = one
            changed()
            if one.status in wanted:
                return one
    raise InstanceFailed(one) if (one := progress.seen) else AssertionError("a watch ends with an instance")


async def give_accepted(ask: Ask, answer: "Accepted", name: str, wanted: str, wait_s: int | None, after: int) -> None:
    """The answer to a wish, or with `wait_s` the instance once it has come about."""
    from novita_gpu.cli import show

    if wait_s is None:
        ask.give(answer, lambda: show.accepted(answer))
        return
    if not ask.as_json:
        show.console(stderr=True).print(show.accepted(answer))
    if answer.status == wanted:
        there = await ask.client.get(answer.instance_id or name)
    else:
        estimate = answer.estimated_ready_time
        there = await wait_for(ask, answer.instance_id or name, (wanted,), wait_s, after=after, estimate=estimate)
    ask.give(there, lambda: show.instance(there))


@contextmanager
def _shown(progress: "Progress", *, quiet: bool) -> Generator[Callable[[], None]]:
    """What to call when something has changed."""
    from rich.live import Live

    from novita_gpu.cli.show import console

    stderr = console(stderr=True)
    if quiet:
        yield lambda: None
    elif stderr.is_terminal:
        with Live(progress, console=stderr, refresh_per_second=REFRESHES_PER_S, transient=True):
            yield lambda: None
    else:
        yield lambda: stderr.print(progress)
