"""Running a study: trials first, then for each arm its final runs with what its trials have chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from normlab.runs.history import History
from normlab.study.design import tuning
from normlab.study.design.arms import Arm, Trial
from normlab.study.design.design import ArmDesign, Design
from normlab.study.execution.pool import Pool, Task

Phase = Literal["trial", "final"]


@dataclass(frozen=True, eq=False)
class Job:
    """A run that the study needs; two are the same only if they are one.

    Attributes:
        arm: Index of its arm.
        phase: `trial` or `final`.
        point: Index of its point in the grid, for a trial.
        seed: Its seed.
        settings: Values of the nuisance keys.
        repeat: The tuning that it belongs to.
    """

    arm: int
    phase: Phase
    point: int
    seed: int
    settings: Mapping[str, Any]
    repeat: int = 0


class Watcher:
    """Watches a study; a subclass overrides what it wants to see."""

    def planned(self, arms: Iterable[str], runs: int) -> None:
        """The study begins; it has so many runs an arm."""

    def running(self, label: str, job: Job, step: int, steps: int) -> None:
        """A run has come to this step."""

    def ended(self, label: str, job: Job, history: History, *, trained: bool) -> None:
        """A run ended; or was found, if it was not trained now."""

    def failed(self, label: str, job: Job, message: str) -> None:
        """A run failed."""

    def retried(self, label: str, job: Job, message: str) -> None:
        """The worker of a run was lost; another begins it anew."""

    def waiting(self, label: str, job: Job, message: str) -> None:
        """Another process trains the run; its end is waited for."""

    def chosen(self, label: str, trial: Trial) -> None:
        """An arm's trials are done and these values chosen."""

    def warned(self, message: str) -> None:
        """Something is not as the person may think."""


@dataclass
class _ArmState:
    """What has come of an arm so far."""

    design: ArmDesign
    trials: dict[tuple[int, int, int], History] = field(default_factory=dict)
    finals: dict[int, History] = field(default_factory=dict)
    trial_failures: dict[tuple[int, int, int], str] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    chosen: dict[int, Trial | None] = field(default_factory=dict)


class Outcome(NamedTuple):
    """What a study came to.

    Attributes:
        arms: The arms with their runs.
        warnings: What the person should know of their tuning and their runs.
        failures: How many runs failed.
    """

    arms: tuple[Arm, ...]
    warnings: tuple[str, ...]
    failures: int


