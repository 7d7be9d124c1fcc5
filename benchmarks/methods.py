"""Measure every method of the catalogue against MXNet's BatchNorm operator and against PyTorch's own version.

    python benchmarks/methods.py --build                        # builds PyTorch's environment in .venv-bench/
    python benchmarks/methods.py --env torch=/path/python       # uses an existing one (with timm, also its layers)
    python benchmarks/methods.py --results benchmarks/METHODS.md

normlab's methods and the operator are measured in turn in one process, PyTorch in another; the processes run in turn. A
ratio to the operator is a median over the rounds of a process, then over processes. For a method that takes more than
twice PyTorch's time, the most expensive operator is named, as reported by MXNet's profiler.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Optional

import machine
import turns
from layers import find_norms, parse_method

from normlab.backend.mxnet import mxnet, threads
from normlab.conformance.cost import SHAPES, measure_costs
from normlab.conformance.cost_subjects import OPERATOR, Arrays, build_subject

if TYPE_CHECKING:
    from normlab.conformance.cost import Cost
    from normlab.conformance.cost_subjects import MethodToMeasure

HERE = Path(__file__).resolve().parent
#: The multiple of PyTorch's time above which the most expensive operator is named.
MUCH = 2.0
ABOUT = (
    "float32, milliseconds of a forward and a backward pass. `x operator` is a median of ratios to MXNet's BatchNorm "
    "operator, measured in turn in the same process; `x torch` is one of ratios to PyTorch's or timm's version of the "
    "method, above 1 where PyTorch is faster. Where it is above 2, the most expensive operator is named."
)
#: Rounds within a process.
ROUNDS = 10
#: Variants in addition to the defaults.
VARIANTS = ("layer:over=channels",)
#: The number of groups of methods that have this parameter.
GROUPS = 4
#: Steps under the profiler.
_PROFILED = 5


def main() -> int:
    if sys.argv[1:2] == ["--one-process"]:
        return one_process(sys.argv[2:])
    options = turns.options(__doc__)
    pythons = turns.pythons(options)
    shapes = ",".join("x".join(map(str, shape)) for shape in SHAPES.values())
    rounds = str(ROUNDS)
    programs = {"normlab": [sys.executable, str(HERE / "methods.py"), "--one-process", "--shapes", shapes]}
    if "torch" in pythons:
        program = str(HERE / "peers" / "torch_methods.py")
        programs["torch"] = [pythons["torch"], program, "--shapes", shapes, "--threads", str(threads())]
    else:
        print("torch: left out, no environment; use --build or --env torch=PYTHON", file=sys.stderr)
    described = machine.describe()
    runs = turns.run_in_turn(
        {name: [*command, "--rounds", rounds] for name, command in programs.items()}, options.rounds
    )
    if not runs.get("normlab"):
        return 1
    results = {name: [run.result for run in measured] for name, measured in runs.items()}
    lines = [described, "", ABOUT, *report(results)]
    print("\n".join(lines))
    if options.results:
        turns.append(options.results, "forward and backward pass of every method", options.rounds, lines)
    return 0


def one_process(arguments: list[str]) -> int:
    """Measure all methods at all shapes and print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shapes", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--norms", help="names; all if not given")
    options = parser.parse_args(arguments)
    asked = every_method(options.norms.split(",") if options.norms else None)
    found = {text: at_shape(asked, _shape(text), options.rounds) for text in options.shapes.split(",")}
    print(json.dumps({"framework": f"MXNet {mxnet().__version__}", "shapes": found}))
    return 0


def every_method(names: Optional[list[str]] = None) -> list[MethodToMeasure]:
    """Return the methods; those with a number of groups get one that fits all shapes."""
    known = find_norms()
    every = []
    for name in names or [*known.norms.entries, *VARIANTS]:
        asked = parse_method(known, name)
        if any("groups" in inspect.signature(factory).parameters for factory in asked.norm.factories):
            asked = asked._replace(parameters={"groups": GROUPS})
        every.append(asked)
    return every


