"""How runs are called in figures and tables: as fully as tells them apart, as briefly as fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.runs.history import History


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
