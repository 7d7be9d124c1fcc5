"""The plan of a study: its runs, which of them are stored, how long the rest takes, and what they can show."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from normlab.errors import SpecError
from normlab.runs.history import History
from normlab.spec import Place
from normlab.spec.node import Node
from normlab.study.analysis.statistics import detectable_difference, reachable_p, seeds_needed
from normlab.study.design import tuning
from normlab.study.design.design import ArmDesign, Design, laid_over
from normlab.study.execution.pool import Pool, Task

if TYPE_CHECKING:
    from normlab.spec import Spec


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


POWER = 0.8
"""The chance with which the difference told would be found."""


@dataclass
class ArmPlan:
    """What an arm needs.

    Attributes:
        label: The arm.
        trials: Its trials in all.
        trials_done: Those that are stored.
        finals: Its final runs in all.
        finals_done: Those that are stored, as far as its trials tell which they are.
        seconds: What is left takes so long, one after the other.
        bases: What that rests on, of `normlab.study.execution.planning.BASES`; empty if nothing is left.
    """

    label: str
    trials: int
    finals: int
    trials_done: int
    finals_done: int
    seconds: float = 0.0
    bases: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """What a study is about to do.

    Attributes:
        name: The study.
        arms: Its arms.
        jobs: Worker processes.
        threads: Threads of each.
        seeds: Final runs an arm.
        level: Chance of a false alarm over all arms.
        detectable: The smallest difference found at 80 % power, in standard deviations of the paired differences.
        others: Arms beside the baseline, over which the level is shared.
        reachable: The smallest p value of the exact test by sign flips, for one arm.
        needed: Seeds with which that test reaches the level.
    """

    name: str
    jobs: int
    threads: int
    seeds: int
    level: float
    others: int
    detectable: float
    reachable: float
    needed: int
    arms: list[ArmPlan] = field(default_factory=list)

    @property
    def can_decide_by_signs(self) -> bool:
        """Whether the exact test by sign flips can reach the level at all, whatever the runs come to."""
        return self.reachable <= self.level / self.others

    @property
    def left(self) -> int:
        """Runs that are not stored."""
        return sum(arm.trials - arm.trials_done + arm.finals - arm.finals_done for arm in self.arms)

    @property
    def done(self) -> int:
        """Runs that are stored."""
        return sum(arm.trials_done + arm.finals_done for arm in self.arms)

    @property
    def seconds(self) -> float:
        """What is left takes so long, with all workers."""
        return sum(arm.seconds for arm in self.arms) / self.jobs

    @property
    def bases(self) -> list[str]:
        """What the time rests on, for any arm."""
        return [basis for basis in BASES if any(basis in arm.bases for arm in self.arms)]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; a number that is infinite is None."""
        own = {key: value for key, value in vars(self).items() if key != "arms"}
        own["detectable"] = own["detectable"] if math.isfinite(self.detectable) else None
        return {
            **own,
            "arms": [vars(arm) for arm in self.arms],
            "left": self.left,
            "done": self.done,
            "seconds_left": self.seconds,
        }


def plan(design: Design, out: str | Path, jobs: int, threads: int) -> Plan:
    """Find out what a study has to do.

    Args:
        design: The study.
        out: Where run directories go.
        jobs: Worker processes.
        threads: Threads of each.
    """
    question = design.question
    others = max(1, len(design.arms) - 1)
    pairs = question.repeats if question.repeats > 1 else len(question.seeds)
    result = Plan(
        name=question.name,
        jobs=jobs,
        threads=threads,
        seeds=len(question.seeds),
        level=question.level,
        others=others,
        detectable=detectable_difference(pairs, 1.0, level=question.level / others, power=POWER, known=True),
        reachable=reachable_p(pairs),
        needed=seeds_needed(question.level / others),
    )
    _Planner(design, str(out), result).fill()
    return result


class _Planner:
    def __init__(self, design: Design, out: str, result: Plan) -> None:
        self._design, self._out, self._plan = design, out, result
        self._heard: dict[str, Any] = {}

    def fill(self) -> None:
        """Find what is stored, and what the rest costs."""
        with Pool(1, self._plan.threads, self._hear) as self._pool:
            trials = [self._stored(self._trials(arm)) for arm in self._design.arms]
            finals = [self._stored(self._finals(arm, found)) for arm, found in zip(self._design.arms, trials)]
            question = self._design.question
            counts = len(self._design.points) * len(question.tuning_seeds), len(question.seeds)
            for arm, tried, ended in zip(self._design.arms, trials, finals):
                done = sum(run is not None for run in tried), sum(run is not None for run in ended)
                self._plan.arms.append(ArmPlan(arm.label, *counts, *done))
            if self._plan.left:
                self._estimate(_ended(trials), _ended(finals))

    def _trials(self, arm: ArmDesign) -> list[Spec]:
        question = self._design.question
        return [
            self._design.trial_spec(arm, point, seed)
            for repeat in range(question.repeats)
            for point in self._design.points
            for seed in question.trial_seeds(repeat)
        ]

    def _finals(self, arm: ArmDesign, trials: Sequence[History | None]) -> list[Spec]:
        """The specs of the final runs; none of a tuning whose trials don't tell yet."""
        question = self._design.question
        if not self._design.points:
            return [self._design.final_spec(arm, {}, seed) for seed in question.seeds]
        size = len(trials) // question.repeats
        chosen = [self._chosen(trials[start : start + size]) for start in range(0, len(trials), size)]
        found = [(seed, chosen[question.repeat_of(seed)]) for seed in question.seeds]
        return [self._design.final_spec(arm, settings, seed) for seed, settings in found if settings is not None]

    def _chosen(self, trials: Sequence[History | None]) -> dict[str, Any] | None:
        """What one tuning chooses, None while its trials don't tell yet."""
        width = len(trials) // len(self._design.points)
        tried = []
        for index, point in enumerate(self._design.points):
            runs = [run for run in trials[index * width : (index + 1) * width] if run is not None]
            if len(runs) < width:
                return None
            tried.append(tuning.trial(point, runs, width))
        best = tuning.best(tried)
        return None if best is None else dict(best.settings)

    def _stored(self, specs: Sequence[Spec]) -> list[History | None]:
        """The stored run of each spec."""
        found = [self._ask(Task(spec, self._out, kind="find")) for spec in specs]
        return [History.load(event["directory"]) if event.get("stored") else None for event in found]

    def _ask(self, task: Task) -> dict[str, Any]:
        self._pool.add([task])
        self._pool.work()
        return self._heard

    def _hear(self, _: Task, event: dict[str, Any]) -> None:
        self._heard = event

    def _estimate(self, trials: Sequence[Sequence[History]], finals: Sequence[Sequence[History]]) -> None:
        """Seconds of what is left, arm by arm."""
        timing = Timing(self._design, self._ask)
        for index, row in enumerate(self._plan.arms):
            lefts = row.trials - row.trials_done, row.finals - row.finals_done
            for phase, runs, left in zip(("trial", "final"), (trials, finals), lefts):
                if left:
                    seconds, basis = timing.seconds(phase, index, runs[index])
                    row.seconds += left * seconds
                    row.bases += [basis] if basis not in row.bases else []


def _ended(found: Sequence[Sequence[History | None]]) -> list[list[History]]:
    return [[run for run in of_arm if run is not None] for of_arm in found]
