"""Check that normlab has not become slower: its parts against plain Gluon programs, in turn in one process.

    python benchmarks/guard.py                     # exit status 1 if a part is slower than its limit allows
    python benchmarks/guard.py --rounds 30 --json

Each figure is a median of ratios of normlab's time to the time of the same work in plain Gluon (`plain_gluon.py`),
measured right after each other. Unlike seconds, ratios depend little on the machine and its load. The figure for the
start is the processor time of a process that takes one step, divided by that of one that only imports MXNet.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from child import measure
from plain_gluon import Plain, of_main_job, of_resnet20

from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import load_spec, parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from normlab.spec import Spec

mx = mxnet()
ROOT = Path(__file__).resolve().parent.parent
#: The limit of each part, as a multiple of plain Gluon's time: a fifth above the value measured when it was set.
LIMITS = {
    "training step, main job": 0.76,
    "evaluation, main job": 0.64,
    "training step, ResNet-20": 1.3,
    "prediction, ResNet-20": 1.3,
    "start": 3.0,
}
STEPS, BATCH, SMALL_BATCH = 20, 100, 32
RESNET20 = f"""
dataset: {{name: synthetic, shape: [3, 32, 32], classes: 10, train: {2 * SMALL_BATCH}, test: {2 * SMALL_BATCH}}}
model: {{name: resnet, depth: 20}}
norm: batch
optimizer: {{name: sgd, learning_rate: 0.1, momentum: 0.9}}
training: {{steps: 1000, batch_size: {SMALL_BATCH}}}
evaluation: {{splits: [test], batch_size: all}}
"""
START = """
name: start
dataset: {name: synthetic, shape: [4], classes: 2, train: 16, test: 16}
model: {name: mlp, hidden: [4]}
norm: none
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 1, batch_size: 8}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    ratios = {**_main_job(options.rounds), **_resnet20(max(3, options.rounds // 3)), "start": _start()}
    slow = [part for part, ratio in ratios.items() if ratio > LIMITS[part]]
    if options.json:
        print(json.dumps({"ratios": ratios, "limits": LIMITS, "slow": slow}))
    else:
        print("| part | times plain Gluon | limit |\n| --- | ---: | ---: |")
        for part, ratio in ratios.items():
            print(f"| {part} | {ratio:.2f}{' (too slow)' * (part in slow)} | {LIMITS[part]} |")
    return int(bool(slow))


def _main_job(rounds: int) -> dict[str, float]:
    trainer, evaluator, dataset, batches = _assembled(load_spec(ROOT / "configs" / "mnist_bn.yaml"))
    train = dataset.splits["train"]
    images, labels = mx.nd.array(train.pixels()), mx.nd.array(train.labels, dtype="float32")
    plain = of_main_job(train.pixels(), train.labels, batches.indices(0, STEPS))
    return {
        "training step, main job": _ratio(rounds, *_stepping(trainer, plain, STEPS)),
        "evaluation, main job": _ratio(
            rounds, lambda: evaluator("train"), lambda: plain.accuracy(images, labels, by_batch=True)
        ),
    }


def _resnet20(rounds: int) -> dict[str, float]:
    trainer, evaluator, dataset, batches = _assembled(parse_spec(RESNET20, "resnet20.yaml"))
    train, test = (dataset.splits[name] for name in ("train", "test"))
    images, labels = mx.nd.array(test.pixels()), mx.nd.array(test.labels, dtype="float32")
    plain = of_resnet20(train.pixels(), train.labels, batches.indices(0, 1))
    return {
        "training step, ResNet-20": _ratio(rounds, *_stepping(trainer, plain, 1)),
        "prediction, ResNet-20": _ratio(
            rounds, lambda: evaluator("test"), lambda: plain.accuracy(images, labels, by_batch=False)
        ),
    }


def _start() -> float:
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "start.yaml"
        spec.write_text(START, encoding="utf-8")
        ours = [sys.executable, "-m", "normlab", "run", str(spec), "--json", "--again", "--out", folder]
        plain = [sys.executable, "-c", "from normlab.backend.mxnet import mxnet; mxnet(); print('{}')"]
        taken = [[measure(command, ROOT).processor_seconds for command in (ours, plain)] for _ in range(4)]
    return median(one / other for one, other in taken[1:])


def _assembled(spec: Spec) -> tuple[Any, Any, Any, Any]:
    spec = resolve(spec, catalog())
    dataset = spec.dataset.entry.load(**spec.dataset.parameters)
    _, trainer, evaluator, batches = assemble(spec, dataset, [mx.cpu()], 1000)
    return trainer, evaluator, dataset, batches


def _stepping(trainer: Any, plain: Plain, steps: int) -> tuple[Callable[[], None], Callable[[], None]]:
    def ours() -> None:
        trainer.steps(0, steps, lambda _: None)
        mx.nd.waitall()

    def theirs() -> None:
        for number in range(steps):
            plain.step(number)
        mx.nd.waitall()

    return ours, theirs


def _ratio(rounds: int, ours: Callable[[], Any], theirs: Callable[[], Any]) -> float:
    """Return the median of ratios after a first round, which compiles."""
    ratios = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        ours()
        between = time.perf_counter()
        theirs()
        ratios.append((between - start) / (time.perf_counter() - between))
    return median(ratios[1:])


if __name__ == "__main__":
    sys.exit(main())
