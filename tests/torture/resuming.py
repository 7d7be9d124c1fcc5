"""Point 1: a run that dies and is started again ends with the bits of one that never did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drawing_plugin import PLUGIN
from tally import Tally
from trials import SPEC, Asking, Watcher, dice, differences, killed_and_resumed, spec_of

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
#: Methods that are made to act beside another.
BESIDE = {"weight_standardization": "{name: group, groups: 2}, "}


def optimizers() -> dict[str, list[str]]:
    """Each optimizer, with momentum where it has one."""
    rates = {"ftrl": 0.1, "adadelta": 1.0, "sgd": 0.05, "nag": 0.05, "lars": 0.05}
    cases = {
        name: [f"optimizer={{name: {name}, learning_rate: {rates.get(name, 0.01)}, weight_decay: 0.001}}"]
        for name in OPTIMIZERS
    }
    return {**cases, "sgd with momentum": ["optimizer={name: sgd, learning_rate: 0.05, momentum: 0.9}"]}


def schedules() -> dict[str, list[str]]:
    more = {
        "step": ", milestones: [4, 9]",
        "exponential": ", every: 2",
    }
    return {
        name: [f"schedule={{name: {name}, warmup_steps: 3{more.get(name, '')}}}", "optimizer={name: adam}"]
        for name in SCHEDULES
    }


def others(folder: Path) -> dict[str, list[str]]:
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
    """Each method that comes with normlab, in a residual network, where all of them have a place."""
    cases = {}
    for name, norm in catalog(third_party=False).norms.entries.items():
        if norm.source.distribution == "normlab":
            # groups must divide the channels; by default there are 32 of them
            grouped = ", groups: 2" if "groups" in {each.name for each in describe(norm.factories)} else ""
            written = f"[{BESIDE.get(name, '')}{{name: {name}{grouped}}}]"
            cases[name] = [*IMAGES, f"norm={written}", "optimizer={name: adam}"]
    return cases


def resume(cases: dict[str, list[str]], folder: Path, what: str, *, deaths: int = 2) -> Tally:
    """Each case once without a stop, once with deaths at random steps and checkpoints at other ones."""
    tally = Tally(f"runs killed and resumed, equal to the bit: {what}")
    for name, overrides in cases.items():
        numbers = dice(name)
        spec = parse_spec(SPEC, "small.yaml", overrides)
        whole = experiment.run(spec, out=folder / name / "whole")
        last = whole.result.steps
        every = numbers.choice((1, 2, 3))
        often = spec_of(*overrides, f"training.checkpoint_every={every}")
        steps = sorted(numbers.sample(range(every + 1, last + 1), deaths))
        resumed, starts = killed_and_resumed(often, folder / name / "resumed", steps)
        found = differences(whole, resumed)
        tally.add(not found and starts[-1] > 0, f"{name}, killed at {steps}, started at {starts}: {found}")
    return tally


def interrupt(folder: Path) -> Tally:
    """Ctrl-C after each step of a run, and during each evaluation: no step is done twice."""
    tally = Tally("runs interrupted after any step and resumed there, equal to the bit")
    overrides = ["optimizer={name: adam}"]
    whole = experiment.run(spec_of(*overrides), out=folder / "whole")
    for step in range(1, whole.result.steps + 1):
        out = folder / f"at-{step}"
        try:
            experiment.run(spec_of(*overrides), out=out, observer=Asking(step))
            tally.add(kept=False, told=f"not interrupted at {step}")
            continue
        except Interrupted:
            watcher = Watcher()
            resumed = experiment.run(spec_of(*overrides), out=out, observer=watcher)
        found = differences(whole, resumed)
        tally.add(not found and watcher.first_step == step, f"at {step}, resumed at {watcher.first_step}: {found}")
    return tally


def torture(folder: Path):
    yield resume(optimizers(), folder / "optimizers", "every optimizer")
    yield resume(schedules(), folder / "schedules", "every schedule")
    yield resume(others(folder), folder / "others", "dropout, augmentation, imperative, two devices, epochs")
    yield resume(norms(), folder / "norms", "every method")
    yield interrupt(folder / "interrupted")
