"""Point 1: a run that is killed and resumed is bit-identical to an uninterrupted run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawing_plugin import PLUGIN
from tally import Tally
from trials import SPEC, Interrupter, Recorder, find_differences, kill_and_resume, random_numbers, spec_of

from normlab import experiment
from normlab.catalog import catalog
from normlab.catalog.signature import describe
from normlab.errors import Interrupted
from normlab.optimizers import OPTIMIZERS
from normlab.spec import parse_spec
from normlab.training.augmentation import AUGMENTATIONS
from normlab.training.schedules import SCHEDULES

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = (
    "dataset={name: synthetic, shape: [3, 8, 8], classes: 4, train: 48, test: 16}",
    "model={name: resnet, depth: 8}",
    "training={steps: 6, batch_size: 8}",
    "evaluation.every=4",
)
#: Methods that need another method beside them, and that method.
BESIDE = {"weight_standardization": "{name: group, groups: 2}, "}


def optimizers() -> dict[str, list[str]]:
    """Return the settings of a case for each optimizer, and one for SGD with momentum."""
    rates = {"ftrl": 0.1, "adadelta": 1.0, "sgd": 0.05, "nag": 0.05, "lars": 0.05}
    cases = {
        name: [f"optimizer={{name: {name}, learning_rate: {rates.get(name, 0.01)}, weight_decay: 0.001}}"]
        for name in OPTIMIZERS
    }
    return {**cases, "sgd with momentum": ["optimizer={name: sgd, learning_rate: 0.05, momentum: 0.9}"]}


def schedules() -> dict[str, list[str]]:
    """Return the settings of a case for each schedule."""
    more = {
        "step": ", milestones: [4, 9]",
        "exponential": ", every: 2",
    }
    return {
        name: [f"schedule={{name: {name}, warmup_steps: 3{more.get(name, '')}}}", "optimizer={name: adam}"]
        for name in SCHEDULES
    }


def others(folder: Path) -> dict[str, list[str]]:
    """Return the settings of cases with random draws, several devices or other budgets."""
    folder.mkdir(parents=True, exist_ok=True)
    drawing = folder / "drawing.py"
    drawing.write_text(PLUGIN)
    moving = [name for name in AUGMENTATIONS if name != "flip"]
    return {
        "dropout and noise": [f"plugins=[{drawing}]", "dataset.shape=[8]", "model=dropping", "norm=noise"],
        "augmentation": [*IMAGES, f"augmentation=[{', '.join(moving)}, {{name: flip, force: true}}]"],
        "imperative": ["hybridize=false", "optimizer={name: adam}"],
        "two devices": ["device=[cpu:0, cpu:1]", "optimizer={name: adam}"],
        "epochs": ["training={epochs: 2.1, batch_size: 16}"],
        "example by example": ["training.batch_size=1", "norm=none"],
    }


def norms() -> dict[str, list[str]]:
    """Return the settings of a case for each shipped method, in a residual network, which has sites for all of them."""
    cases = {}
    for name, norm in catalog(third_party=False).norms.entries.items():
        if norm.source.distribution == "normlab":
            # the number of groups must divide the channels; the default is 32
            grouped = ", groups: 2" if "groups" in {each.name for each in describe(norm.factories)} else ""
            setting = f"[{BESIDE.get(name, '')}{{name: {name}{grouped}}}]"
            cases[name] = [*IMAGES, f"norm={setting}", "optimizer={name: adam}"]
    return cases


def resume(cases: dict[str, list[str]], folder: Path, what: str, *, kills: int = 2) -> Tally:
    """Run each case uninterrupted, and again with kills at random steps and checkpoints at others."""
    tally = Tally(f"runs killed and resumed, bit-identical: {what}")
    for name, overrides in cases.items():
        numbers = random_numbers(name)
        spec = parse_spec(SPEC, "small.yaml", overrides)
        whole = experiment.run(spec, out=folder / name / "whole")
        last = whole.result.steps
        every = numbers.choice((1, 2, 3))
        often = spec_of(*overrides, f"training.checkpoint_every={every}")
        steps = sorted(numbers.sample(range(every + 1, last + 1), kills))
        resumed, starts = kill_and_resume(often, folder / name / "resumed", steps)
        found = find_differences(whole, resumed)
        tally.add(not found and starts[-1] > 0, f"{name}, killed at {steps}, started at {starts}: {found}")
    return tally


def interrupt(folder: Path) -> Tally:
    """Interrupt a run after each of its steps, and resume it there."""
    tally = Tally("runs interrupted after each step and resumed there: bit-identical")
    overrides = ["optimizer={name: adam}"]
    whole = experiment.run(spec_of(*overrides), out=folder / "whole")
    for step in range(1, whole.result.steps + 1):
        out = folder / f"at-{step}"
        try:
            experiment.run(spec_of(*overrides), out=out, observer=Interrupter(step))
            tally.add(kept=False, message=f"not interrupted at {step}")
            continue
        except Interrupted:
            recorder = Recorder()
            resumed = experiment.run(spec_of(*overrides), out=out, observer=recorder)
        found = find_differences(whole, resumed)
        tally.add(not found and recorder.first_step == step, f"at {step}, resumed at {recorder.first_step}: {found}")
    return tally


def torture(folder: Path):
    yield resume(optimizers(), folder / "optimizers", "every optimizer")
    yield resume(schedules(), folder / "schedules", "every schedule")
    yield resume(others(folder), folder / "others", "dropout, augmentation, imperative, two devices, epochs")
    yield resume(norms(), folder / "norms", "every method")
    yield interrupt(folder / "interrupted")