def at_shape(asked: list[MethodToMeasure], shape: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """Return the figures of each way of each method, with its most expensive operator."""
    by_label = {each.label: each for each in asked}
    arrays = Arrays(shape)
    rows = []
    for cost in measure_costs(asked, shape, rounds):
        row = {"norm": cost.norm, "way": cost.way, "ratio": cost.ratio, "note": cost.note, "operator": ""}
        if cost.ratio is not None:
            row["ms"] = _milliseconds(cost)
            if cost.norm != OPERATOR and cost.way in ("layer", "weight"):
                row["operator"] = costliest(by_label[cost.norm], cost.way, arrays)
        rows.append(row)
    return rows


def _milliseconds(cost: Cost) -> float:
    return (cost.forward_ms or 0.0) + (cost.backward_ms or 0.0)


def costliest(asked: MethodToMeasure, way: str, arrays: Arrays) -> str:
    """Return the operator with the largest share of a step by MXNet's profiler, such as `Convolution, 43 %`."""
    mx = mxnet()
    made = build_subject(asked, way, arrays)
    _step(made)
    mx.nd.waitall()
    with tempfile.TemporaryDirectory() as folder:
        # MXNet deletes this file, even if it is a device
        file = str(Path(folder) / "profile.json")
        mx.profiler.set_config(profile_imperative=True, profile_symbolic=True, aggregate_stats=True, filename=file)
        mx.profiler.dumps(reset=True)
        mx.profiler.set_state("run")
        for _ in range(_PROFILED):
            _step(made)
        mx.nd.waitall()
        mx.profiler.set_state("stop")
        return largest(json.loads(mx.profiler.dumps(reset=True, format="json")))


def largest(profile: dict[str, Any]) -> str:
    """Return the operator with the largest total in MXNet's aggregate statistics, with its share of all operators."""
    totals = {name: figures["Total"] for name, figures in profile["Time"].get("operator", {}).items()}
    if not totals:
        return ""
    name = max(totals, key=lambda each: totals[each])
    label = f"{name.removeprefix('_backward_')}, backwards" if name.startswith("_backward_") else name
    return f"{label}, {100 * totals[name] / sum(totals.values()):.0f} %"


def _step(made: Any) -> None:
    with mxnet().autograd.record():
        y = made.forward()
    if made.cotangent is not None:
        y.backward(made.cotangent)


def report(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return a Markdown table for each shape.

    Args:
        results: The outputs of the processes of `normlab` and, if it ran, `torch`, by program.
    """
    lines = []
    for shape in results["normlab"][0]["shapes"]:
        lines += ["", f"### {shape.replace('x', ' x ')}", ""]
        lines += ["| method | acts by | ms | x operator | torch ms | x torch | costs most, or why not measured |"]
        lines += ["| --- | --- | ---: | ---: | ---: | ---: | --- |"]
        lines += [_line(index, shape, results) for index in range(len(results["normlab"][0]["shapes"][shape]))]
    frameworks = dict.fromkeys(runs[0]["framework"] for runs in results.values() if runs)
    return [*lines, "", "Versions: " + "; ".join(frameworks)]


def _line(index: int, shape: str, results: dict[str, list[dict[str, Any]]]) -> str:
    rows = [run["shapes"][shape][index] for run in results["normlab"]]
    first = rows[0]
    if first["ratio"] is None:
        return f"| {first['norm']} | {first['way']} | | | | | {first['note'].replace('|', '/')} |"
    peers = [run["milliseconds"][shape].get(first["norm"]) for run in results.get("torch", [])]
    pairs = [(row["ms"], peer) for row, peer in zip(rows, peers) if peer is not None]
    slower = median(own / peer for own, peer in pairs) if pairs else 0.0
    cells = [first["norm"], first["way"], f"{median(row['ms'] for row in rows):.2f}"]
    cells += [f"{median(row['ratio'] for row in rows):.2f}"]
    cells += [f"{median(peer for _, peer in pairs):.2f}", f"{slower:.2f}"] if pairs else ["", ""]
    cells += [first["operator"] if slower > MUCH else first["note"]]
    return "| " + " | ".join(cells) + " |"


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split("x"))


if __name__ == "__main__":
    sys.exit(main())
