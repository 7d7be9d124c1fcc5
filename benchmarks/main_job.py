"""The main job, normlab against the same program in TensorFlow, PyTorch and JAX, run in turn.

    python benchmarks/main_job.py --build                   # makes an environment a framework under .venv-bench/
    python benchmarks/main_job.py --env torch=/path/python --env jax=/path/python     # uses those that you have
    python benchmarks/main_job.py --results benchmarks/RESULTS.md                     # appends the table there

Every program runs once unmeasured, so that files are in the system's cache and compilers have theirs; then come the
rounds, A B C A B C ... Each figure is a median over rounds. Each ratio is the median over rounds of a program's figure
divided by normlab's of the same round, so that a slow moment of the machine weighs on both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import environments
import machine
from child import Measured, ProgramError, measure

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = {
    "tensorflow_graph": "tensorflow",
    "torch_eager": "torch",
    "torch_compiled": "torch",
    "jax_jitted": "jax",
}  # by program, the environment it runs in
VERSIONS = "from importlib.metadata import version as v; print('normlab', v('normlab') + ', mxnet', v('mxnet'))"


class Column(NamedTuple):
    """A figure of a run, how it is told, and whether its ratio to normlab's is told beside it."""

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
    options = _options()
    pythons = _pythons(options)
    programs = {"normlab": [sys.executable, "-m", "normlab", "run", "configs/mnist_bn.yaml", "--json", "--out"]}
    for peer, environment in PEERS.items():
        if environment in pythons:
            programs[peer] = [pythons[environment], str(HERE / "peers" / f"{peer}.py"), "--json"]
        else:
            print(f"{peer}: left out, no environment; say --build or --env {environment}=PYTHON", file=sys.stderr)
    described = machine.describe()
    runs = _rounds(programs, options.rounds)
    if not runs.get("normlab"):
        return 1
    lines = [described, "", *_table(runs), "", *_summary(runs), "", *_versions(runs)]
    print("\n".join(lines))
    if options.results:
        _append(options.results, options.rounds, lines)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", action="store_true", help="make the environments that are missing")
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench", help="folder of the environments")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=PYTHON", help="use this interpreter")
    parser.add_argument("--results", type=Path, metavar="FILE", help="append the table to this Markdown file")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    known = environments.names()
    for given in options.env:
        if given.partition("=")[0] not in known or not Path(given.partition("=")[2]).is_file():
            parser.error(f"--env {given}: expected NAME=PYTHON with NAME one of {', '.join(known)}, PYTHON a file")
    return options


def _pythons(options: argparse.Namespace) -> dict[str, str]:
    """Return the interpreter of each environment that is given, there, or could be built."""
    given = dict(text.split("=", 1) for text in options.env)
    for name in environments.names():
        if name in given:
            continue
        if options.build and not environments.is_built(options.envs, name):
            try:
                environments.build(options.envs, name)
            except subprocess.CalledProcessError as error:
                print(f"{name}: no environment, exit status {error.returncode} (see above)", file=sys.stderr)
        if environments.is_built(options.envs, name):
            given[name] = str(environments.python_of(options.envs, name))
    return given


def _rounds(programs: dict[str, list[str]], rounds: int) -> dict[str, list[Measured]]:
    """Run all programs in turn, ``rounds`` times after once unmeasured; one that fails is told and left out."""
    runs: dict[str, list[Measured]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name in list(runs):
            try:
                run = _run(programs[name])
            except ProgramError as error:
                print(f"{name}: failed, left out: {error}", file=sys.stderr)
                del runs[name]
                continue
            print(f"round {number}: {name} {run.seconds:.2f} s", file=sys.stderr)
            if number:
                runs[name].append(run)
    return runs


def _run(command: list[str]) -> Measured:
    with tempfile.TemporaryDirectory() as out:
        return measure([*command, out] if command[-1] == "--out" else command, ROOT)


def _table(runs: dict[str, list[Measured]]) -> list[str]:
    """Return the Markdown table, a line a program."""
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
    """Return a line that sets normlab's whole process against the fastest peer's."""
    peers = {name: median(run.seconds for run in measured) for name, measured in runs.items() if name != "normlab"}
    if not peers:
        return ["No peer was run."]
    fastest = min(peers, key=lambda name: peers[name])
    ratio = 1 / median(_ratios(COLUMNS[0], runs[fastest], runs["normlab"]))
    return [f"Whole process, normlab against the fastest peer ({fastest}): {ratio:.2f}"]


def _versions(runs: dict[str, list[Measured]]) -> list[str]:
    """Return the versions of everything that ran."""
    own = subprocess.run([sys.executable, "-c", VERSIONS], capture_output=True, text=True, check=False).stdout.strip()
    found = {f"{own or 'normlab'}, python {sys.version.split()[0]}": None}
    for measured in runs.values():
        result = measured[0].result
        if "framework" in result:
            found[f"{result['framework']}, python {result['python']}"] = None
    return [f"Versions: {'; '.join(found)}"]


def _append(file: Path, rounds: int, lines: list[str]) -> None:
    now = datetime.now(timezone.utc)
    with file.open("a", encoding="utf-8") as results:
        results.write(
            "\n".join([f"\n## {now:%Y-%m-%d %H:%M} UTC, main job, medians of {rounds} rounds", "", *lines, ""])
        )


if __name__ == "__main__":
    sys.exit(main())
