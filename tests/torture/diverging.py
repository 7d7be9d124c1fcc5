"""Point 5: a value that is not finite stops the run at the next evaluation, and the result has its step and layer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from resuming import optimizers
from tally import Tally
from trials import SPEC, normlab, spec_of

from normlab import experiment
from normlab.runs.history import History

if TYPE_CHECKING:
    from pathlib import Path

#: The step at which a value becomes non-finite, and the evaluation that detects it.
BAD, FOUND = 7, 10

PLUGIN = f'''
from normlab import Norm, NormLayer, hookimpl
from normlab.norms.ways import NormGradient, NormProject

class Overflow(NormLayer):
    """Returns infinity from a step on."""
    def __init__(self, **site):
        super().__init__(**site)
        self.state("passes", "zeros")

    def hybrid_forward(self, F, x, passes):
        if not self.training:
            return F.identity(x)
        self.update(passes=passes + 1)
        late = F.BlockGrad(F.slice_axis(passes, axis=0, begin=0, end=1)) >= {BAD - 1}
        return F.broadcast_div(x, F.reshape(1 - late, shape=(1, 1)))

class NanGradient(NormGradient):
    """Makes the gradient of one parameter NaN in one step."""
    def __init__(self):
        self.calls = 0
    def prepare(self, network):
        pass
    def __call__(self, F, name, weight, gradient):
        if name != "dense0.weight":
            return gradient
        self.calls += 1
        return gradient * float("nan") if self.calls == {BAD} else gradient

class NanWeight(NormProject):
    """Makes one weight NaN right before an evaluation; one step later all would be."""
    def __init__(self):
        self.calls = 0
    def __call__(self, F, name, value):
        if name != "dense1.weight":
            return value
        self.calls += 1
        mask = F.ones_like(value)
        if self.calls == {FOUND}:
            mask[0, 0] = float("nan")
        return value * mask

@hookimpl
def normlab_norms():
    yield Norm("overflow", layer=Overflow)
    yield Norm("nan_gradient", gradient=NanGradient)
    yield Norm("nan_weight", project=NanWeight)
'''


def make_cases(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Return the settings of each case, and a text that the name of the layer must contain."""
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / "bad.py"
    plugin.write_text(PLUGIN)
    with_plugin = f"plugins=[{plugin}]"
    return {
        "learning rate 1e30": (["norm=none", "optimizer.learning_rate=1e30"], "dense"),
        "infinite activations": ([with_plugin, "norm=overflow"], ""),
        "one weight of NaN": ([with_plugin, "norm=nan_weight"], "dense1.weight"),
        **{
            f"gradient of NaN, {name}": ([with_plugin, "norm=nan_gradient", *overrides], "")
            for name, overrides in optimizers().items()
        },
    }


def diverge(chosen: dict[str, tuple[list[str], str]], out: Path) -> Tally:
    """Train the cases: each run diverges at the next evaluation, and no file contains NaN."""
    tally = Tally("runs that become non-finite: stopped at the next evaluation and reported")
    for name, (overrides, layer) in chosen.items():
        spec = spec_of("evaluation.every=5", "training={steps: 40, batch_size: 16}", *overrides)
        history = experiment.run(spec, out=out / name)
        result = history.result
        missing = all(value is None for value in [*history[-1].accuracy.values(), *history[-1].loss.values()])
        files = [path.read_text() for path in history.directory.glob("*.json*")]
        strict = not any(word in text for text in files for word in ("NaN", "Infinity"))
        kept = result.status == "diverged" and result.diverged_step <= FOUND and bool(result.diverged_layer)
        kept = kept and layer in result.diverged_layer and missing and strict
        tally.add(kept and History.load(history.directory).same_as(history), f"{name}: {result}")
    return tally


def check_pixels(folder: Path) -> Tally:
    """Train on data with a non-finite pixel: the data are refused or the run diverges; no accuracy is NaN."""
    tally = Tally("non-finite pixels: refused or reported")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(SPEC)
    for value in (np.nan, np.inf):
        images = np.random.default_rng(0).random((96, 1, 6, 6)).astype(np.float32)
        images[50, 0, 3, 3] = value
        labels = np.arange(96) % 4
        np.savez(folder / "own.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
        run = normlab("run", "small.yaml", "-s", "dataset={name: arrays, path: own.npz}", "--json", cwd=folder)
        out, errors = run.communicate(timeout=120)
        accuracies = [record["test_accuracy"] for record in json.loads(out)["history"]] if out else [None]
        kept = run.returncode in (3, 5) and accuracies[-1] is None and "Traceback" not in errors
        tally.add(kept, f"{value}: {run.returncode} {errors}")
    return tally


def torture(folder: Path):
    yield diverge(make_cases(folder), folder / "runs")
    yield check_pixels(folder / "pixels")
