"""Every shipped method trains every kind of network: a few steps ordinarily, some hundred with NORMLAB_SLOW_TESTS=1.

The slow run takes three families of GluonCV too. It prints first and last losses with `pytest -s`.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from models_support import plugin

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.catalog.signature import build, describe
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import parse_spec

if TYPE_CHECKING:
    from normlab.training.evaluation import Score

mx = mxnet()
SLOW = os.environ.get("NORMLAB_SLOW_TESTS", "") not in ("", "0")
CATALOG = catalog(third_party=False)
NORMS = [name for name, norm in CATALOG.norms.entries.items() if norm.source.distribution == "normlab"]
for name in ("resnet", "gluoncv"):
    CATALOG.models.entries.setdefault(name, plugin(name))

#: Methods that are made to act beside another.
BESIDE = {"weight_standardization": ["group"]}
#: By default these shrink what they get; after the 27 sites and more of a MobileNet nothing would be left of it.
GENTLE = {"dyt": {"alpha": 1.0}, "derf": {"alpha": 1.0}, "local_response": {"k": 1.0}}
#: With no layer that stretches anything, 1e-18 would be left of it there; between the layers another norm stretches.
BESIDE_IN_MOBILENETS = {"spectral_norm": ["batch"]}
CLASSES = 4


class Task(NamedTuple):
    """A network, the images that it is trained on, and for how long."""

    model: dict
    shape: tuple[int, ...]
    steps: int
    batch_size: int = 16


QUICK = {
    "mlp": Task({"name": "mlp", "hidden": [16, 16]}, (1, 8, 8), 12),
    "resnet8": Task({"name": "resnet", "depth": 8}, (3, 8, 8), 8),
}
LONG = {
    "mlp": Task({"name": "mlp", "hidden": [32, 32]}, (1, 8, 8), 300),
    "resnet8": Task({"name": "resnet", "depth": 8}, (3, 8, 8), 200),
    # 66 rows and columns leave these 3 at the end. Of 1 instance norm makes nothing, and of 2 by 2 so little that loss
    # stays near ln 4 for 200 steps; GluonCV's own network with Gluon's InstanceNorm does likewise.
    "mobilenet0.25": Task({"name": "gluoncv", "network": "mobilenet0.25"}, (3, 66, 66), 300, 8),
    "mobilenetv2_0.25": Task({"name": "gluoncv", "network": "mobilenetv2_0.25"}, (3, 66, 66), 300, 8),
    "cifar_resnet20_v1": Task({"name": "gluoncv", "network": "cifar_resnet20_v1"}, (3, 8, 8), 200),
}
TASKS = LONG if SLOW else QUICK
#: What may be left of the loss.
SHARE = 0.9 if SLOW else 1


def runs(tasks):
    """Each method in each network that has a layout for it."""
    for label in tasks:
        layout = "NC" if label == "mlp" else "NCHW"
        for name in NORMS:
            layer = CATALOG.norms.entries[name].layer
            if layer is None or layout in layer.layouts:
                yield pytest.param(label, name, id=f"{label}-{name}")


def fitting(name, model):
    """Parameters for a network: groups that divide the channels of every site, by default there are 32 of them."""
    accepted = {parameter.name for parameter in describe(CATALOG.norms.entries[name].factories)}
    groups = {"groups": 2} if "groups" in accepted else {}
    return {**groups, **(GENTLE.get(name, {}) if "mobilenet" in model.get("network", "") else {})}


class Trained(NamedTuple):
    """What a training came to: losses as training sees them, and how prediction does on the test split."""

    first: float
    last: float
    test: Score


def trained(task, norm):
    beside = {**BESIDE, **(BESIDE_IN_MOBILENETS if "mobilenet" in task.model.get("network", "") else {})}
    norms = [{"name": name, **fitting(name, task.model)} for name in (norm, *beside.get(norm, ()))]
    settings = {
        "dataset": {
            "name": "synthetic", "shape": list(task.shape), "classes": CLASSES, "train": 64, "validation": 0, "test": 64
        },
        "model": task.model,
        "norm": norms,
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "training": {"steps": task.steps, "batch_size": task.batch_size},
        "device": "cpu",
    }  # fmt: skip
    spec = resolve(parse_spec(json.dumps(settings)), CATALOG)
    dataset = spec.dataset.entry.load(**spec.dataset.parameters)
    network, trainer, evaluator, _ = assemble(spec, dataset, [mx.cpu()], task.steps)
    images, labels = (mx.nd.array(value) for value in (dataset.splits["train"].images, dataset.splits["train"].labels))

    def mean_loss(F, images, labels):
        return F.mean(build(spec.loss).each(F, network.block(images), labels))

    loss = Graph(
        mean_loss, network.parameters.values(), training=True, hybridize=network.hybridizable, freeze_state=True
    )
    first = float(loss(images, labels)[0].asscalar())
    trainer.steps(0, task.steps, lambda _: None)
    last = float(loss(images, labels)[0].asscalar())
    return Trained(first, last, evaluator("test"))


# methods that run operator by operator take minutes for hundreds of steps
@pytest.mark.timeout(1800 if SLOW else 300)
@pytest.mark.parametrize(("label", "norm"), list(runs(TASKS)))
def test_loss_falls(label, norm):
    done = trained(TASKS[label], norm)
    print(f"\n{label} {norm} {done.first:.3f} {done.last:.3f} {done.test.accuracy:.2f} {done.test.loss:.3f}")  # noqa: T201 - with pytest -s, the figures
    assert np.isfinite([*done[:2], *done.test]).all()
    assert done.last < SHARE * done.first


def test_every_shipped_method_is_trained():
    assert {"none", "batch", "group", "weight_norm", "agc", "frn"} <= set(NORMS)
    in_some = {parameter.values[1] for parameter in runs(TASKS)}
    assert in_some == set(NORMS)
