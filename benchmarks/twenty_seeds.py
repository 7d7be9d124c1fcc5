"""Compare the accuracies of the main job, as means over 20 seeds, with those of the notebook's TensorFlow program.

    python benchmarks/twenty_seeds.py                               # normlab: configs/mnist_bn.yaml, mnist_none.yaml
    python benchmarks/twenty_seeds.py --tensorflow PYTHON           # the TensorFlow peer instead, in that Python ...
    python benchmarks/twenty_seeds.py --tensorflow PYTHON --store   # ... and keep its means as the reference

It prints the mean and standard deviation of both, and their difference in standard errors of the difference,
sqrt(s1^2/n1 + s2^2/n2). The exit status is 1 if any difference is above 3.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from child import ProgramError, measure

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "notebook_reference.json"
SHOWN = (20, 100, 200, 600, 1000)  # steps that are always printed; of the others, only the worst
LIMIT = 3.0  # standard errors of the difference
VARIANTS = {"mnist_bn": "bn", "mnist_none": "none"}
SPLITS = ("train", "test")


class Point(NamedTuple):
    """Mean and standard deviation of an accuracy over ``n`` seeds."""

    mean: float
    sd: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.sd:.4f}"


class Row(NamedTuple):
    """One accuracy of ours beside theirs."""

    step: int
    split: str
    ours: Point
    theirs: Point

    @property
    def distance(self) -> float:
        """The difference, ours less theirs, in its standard errors."""
        difference = self.ours.mean - self.theirs.mean
        error = math.sqrt(self.ours.sd**2 / self.ours.n + self.theirs.sd**2 / self.theirs.n)
        return difference / error if error else math.copysign(math.inf, difference) if difference else 0.0


Curve = dict[tuple[int, str], Point]  # by step and split


def main() -> int:
    options = _options()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // options.workers)))
    reference = json.loads(REFERENCE.read_text())
    sources = ["first"] if options.tensorflow else list(reference)
    far, program = 0, ""
    curves: dict[str, Curve] = {}
    for spec in VARIANTS:
        results = _run(options, spec)
        curves[spec] = _curve([result["history"] for result in results])
        program = "{framework}, python {python}".format(**results[0]) if options.tensorflow else "normlab"
        for source in sources:
            far += _compare(spec, reference[source], curves[spec])
    if options.store:
        reference["tensorflow"] = _stored(curves, program, options.seeds)
        REFERENCE.write_text(_compact(reference))
    print(f"{far} differences above {LIMIT:g} standard errors" if far else f"all within {LIMIT:g} standard errors")
    return 1 if far else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0, 1, ...")
    parser.add_argument(
        "--workers", type=int, default=2, help="runs at the same time, each with its share of the cores"
    )
    parser.add_argument("--tensorflow", metavar="PYTHON", help="run the TensorFlow peer with this interpreter instead")
    parser.add_argument("--store", action="store_true", help="store the TensorFlow peer's means as the reference")
    options = parser.parse_args()
    if options.store and not options.tensorflow:
        parser.error("--store stores the means of the TensorFlow program: use --tensorflow PYTHON as well")
    if options.seeds < 2:
        parser.error("--seeds: at least 2, since one run has no standard deviation")
    return options


def _run(options: argparse.Namespace, spec: str) -> list[dict[str, Any]]:
    """Return the results of a spec, one per seed."""
    with tempfile.TemporaryDirectory() as out, ThreadPoolExecutor(options.workers) as pool:

        def run(seed: int) -> dict[str, Any]:
            result = measure(_command(options.tensorflow, spec, seed, out), HERE.parent).result
            last = result["history"][-1]
            print(f"{spec} seed {seed}: {last['train_accuracy']:.4f} / {last['test_accuracy']:.4f}", file=sys.stderr)
            return result

        return list(pool.map(run, range(options.seeds)))


def _command(tensorflow: str | None, spec: str, seed: int, out: str) -> list[str]:
    if tensorflow:
        peer = HERE / "peers" / "tensorflow_graph.py"
        return [tensorflow, str(peer), "--variant", VARIANTS[spec], "--seed", str(seed), "--json"]
    config = HERE.parent / "configs" / f"{spec}.yaml"
    return [sys.executable, "-m", "normlab", "run", str(config), "--seed", str(seed), "--json", "--out", out]


def _curve(histories: list[list[dict[str, Any]]]) -> Curve:
    curve = {}
    for records in zip(*histories):
        for split in SPLITS:
            values = [record[f"{split}_accuracy"] for record in records]
            curve[records[0]["step"], split] = Point(statistics.mean(values), statistics.stdev(values), len(values))
    return curve


def _compare(spec: str, source: dict[str, Any], ours: Curve) -> int:
    """Print the table of a spec against one source; return how many differences are above the limit."""
    rows = [
        Row(step, split, ours[step, split], Point(mean, sd, source["seeds"]))
        for split in SPLITS
        for step, mean, sd in zip(source["variants"][spec]["steps"], *source["variants"][spec][split].values())
    ]
    rows.sort(key=lambda row: row.step)
    others = [row for row in rows if row.step not in SHOWN]
    print(f"\n{spec}, {rows[0].ours.n} seeds, against {source['what']}, {source['seeds']} seeds\n")
    print("| step | split | ours | theirs | difference in standard errors |\n| ---: | --- | --- | --- | ---: |")
    for row in rows:
        if row.step in SHOWN:
            _print(row)
    if others:
        _print(max(others, key=lambda row: abs(row.distance)), f", the worst of the {len(others)} others")
    return sum(abs(row.distance) > LIMIT for row in rows)


def _print(row: Row, note: str = "") -> None:
    print(f"| {row.step}{note} | {row.split} | {row.ours} | {row.theirs} | {row.distance:+.2f} |")


def _stored(curves: dict[str, Curve], program: str, seeds: int) -> dict[str, Any]:
    variants: dict[str, dict[str, Any]] = {}
    for spec, curve in curves.items():
        variants[spec] = {"steps": sorted({step for step, _ in curve})}
        for split in SPLITS:
            points = [curve[step, split] for step in variants[spec]["steps"]]
            variants[spec][split] = {name: [round(getattr(p, name), 6) for p in points] for name in ("mean", "sd")}
    return {
        "what": f"benchmarks/peers/tensorflow_graph.py, {program}",
        "seeds": seeds,
        "variants": variants,
    }


def _compact(data: dict[str, Any]) -> str:
    """Return JSON with each list of numbers on one line."""
    lists: list[str] = []

    def keep(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: keep(inner) for key, inner in value.items()}
        if isinstance(value, list):
            lists.append(json.dumps(value))
            return f"@{len(lists) - 1}@"
        return value

    text = json.dumps(keep(data), indent=2)
    for number, line in enumerate(lists):
        text = text.replace(f'"@{number}@"', line)
    return text + "\n"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProgramError as error:
        sys.exit(f"a run failed: {error}")
