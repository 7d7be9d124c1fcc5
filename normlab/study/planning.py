"""The plan of a study: which runs there are, which are done, how long the rest takes, what they can show."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.errors import SpecError
from normlab.history import History
from normlab.spec import Place
from normlab.spec.node import Node
from normlab.study import tuning
from normlab.study.pool import Pool, Task
from normlab.study.settings import laid_over
from normlab.study.statistics import detectable_difference, reachable_p, seeds_needed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from normlab.spec import Spec
    from normlab.study.design import ArmDesign, Design

#: Steps and interval of the run that is timed where no run is stored.
_STEPS, _EVERY = 40, 20
POWER = 0.8
"""The chance with which the difference told would be found."""


class Cost(NamedTuple):
    """Seconds that a run takes: to start, a step, an evaluation."""

    start: float
    step: float
    evaluation: float

    def seconds(self, steps: int, every: int) -> float:
        """Of a run of so many steps, evaluated so often."""
        return self.start + steps * self.step + math.ceil(steps / every) * self.evaluation


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
    """

    label: str
    trials: int
    finals: int
    trials_done: int
    finals_done: int
    seconds: float = 0.0


@dataclass
class Plan:
    """What a study is about to do.

    Attributes:
        name: The study.
        arms: Its arms.
        jobs: Worker processes.
        threads: Threads of each.
        measured: Whether a run had to be timed because none was stored.
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
    measured: bool = False

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
    result = Plan(
        name=question.name,
        jobs=jobs,
        threads=threads,
        seeds=len(question.seeds),
        level=question.level,
        others=others,
        detectable=detectable_difference(len(question.seeds), question.level / others, POWER),
        reachable=reachable_p(len(question.seeds)),
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
        seeds = self._design.question.tuning_seeds
        return [self._design.trial_spec(arm, point, seed) for point in self._design.points for seed in seeds]

    def _finals(self, arm: ArmDesign, trials: Sequence[History | None]) -> list[Spec]:
        """The specs of the final runs; none while the trials don't tell yet."""
        question, chosen = self._design.question, {}
        if self._design.points:
            width = len(question.tuning_seeds)
            runs = [trials[start : start + width] for start in range(0, len(trials), width)]
            if None in trials:
                return []
            tried = [
                tuning.trial(point, [run for run in of_point if run is not None], width)
                for point, of_point in zip(self._design.points, runs)
            ]
            best = tuning.best(tried)
            if best is None:
                return []
            chosen = dict(best.settings)
        return [self._design.final_spec(arm, chosen, seed) for seed in question.seeds]

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
        """Seconds of what is left: as long as stored runs of the arm took, or those of all arms, or a run timed now."""
        for index, row in enumerate(self._plan.arms):
            if row.trials_done < row.trials:
                row.seconds += (row.trials - row.trials_done) * self._seconds("trial", trials, index)
            if row.finals_done < row.finals:
                row.seconds += (row.finals - row.finals_done) * self._seconds("final", finals, index)

    def _seconds(self, phase: str, runs: Sequence[Sequence[History]], index: int) -> float:
        known = runs[index] or [run for of_arm in runs for run in of_arm]
        took = [run.result.seconds for run in known if run.result is not None and run.result.status == "completed"]
        if took:
            return fmean(took)
        cost, steps = self._timed
        every = self._design.base.evaluation.every if phase == "final" else steps
        return cost.seconds(self._design.tuning_steps or steps if phase == "trial" else steps, every)

    @cached_property
    def _timed(self) -> tuple[Cost, int]:
        """What the first arm's run costs by a short one, timed now and thrown away; and the steps of a whole one."""
        self._plan.measured = True
        budget = self._design.base.training
        short = {"steps": min(_STEPS, budget.steps or _STEPS), "batch_size": budget.batch_size}
        settings = {"training": short, "evaluation.every": _EVERY}
        place = Place("the run that is timed")
        first = self._design.final_spec(self._design.arms[0], (self._design.points or [{}])[0], 0)
        spec = laid_over(first, {key: Node.of(value, place) for key, value in settings.items()})
        with tempfile.TemporaryDirectory() as folder:
            event = self._ask(Task(spec, folder))
            if event["event"] != "done":
                raise SpecError(event["message"])
            run = History.load(event["directory"])
        return _cost(run), budget.steps or round((budget.epochs or 0) * run[-1].step / run[-1].epoch)


def _cost(run: History) -> Cost:
    assert run.result is not None  # noqa: S101 - it has ended
    training, evaluation = run.result.training_seconds, run.result.evaluation_seconds
    return Cost(run.result.seconds - training - evaluation, training / run.result.steps, evaluation / len(run))


def _ended(found: Sequence[Sequence[History | None]]) -> list[list[History]]:
    return [[run for run in of_arm if run is not None] for of_arm in found]