class Execution:
    """One study being run.

    Args:
        design: The study.
        out: Where run directories go.
        watcher: Is told what happens.
        fail_fast: Begin no further run once one has failed.
    """

    def __init__(self, design: Design, out: str | Path, watcher: Watcher, *, fail_fast: bool = False) -> None:
        self._design, self._out, self._watcher, self._fail_fast = design, str(out), watcher, fail_fast
        self._states = [_ArmState(arm) for arm in design.arms]
        self._points = design.points
        self._steps: dict[Job, int] = {}
        self._held: set[Job] = set()
        self._stopped = False
        self._warnings: dict[str, None] = {}

    def run(self, jobs: int, threads: int) -> Outcome:
        """Run all that is not stored yet.

        Args:
            jobs: Worker processes.
            threads: OpenMP threads of each.

        Raises:
            KeyboardInterrupt: It was stopped; the workers are gone, and what is done is stored.
        """
        question = self._design.question
        each = len(question.seeds) + len(self._points) * len(question.tuning_seeds)
        self._watcher.planned([arm.label for arm in self._design.arms], each)
        with Pool(jobs, threads, self._hear) as pool:
            self._pool = pool
            pool.add(self._trials() if self._points else self._finals_of_all())
            pool.work()
        return self._outcome()

    def _trials(self) -> list[Task]:
        """Trials of all arms, point by point, so that arms advance together."""
        return [
            self._task(Job(arm, "trial", number, seed, point, repeat))
            for repeat in range(self._design.question.repeats)
            for number, point in enumerate(self._points)
            for seed in self._design.question.trial_seeds(repeat)
            for arm in range(len(self._states))
        ]

    def _finals_of_all(self) -> list[Task]:
        seeds = self._design.question.seeds
        return [self._task(Job(arm, "final", 0, seed, {})) for seed in seeds for arm in range(len(self._states))]

    def _task(self, job: Job) -> Task:
        design = self._states[job.arm].design
        spec_of = self._design.trial_spec if job.phase == "trial" else self._design.final_spec
        return Task(spec_of(design, job.settings, job.seed), self._out, about=job)

    def _hear(self, task: Task, event: dict[str, Any]) -> None:
        job: Job = task.about
        label = self._states[job.arm].design.label
        kind = event["event"]
        if kind == "started":
            self._steps[job] = event["steps"]
            self._watcher.running(label, job, event["step"], event["steps"])
        elif kind == "stepped":
            self._watcher.running(label, job, event["step"], self._steps.get(job, 0))
        elif kind == "lost":
            self._warnings[f"{_named(label, job)}: {event['message']}"] = None
            self._watcher.retried(label, job, event["message"])
        elif kind == "busy":
            if job not in self._held:
                self._held.add(job)
                self._watcher.waiting(label, job, event["message"])
        elif kind == "warned":
            self._warn(f"{label}: {event['message']}")
        elif kind == "done":
            self._done(label, job, event)
        else:
            self._fail(label, job, event["message"])

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings[message] = None
            self._watcher.warned(message)

    def _done(self, label: str, job: Job, event: Mapping[str, Any]) -> None:
        history = History.load(event["directory"])
        state = self._states[job.arm]
        if job.phase == "trial":
            state.trials[job.repeat, job.point, job.seed] = history
        else:
            state.finals[job.seed] = history
        self._watcher.ended(label, job, history, trained=event["trained"])
        self._choose(job)

    def _fail(self, label: str, job: Job, message: str) -> None:
        state = self._states[job.arm]
        if job.phase == "trial":
            state.trial_failures[job.repeat, job.point, job.seed] = message
        else:
            state.failures[job.seed] = message
        self._watcher.failed(label, job, message)
        if self._fail_fast:
            self._stopped = True
            self._pool.forget()
        self._choose(job)

    def _choose(self, job: Job) -> None:
        """Once all trials of one tuning of an arm have ended, queue the final runs with what they chose."""
        state, question, repeat = self._states[job.arm], self._design.question, job.repeat
        ended = sum(key[0] == repeat for key in [*state.trials, *state.trial_failures])
        if self._stopped or job.phase != "trial" or ended < len(self._points) * len(question.trial_seeds(repeat)):
            return
        trials = self._trials_of(state, repeat)
        for line in tuning.told(state.design.label, trials, question.nuisance):
            self._warn(line)
        chosen = state.chosen[repeat] = tuning.best(trials)
        if chosen is not None:
            self._watcher.chosen(state.design.label, chosen)
            seeds = [seed for seed in question.seeds if question.repeat_of(seed) == repeat]
            self._pool.add(self._task(Job(job.arm, "final", 0, seed, chosen.settings, repeat)) for seed in seeds)

    def _trials_of(self, state: _ArmState, repeat: int) -> list[Trial]:
        seeds = self._design.question.trial_seeds(repeat)
        return [
            tuning.trial(
                point,
                [state.trials[repeat, number, seed] for seed in seeds if (repeat, number, seed) in state.trials],
                len(seeds),
                repeat,
            )
            for number, point in enumerate(self._points)
        ]

    def _outcome(self) -> Outcome:
        arms = tuple(self._arm(state) for state in self._states)
        failures = sum(len(state.failures) + len(state.trial_failures) for state in self._states)
        return Outcome(arms, tuple(self._warnings), failures)

    def _arm(self, state: _ArmState) -> Arm:
        seeds = self._design.question.seeds
        trials = [trial for repeat in range(self._design.question.repeats) for trial in self._trials_of(state, repeat)]
        return Arm(
            label=state.design.label,
            settings=state.design.plain(),
            chosen=tuning.choices(trials),
            runs=tuple(state.finals[seed] for seed in seeds if seed in state.finals),
            trials=tuple(trials),
            failures=dict(sorted(state.failures.items())),
        )


def _named(label: str, job: Job) -> str:
    """A run in words: `batch, seed 3`, or `batch, optimizer.learning_rate 0.1, seed 1000000`."""
    settings = [f"{key} {value}" for key, value in job.settings.items()] if job.phase == "trial" else []
    return ", ".join([label, *settings, f"seed {job.seed}"])
