"""What a person sees of how busy an instance was: a line of bars, and the figures beside it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from novita_gpu.cli.show import columns, moment
from novita_gpu.client.idle import Utilisation

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48


def utilisation(answer: Utilisation) -> RenderableType:
    if not answer.points:
        return Text("Nothing was measured: it does not run, or runs for less than a minute.")
    table = columns("", f"{moment(answer.since)} to {moment(answer.until)}", "NOW", "MEAN", "MOST")
    for name, values in (
        ("GPU", [point.gpu for point in answer.points]),
        ("GPU memory", [point.gpu_memory for point in answer.points]),
    ):
        known = [value for value in values if value is not None]
        if known:
            table.add_row(name, _line(values), *map(_percent, (known[-1], sum(known) / len(known), max(known))))
    return Group(table, *([Text(f"Nothing newer: {answer.stale}", style="yellow")] if answer.stale else []))


def _line(values: Sequence[float | None]) -> str:
    """The highest of each stretch; blank where nothing was measured."""
    size = max(1, -(-len(values) // WIDTH))
    stretches = (values[begin : begin + size] for begin in range(0, len(values), size))
    return "".join(_bar([value for value in stretch if value is not None]) for stretch in stretches)


def _bar(values: Sequence[float]) -> str:
    return BARS[min(len(BARS) - 1, int(max(values) / 100 * len(BARS)))] if values else " "


def _percent(value: float) -> str:
    return f"{value:.0f} %"
