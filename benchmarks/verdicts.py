"""Simulate studies whose truth is known, and count how often the verdicts are wrong.

    python benchmarks/verdicts.py [--studies 2000] [--processes 2] [--write]

Every study goes through `normlab.study.analysis.verdicts.judge`, the function that judges real ones. Accuracies are in
standard deviations of a seed, .01, around .9. `--write` puts the table into docs/statistics.md. With 2,000 studies a
rate of 5 % is known to about 1 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from normlab.study.analysis.verdicts import Evidence, Pair, judge

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "statistics.md"
SPREAD, MARGIN, LEVEL, EXAMPLES = 0.01, 0.005, 0.05, 10_000
VALUES = 9
BEGIN, END = "<!-- table -->", "<!-- end of table -->"

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


class Cell(NamedTuple):
    """A kind of study, simulated many times.

    Attributes:
        kind: What data it has.
        arms: Arms beside the baseline.
        repeats: Repeats of each arm.
        seeds: Final seeds of each repeat.
        truth: True difference of all arms to the baseline, in accuracy.
        options: Settings of the kind.
    """

    kind: str
    arms: int
    repeats: int
    seeds: int
    truth: float = 0.0
    options: tuple[tuple[str, float], ...] = ()


class Rates(NamedTuple):
    """Shares of studies.

    Attributes:
        wrong: With an arm called better or worse.
        equivalent: With an arm called equivalent.
        found: Of arms called better.
        covered: Of arms whose 95 % interval contains the true difference.
    """

    wrong: float
    equivalent: float
    found: float
    covered: float


def noise(kind: str, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw what a seed adds to each arm, `(arms + 1, repeats, seeds)`, of standard deviation 1."""
    arms = shape[0]
    if kind == "heavy":
        return generator.standard_t(3, shape) / np.sqrt(3)
    draws = generator.standard_normal(shape)
    if kind == "correlated":
        return np.sqrt(0.7) * generator.standard_normal((1, *shape[1:])) + np.sqrt(0.3) * draws
    if kind == "heteroscedastic":
        return draws * np.where(np.arange(arms) % 2, 3.0, 1.0)[:, None, None]
    return draws


def tuned(generator: np.random.Generator, shape: tuple[int, ...], step: float, trials: int) -> np.ndarray:
    """Accuracy after tuning: the best of 9 values by trials, then final runs with it.

    Args:
        generator: Draws.
        shape: `(arms + 1, repeats, seeds)`.
        step: By how much the value next to the best is worse, in standard deviations of a seed.
        trials: Trial seeds.
    """
    arms, repeats, _ = shape
    curve = -step * (np.arange(VALUES) - (VALUES - 1) / 2) ** 2
    scores = curve + generator.standard_normal((arms, repeats, trials, VALUES)).mean(axis=2)
    return curve[scores.argmax(axis=2)][:, :, None] + generator.standard_normal(shape)


def accuracies(cell: Cell, generator: np.random.Generator) -> np.ndarray:
    """Draw the accuracies of a study, `(arms + 1, repeats, seeds)`, the baseline first; NaN where a run diverged."""
    shape, options = (cell.arms + 1, cell.repeats, cell.seeds), dict(cell.options)
    if cell.kind.startswith("tuned"):
        drawn = tuned(generator, shape, options["step"], int(options.get("trials", 1)))
    else:
        drawn = noise(cell.kind, generator, shape)
    if cell.kind == "split":  # an arm's own effect of the one test split
        drawn += options["effect"] * generator.standard_normal((shape[0], 1, 1))
    drawn = 0.9 + SPREAD * drawn
    drawn[1:] += cell.truth
    examples = int(options.get("examples", EXAMPLES))
    drawn = np.round(np.clip(drawn, 0, 1) * examples) / examples
    if "diverging" in options:
        drawn[generator.random(shape) < options["diverging"]] = np.nan
    if "arm_diverging" in options:
        drawn[1:][generator.random((cell.arms, *shape[1:])) < options["arm_diverging"]] = np.nan
    return drawn


def evidence(drawn: np.ndarray, examples: int) -> list[Evidence]:
    """Turn accuracies into what `judge` takes."""
    _, repeats, seeds = drawn.shape
    plain = [[[None if np.isnan(value) else float(value) for value in row] for row in arm] for arm in drawn]
    return [
        Evidence(
            tuple(tuple(Pair(r * seeds + s, arm[r][s], plain[0][r][s]) for s in range(seeds)) for r in range(repeats)),
            examples,
        )
        for arm in plain[1:]
    ]


