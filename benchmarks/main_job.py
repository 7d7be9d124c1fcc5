"""Compare the main job in normlab with the same program in TensorFlow, PyTorch and JAX, run in turn.

    python benchmarks/main_job.py --build                   # builds an environment per framework in .venv-bench/
    python benchmarks/main_job.py --env torch=/path/python --env jax=/path/python     # uses existing ones
    python benchmarks/main_job.py --results benchmarks/RESULTS.md                     # appends the table there

Every program runs once without being measured, to fill the caches of the system and of compilers. Then the rounds run:
A B C, C B A, ... Each figure is a median over rounds. Each ratio is the median, over rounds, of a program's figure
divided by normlab's in the same round, so that a slow moment of the machine affects both.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import machine
import turns

from normlab.backend.passes import tiling
from normlab.datasets.mnist import mnist

if TYPE_CHECKING:
    from collections.abc import Callable

    from child import Measured

HERE = Path(__file__).resolve().parent
PEERS = {
    "jax_jitted": "jax",
    "torch_eager": "torch",
    "tensorflow_graph": "tensorflow",
    "torch_compiled": "torch",
}  # the environment of each program; the fastest runs next to normlab, when the machine has the same speed
#: Number of evaluations; inputs and outputs of each dense layer of 784-100-100-10.
EVALUATIONS, LAYERS = 50, ((784, 100), (100, 100), (100, 10))
VERSIONS = "from importlib.metadata import version as v; print('normlab', v('normlab') + ', mxnet', v('mxnet'))"


class Column(NamedTuple):
    """A figure of a run, its format, and whether its ratio to normlab's is shown."""

    title: str
    value: Callable[[Measured], float | None]
    format: str
    ratio: bool = True


COLUMNS = (
    Column("process, s", lambda run: run.seconds, "{:.2f}"),
    Column("training, s", lambda run: run.result.get("training_seconds"), "{:.2f}"),
    Column("evaluation, s", lambda run: run.result.get("evaluation_seconds"), "{:.2f}"),
    Column("processor, s", lambda run: run.processor_seconds, "{:.1f}"),
    Column("peak memory, MB", lambda run: run.peak_memory / 1e6, "{:.0f}"),
    Column("test accuracy", lambda run: run.result["history"][-1]["test_accuracy"], "{:.4f}", ratio=False),
)


def main() -> int:
    options = turns.options(__doc__)
    pythons = turns.pythons(options)
    programs = {"normlab": [sys.executable, "-m", "normlab", "run", "configs/mnist_bn.yaml", "--json", "--out"]}
    for peer, environment in PEERS.items():
        if environment in pythons:
            programs[peer] = [pythons[environment], str(HERE / "peers" / f"{peer}.py"), "--json"]
        else:
            print(f"{peer}: left out, no environment; use --build or --env {environment}=PYTHON", file=sys.stderr)
    programs["peak"] = [sys.executable, str(HERE / "peers" / "matrix_peak.py")]
    described = machine.describe()
    runs = turns.run_in_turn(programs, options.rounds)
    peak = runs.pop("peak", [])
    if not runs.get("normlab"):
        return 1
    lines = [described, "", *_table(runs), "", *_summary(runs), *_share(runs["normlab"], peak), "", *_versions(runs)]
    print("\n".join(lines))
    if options.results:
        turns.append(options.results, "main job", options.rounds, lines)
    return 0


def _table(runs: dict[str, list[Measured]]) -> list[str]:
    """Return the Markdown table, with a line per program."""
    lines = [
        "| program | " + " | ".join(column.title + (" (ratio)" if column.ratio else "") for column in COLUMNS) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    for name, measured in runs.items():
        cells = [_cell(column, measured, runs["normlab"]) for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(column: Column, measured: list[Measured], normlab: list[Measured]) -> str:
    values = [value for value in map(column.value, measured) if value is not None]
    if not values:
        return "-"
    text = column.format.format(median(values))
    ratios = _ratios(column, measured, normlab)
    return f"{text} ({median(ratios):.2f})" if column.ratio and ratios else text


def _ratios(column: Column, measured: list[Measured], normlab: list[Measured]) -> list[float]:
    """Return this program's figure divided by normlab's, of each round that has both."""
    pairs = [(column.value(run), column.value(base)) for run, base in zip(measured, normlab)]
    return [value / base for value, base in pairs if value is not None and base]


def _summary(runs: dict[str, list[Measured]]) -> list[str]:
    """Return a line that compares normlab's whole process with the fastest peer's."""
    peers = {name: median(run.seconds for run in measured) for name, measured in runs.items() if name != "normlab"}
    if not peers:
        return ["No peer was run."]
    fastest = min(peers, key=lambda name: peers[name])
    ratio = 1 / median(_ratios(COLUMNS[0], runs[fastest], runs["normlab"]))
    return [f"Whole process, normlab against the fastest peer ({fastest}): {ratio:.2f}"]


def _share(normlab: list[Measured], peak: list[Measured]) -> list[str]:
    """Return a line that compares the speed of evaluations with that of large matrix products."""
    if not peak:
        return []
    whole, left_out = _evaluation()
    speeds = [whole / run.result["evaluation_seconds"] for run in normlab]
    share = median(speed / run.result["gflops"] for speed, run in zip(speeds, peak))
    large, own = median(run.result["gflops"] for run in peak), share * (1 - left_out / whole)
    told = f"Evaluations of {whole:.0f} GFLOP: {median(speeds):.0f} GFLOP/s, {share:.2f} of the {large:.0f} of "
    return [f"{told}large products; without the {left_out:.0f} GFLOP of products with 0 that are left out, {own:.2f}"]


def _evaluation() -> tuple[float, float]:
    """Return the GFLOP of all evaluations of a run, and the GFLOP that normlab leaves out since a pixel is 0."""
    splits = [mnist().splits[name] for name in ("train", "test")]
    tables = [split.images.reshape(len(split), -1) for split in splits]
    count = tiling.count_tiles(map(len, tables))
    needed = sum(len(rows) * len(columns) for table in tables for rows, columns in tiling.cut(table, count) or ())
    images, (pixels, units) = sum(map(len, tables)), LAYERS[0]
    whole = images * sum(taken * given for taken, given in LAYERS)
    return tuple(2e-9 * EVALUATIONS * products for products in (whole, (images * pixels - needed) * units))


def _versions(runs: dict[str, list[Measured]]) -> list[str]:
    """Return the versions of everything that ran."""
    own = subprocess.run([sys.executable, "-c", VERSIONS], capture_output=True, text=True, check=False).stdout.strip()
    found = {f"{own or 'normlab'}, python {sys.version.split()[0]}": None}
    for measured in runs.values():
        result = measured[0].result
        if "framework" in result:
            found[f"{result['framework']}, python {result['python']}"] = None
    return [f"Versions: {'; '.join(found)}"]


if __name__ == "__main__":
    sys.exit(main())
