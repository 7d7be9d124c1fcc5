"""ResNet-20 for images of 32 x 32 in normlab: milliseconds of a training step and of a prediction, batch 128."""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median

from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import parse_spec
from normlab.version import __version__

BATCH = 128
WARM_UP = 3
SPEC = f"""
dataset: {{name: synthetic, shape: [3, 32, 32], classes: 10, train: {2 * BATCH}, test: {BATCH}}}
model: {{name: resnet, depth: 20}}
norm: NORM
optimizer: {{name: sgd, learning_rate: 0.1, momentum: 0.9}}
training: {{steps: 1000, batch_size: {BATCH}}}
evaluation: {{splits: [test], batch_size: {BATCH}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--norm", default="batch")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    mx = mxnet()
    spec = resolve(parse_spec(SPEC.replace("NORM", options.norm), "resnet20.yaml"), catalog())
    dataset = spec.dataset.entry.load(**spec.dataset.parameters)
    _, trainer, evaluator, _ = assemble(spec, dataset, [mx.cpu()], 1000)

    def milliseconds(what: object) -> float:
        taken = []
        for index in range(options.repeats + WARM_UP):
            start = time.perf_counter()
            what(index)
            mx.nd.waitall()
            taken.append((time.perf_counter() - start) * 1e3)
        return median(taken[WARM_UP:])

    found = {
        "step_ms": milliseconds(lambda index: trainer.steps(index, index + 1, lambda _: None)),
        "predict_ms": milliseconds(lambda _: evaluator("test")),
    }
    print(json.dumps({"framework": f"normlab {__version__}", "python": sys.version.split()[0], **found}))


if __name__ == "__main__":
    main()