def simulate(cell: Cell, studies: int, seed: int = 0) -> Rates:
    """Judge so many studies of a kind."""
    generator = np.random.default_rng([seed, *map(ord, repr(cell))])
    examples = int(dict(cell.options).get("examples", EXAMPLES))
    wrong = equivalent = found = covered = intervals = 0
    for _ in range(studies):
        drawn = accuracies(cell, generator)
        if cell.kind == "tuned once":  # then each seed counts as a repeat
            drawn = drawn.reshape(len(drawn), -1, 1)
        judged = judge(evidence(drawn, examples), margin=MARGIN, level=LEVEL)
        verdicts = [each.verdict for each in judged]
        wrong += any(verdict in {"better", "worse"} for verdict in verdicts)
        equivalent += "equivalent" in verdicts
        found += verdicts.count("better")
        for each in judged:
            if each.estimate.ends is not None:
                intervals += 1
                covered += each.estimate.ends[0] <= cell.truth <= each.estimate.ends[1]
    return Rates(wrong / studies, equivalent / studies, found / studies / cell.arms, covered / max(1, intervals))


def cells() -> Iterator[tuple[str, Cell]]:
    """Yield every row of the table: what it is, and its cell."""
    yield from _without_difference()
    yield from _disturbed()
    yield from _with_difference()


def _without_difference() -> Iterator[tuple[str, Cell]]:
    for kind in ("normal", "heteroscedastic", "heavy", "correlated"):
        for arms, seeds in ((1, 3), (1, 5), (1, 10), (3, 5), (7, 5), (7, 10)):
            yield f"fixed settings, {kind} noise", Cell(kind, arms, seeds, 1)
    for step, curve in ((0.25, "flat"), (1.0, "middling"), (2.0, "steep")):
        for arms in (1, 3, 7):
            yield f"tuned once, {curve} curve", Cell("tuned once", arms, 1, 10, options=(("step", step),))
            yield f"tuned 5 times, {curve} curve", Cell("tuned", arms, 5, 2, options=(("step", step),))


def _disturbed() -> Iterator[tuple[str, Cell]]:
    for rate in (0.1, 0.3, 0.5):
        for arms, seeds in ((1, 10), (7, 5), (7, 10)):
            yield f"{rate:.0%} of all runs diverge", Cell("normal", arms, seeds, 1, options=(("diverging", rate),))
    for arms, seeds in ((1, 10), (7, 10)):
        options = (("arm_diverging", 0.1),)
        yield "10 % of the arms' runs diverge, none of the baseline's", Cell("normal", arms, seeds, 1, options=options)
        yield (
            "an effect of arm and test split as large as the spread",
            Cell("split", arms, seeds, 1, options=(("effect", 1.0),)),
        )
    for arms, seeds in ((3, 2), (3, 3), (3, 5)):
        yield "a test split of 50 examples", Cell("normal", arms, seeds, 1, options=(("examples", 50),))


def _with_difference() -> Iterator[tuple[str, Cell]]:
    for arms, seeds in ((1, 40), (7, 40), (7, 100)):
        yield "a true difference of the margin", Cell("normal", arms, seeds, 1, truth=MARGIN)
    for arms, seeds in ((1, 3), (1, 5), (1, 10), (7, 10)):
        yield "a true difference of two deviations", Cell("normal", arms, seeds, 1, truth=2 * SPREAD)


def table(studies: int, processes: int) -> str:
    """Simulate all cells and return them as a table in Markdown."""
    rows = list(cells())
    with get_context("spawn").Pool(processes) as pool:
        found = pool.starmap(simulate, [(cell, studies) for _, cell in rows])
    head = (
        "| data | arms | repeats x seeds | false better or worse | any equivalent | better, an arm | intervals hold |"
    )
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for (words, cell), rates in zip(rows, found):
        wrong = f"{rates.wrong:.1%}" if cell.truth == 0 else ""
        shares = f"{wrong} | {rates.equivalent:.1%} | {rates.found:.1%} | {rates.covered:.1%}"
        lines.append(f"| {words} | {cell.arms + 1} | {cell.repeats} x {cell.seeds} | {shares} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = table(options.studies, options.processes)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{found}\n{END}{after}", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
