"""What the parts of the torture share: a tally, a small run, and whether two runs are the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from normlab import experiment
from normlab.experiment import stopping
from normlab.experiment.observer import Observer
from normlab.runs.checkpoint import Generations
from normlab.spec import parse_spec

if TYPE_CHECKING:
    import numpy as np

    from normlab.runs.history import History

ROOT = Path(__file__).parents[2]

SPEC = """
name: small
dataset: {name: synthetic, shape: [1, 6, 6], classes: 4, train: 96, test: 32}
model: {name: mlp, hidden: [8]}
norm: batch
optimizer: {name: sgd, learning_rate: 0.05}
training: {steps: 12, batch_size: 16}
evaluation: {every: 5}
device: cpu
"""


def spec_of(*overrides: str):
    return parse_spec(SPEC, "small.yaml", overrides)


class Killed(BaseException):
    """Stands for the death of a process: nobody catches it, nobody tidies up."""


class Watcher(Observer):
    """Kills the run at a step, and keeps what it was told."""

    def __init__(self, at=None):
        self.at = at
        self.first_step = None
        self.warnings = []

    def started(self, plan):
        self.first_step = plan.first_step

    def stepped(self, step):
        if step == self.at:
            raise Killed

    def warned(self, message):
        self.warnings.append(message)


class Asking(Watcher):
    """Asks for a stop at a step, as Ctrl-C does."""

    def stepped(self, step):
        if step == self.at:
            stopping.active().request(signal.SIGINT)


def killed_and_resumed(spec, out, steps):
    """Trains a run that dies at each of these steps, resumes it each time, and gives its history and its starts."""
    starts = []
    for step in [*steps, None]:
        watcher = Watcher(step)
        try:
            history = experiment.run(spec, out=out, observer=watcher)
        except Killed:
            continue
        finally:
            starts.append(watcher.first_step)
    return history, starts


def differences(one: History, other: History) -> list[str]:
    """What two runs differ in, to the bit, but for the times that they took."""
    found = [] if one.same_as(other) else ["history"]
    first, second = (Generations(history.directory / "checkpoint").newest() for history in (one, other))
    for what in ("parameters", "optimizer"):
        mine, theirs = getattr(first, what), getattr(second, what)
        if list(mine) != list(theirs):
            found.append(f"names of {what}")
            continue
        # bytes, since NaN is no number of its own
        found += [f"{what} {name}" for name in mine if not identical(mine[name], theirs[name])]
    found += [name for name in ("updates", "step") if getattr(first, name) != getattr(second, name)]
    results = one.result, other.result
    facts = ("status", "steps", "final", "best", "parameters_digest", "digests", "diverged_step", "diverged_layer")
    return found + [name for name in facts if getattr(results[0], name) != getattr(results[1], name)]


def identical(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that finds this normlab and these files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NORMLAB", "_NORMLAB"))}
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "torture"), os.environ.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **changes}


def normlab(*arguments, cwd, **keywords) -> subprocess.Popen:
    """Starts `python -m normlab` as a process of its own."""
    command = [sys.executable, "-m", "normlab", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **keywords}
    return subprocess.Popen(command, cwd=cwd, env=environment(), **pipes)


def dice(name: str) -> random.Random:
    """Numbers that are the same in every torture."""
    return random.Random(name)  # noqa: S311 - no secret


def gaps(history: History, every: int, steps: int) -> list[int]:
    """Steps that a history lacks, or has too much."""
    wanted = sorted({*range(every, steps + 1, every), steps})
    return sorted({*wanted} ^ {*history.steps}) if history.steps == sorted({*history.steps}) else history.steps
