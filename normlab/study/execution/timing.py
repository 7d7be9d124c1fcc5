"""How long a run of an arm is going to take: as long as its stored runs did, or by a short run timed now."""

from __future__ import annotations

import math
import tempfile
import time
from statistics import fmean
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from normlab.errors import SpecError
from normlab.runs.history import History
from normlab.spec import Place
from normlab.spec.node import Node
from normlab.study.design.settings import laid_over
from normlab.study.execution.pool import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.spec import Spec
    from normlab.study.design.design import Design

#: Steps and interval of the run that is timed where no run is stored.
_STEPS, _EVERY = 40, 20
#: Seconds after which no further arm is timed: a plan must not take as long as what it plans.
_PATIENCE = 30.0

BASES = {"stored": "stored runs", "timed": "short runs timed just now", "others": "the mean of the other arms"}
"""What an estimate may rest on, in words."""


class Cost(NamedTuple):
    """What a run takes.

    Attributes:
        start: Seconds until its first step.
        step: Seconds of a step.
        evaluation: Seconds of an evaluation.
        steps: Steps of a whole run.
    """

    start: float
    step: float
    evaluation: float
    steps: int

    def seconds(self, steps: int, every: int) -> float:
        """Of a run of so many steps, evaluated so often."""
        return self.start + steps * self.step + math.ceil(steps / every) * self.evaluation


class Timing:
    """Estimates for the arms of a study.

    Args:
        design: The study.
        ask: Has a worker do a task, and gives its last event.
    """

    def __init__(self, design: Design, ask: Callable[[Task], dict[str, Any]]) -> None:
        self._design, self._ask = design, ask
        self._costs: dict[int, Cost] = {}
        self._until = math.inf

    def seconds(self, phase: str, arm: int, runs: Sequence[History]) -> tuple[float, str]:
        """Seconds of one run, and what that rests on, one of `BASES`.

        Args:
            phase: `trial` or `final`.
            arm: Index of the arm.
            runs: Those of the phase that are stored.

        Raises:
            SpecError: A run that is timed fails.
        """
        took = [run.result.seconds for run in runs if run.result is not None and run.result.status == "completed"]
        if took:
            return fmean(took), "stored"
        cost, basis = self._cost(arm)
        steps, every = cost.steps, self._design.base.evaluation.every
        if phase == "trial":
            steps = every = self._design.tuning_steps or steps
        return cost.seconds(steps, every), basis

    def _cost(self, arm: int) -> tuple[Cost, str]:
        if arm not in self._costs and time.monotonic() > self._until:
            start, step, evaluation, steps = (fmean(values) for values in zip(*self._costs.values()))
            return Cost(start, step, evaluation, round(steps)), "others"
        if not self._costs:
            self._until = time.monotonic() + _PATIENCE
        if arm not in self._costs:
            self._costs[arm] = self._timed(arm)
        return self._costs[arm], "timed"

    def _timed(self, arm: int) -> Cost:
        """Train a little, and throw it away."""
        with tempfile.TemporaryDirectory() as folder:
            event = self._ask(Task(self._short(arm), folder))
            if event["event"] != "done":
                raise SpecError(event["message"])
            run = History.load(event["directory"])
        result, budget = run.result, self._design.base.training
        assert result is not None  # noqa: S101 - it has ended
        training, evaluation = result.training_seconds, result.evaluation_seconds
        steps = budget.steps or round((budget.epochs or 0) * run[-1].step / run[-1].epoch)
        return Cost(result.seconds - training - evaluation, training / result.steps, evaluation / len(run), steps)

    def _short(self, arm: int) -> Spec:
        budget = self._design.base.training
        short = {"steps": min(_STEPS, budget.steps or _STEPS), "batch_size": budget.batch_size}
        settings = {"training": short, "evaluation.every": _EVERY}
        place = Place("the run that is timed")
        whole = self._design.final_spec(self._design.arms[arm], (self._design.points or [{}])[0], 0)
        return laid_over(whole, {key: Node.of(value, place) for key, value in settings.items()})
