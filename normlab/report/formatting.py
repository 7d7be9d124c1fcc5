"""Format numbers and the names of runs for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.runs.history import History

if TYPE_CHECKING:
    from normlab.study.analysis.measures import Reached
    from normlab.study.analysis.statistics import Estimate
    from normlab.study.analysis.verdicts import Judgement


def title(histories: Sequence[History]) -> tuple[str, str]:
    """What a figure of these histories is about: the experiments, and below them norms, seeds and how they ended."""
    names, labels, seeds = ([*dict.fromkeys(of)] for of in zip(*((h.name, h.label, h.seed) for h in histories)))
    head = ", ".join(names) if len(names) <= 2 else f"{len(names)} experiments"  # noqa: PLR2004 - what fits
    norms = f"norm {labels[0]}" if len(labels) == 1 else f"{len(labels)} norms"
    seeded = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return printable(head), printable(", ".join([norms, seeded, *_ends(histories)]))


def _ends(histories: Sequence[History]) -> list[str]:
    if len(histories) > 1:
        diverged = sum(1 for h in histories if h.result and h.result.status == "diverged")
        return [f"{diverged} of {len(histories)} diverged"] if diverged else []
    result = histories[0].result
    if result is None or result.status == "completed":
        return []
    at = f" at step {result.diverged_step:,}" if result.diverged_step is not None else ""
    return [result.status + at]


def tags(histories: Sequence[History]) -> list[str]:
    """A short name for each history: its norm, and its seed or name where they tell it from others."""
    names, seeds = {h.name for h in histories}, {h.seed for h in histories}
    found = []
    for history in histories:
        parts = [history.name] if len(names) > 1 else []
        parts.append(history.label)
        parts += [f"s{history.seed}"] if len(seeds) > 1 else []
        found.append(shortened(" ".join(parts), 22))
    return found


def printable(text: str) -> str:
    """The text with what can't be printed, such as a newline or half a character, replaced by a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def shortened(text: str, limit: int) -> str:
    """The text, printable, with its middle left out where it is longer than `limit` characters."""
    text = printable(text)
    if len(text) <= limit:
        return text
    tail = (limit - 3) // 2
    return f"{text[: limit - 3 - tail]} … {text[len(text) - tail :]}"


MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_SMALLEST_P = 1e-4
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def accuracy(value: float | None) -> str:
    """Four digits, e.g. `0.9612`."""
    return MISSING if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """Four digits with a sign, e.g. `+0.0031`."""
    return MISSING if value is None else f"{value:+.4f}".replace("-", _MINUS)


def plus_minus(value: Estimate) -> str:
    """Half the width of an interval, e.g. `±0.0012`; empty without one."""
    return "" if value.half is None else f"±{value.half:.4f}"


def interval(value: Estimate) -> str:
    """Both ends with their signs, e.g. `+0.0012 to +0.0050`; empty without them."""
    return "" if value.low is None else f"{signed(value.low)} to {signed(value.high)}"


def p_value(value: float | None) -> str:
    """Two digits that mean something, e.g. `0.031`."""
    if value is None:
        return MISSING
    return f"<{_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"  # noqa: PLR2004 - digits


def ahead(judged: Judgement) -> str:
    """Return in how many pairs the arm is ahead, with the interval of the share: `5 of 6 (.44 to .97)`."""
    if judged.ahead is None or judged.ahead_interval is None:
        return MISSING
    low, high = (f"{end:.2f}".lstrip("0") for end in judged.ahead_interval)
    return f"{judged.ahead:g} of {len(judged.evidence.pairs)} ({low} to {high})"


def steps(reached: Reached) -> str:
    """The median of the steps, and how many runs reached the threshold if not all: `240`, `never`, `300 (4 of 5)`."""
    if not reached.count:
        return "never"
    some = f" ({reached.count} of {reached.runs})" if reached.count < reached.runs else ""
    return (f"{reached.steps:,.0f}" if reached.steps is not None else "over half never") + some


def seconds(reached: Reached) -> str:
    """The median of the seconds."""
    return MISSING if reached.seconds is None else f"{reached.seconds:.1f} s"


def amount(value: float | None, unit: str = "") -> str:
    """A count with its thousands: in full where it is short, else `179 k`, `61.6 M`."""
    if value is None:
        return MISSING
    for size, letter in _UNITS:
        if abs(value) >= max(size, 1e5):
            return f"{value / size:.3g} {letter}{unit}"
    return f"{value:,.0f}{' ' + unit if unit else ''}"


def decimal(value: float | None, digits: int = 2) -> str:
    """So many digits behind the point."""
    return MISSING if value is None else f"{value:.{digits}f}".replace("-", _MINUS)
