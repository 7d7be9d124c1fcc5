"""What the points share: a small spec, observers that kill or interrupt a run, and the comparison of two runs."""

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
    """Simulates the death of a process: nothing catches it, so nothing is cleaned up."""


class Recorder(Observer):
    """Records the first step and the warnings of a run, and kills it at a step if there is one."""

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


class Interrupter(Recorder):
    """Requests a stop at a step, as Ctrl-C does."""

    def stepped(self, step):
        if step == self.at:
            stopping.active().request(signal.SIGINT)


def kill_and_resume(spec, out, steps):
    """Train a run, kill it at each of these steps and resume it; return its history and all first steps."""
    starts = []
    for step in [*steps, None]:
        recorder = Recorder(step)
        try:
            history = experiment.run(spec, out=out, observer=recorder)
        except Killed:
            continue
        finally:
            starts.append(recorder.first_step)
    return history, starts


def find_differences(one: History, other: History) -> list[str]:
    """Return the names of what differs between two runs in any bit, except for times."""
    found = [] if one.same_as(other) else ["history"]
    first, second = (Generations(history.directory / "checkpoint").newest() for history in (one, other))
    for kind in ("parameters", "optimizer"):
        mine, theirs = getattr(first, kind), getattr(second, kind)
        if list(mine) != list(theirs):
            found.append(f"names of {kind}")
            continue
        # compare bytes, since NaN is not equal to itself
        found += [f"{kind} {name}" for name in mine if not is_identical(mine[name], theirs[name])]
    found += [name for name in ("updates", "step") if getattr(first, name) != getattr(second, name)]
    results = one.result, other.result
    facts = ("status", "steps", "final", "best", "parameters_digest", "digests", "diverged_step", "diverged_layer")
    return found + [name for name in facts if getattr(results[0], name) != getattr(results[1], name)]


def is_identical(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def environment(**changes: str) -> dict[str, str]:
    """Return an environment in which a process imports this normlab and these modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NORMLAB", "_NORMLAB"))}
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "torture"), os.environ.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **changes}


def normlab(*arguments, cwd, **keywords) -> subprocess.Popen:
    """Start `python -m normlab` in a new process."""
    command = [sys.executable, "-m", "normlab", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **keywords}
    return subprocess.Popen(command, cwd=cwd, env=environment(), **pipes)


def random_numbers(name: str) -> random.Random:
    """Return a generator with a fixed seed, so that every execution draws the same numbers."""
    return random.Random(name)  # noqa: S311 - not for cryptography


def find_gaps(history: History, every: int, steps: int) -> list[int]:
    """Return the steps that are missing from a history or that it should not have."""
    expected = sorted({*range(every, steps + 1, every), steps})
    return sorted({*expected} ^ {*history.steps}) if history.steps == sorted({*history.steps}) else history.steps
