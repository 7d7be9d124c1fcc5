"""Run a study: from its design to a stored comparison."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from normlab.errors import ExitStatus, NormlabError, SpecError
from normlab.experiment.parts import resolve
from normlab.spec.words import listed
from normlab.study import storage as stored
from normlab.study.analysis.gate import gate
from normlab.study.analysis.pairing import pairing
from normlab.study.design.arms import Arm
from normlab.study.design.design import Design
from normlab.study.execution.jobs import Execution, Outcome, Watcher
from normlab.study.execution.locate import known
from normlab.study.execution.pool import thread_budget

if TYPE_CHECKING:
    from normlab.study.analysis.comparison import Comparison


class StudyRun(NamedTuple):
    """A study that was run.

    Attributes:
        comparison: Its arms side by side.
        study: What is stored of it.
        failures: Number of runs that failed.
    """

    comparison: Comparison
    study: stored.Study
    failures: int

    @property
    def command(self) -> str:
        """The command that runs the same study again."""
        return shlex.join(["normlab", "compare", str(self.study.folder / stored.FILE)])


def run_study(
    design: Design,
    out: str | Path = "runs",
    jobs: int | None = None,
    watcher: Watcher | None = None,
    *,
    fail_fast: bool = False,
) -> StudyRun:
    """Run what is missing of a study, compare its arms and store it.

    Args:
        design: The study.
        out: Where run directories go; the study's own folder is below.
        jobs: Worker processes; by default one a processor.
        watcher: Is told what happens.
        fail_fast: Begin no further run once one has failed.

    Raises:
        SpecError: A part is unknown or a parameter unfit.
        PluginError: A plugin that the base spec needs can't be used.
        NormlabError: No run of the baseline ended; its exit status is that of a study of which some runs failed.
        NotComparable: Stored runs differ in more than what is studied.
        StorageError: Something can't be read or written.
        KeyboardInterrupt: It was stopped; what is done is stored.
    """
    check(design)
    outcome = Execution(design, out, watcher or Watcher(), fail_fast=fail_fast).run(*thread_budget(jobs))
    question = design.question
    runs = [run for arm in outcome.arms for run in arm.runs]
    by_leave = gate(runs, (*question.scientific, *question.nuisance), question.allowed) if runs else []
    warnings = (*_design_warnings(design), *outcome.warnings, *_missing(outcome.arms), *by_leave)
    folder = stored.folder_of(design, out)
    study = stored.Study(question, outcome.arms, pairing(outcome.arms), warnings, folder)
    stored.save(study, design)
    if outcome.failures and not any(arm.runs for arm in outcome.arms if arm.label == question.baseline):
        raise _without_baseline(outcome)
    return StudyRun(compared(study), study, outcome.failures)


def _without_baseline(outcome: Outcome) -> NormlabError:
    runs = "1 run" if outcome.failures == 1 else f"{outcome.failures} runs"
    error = NormlabError(f"{runs} failed, and no run of the baseline ended, so there is nothing to compare with")
    error.status = ExitStatus.SOME_FAILED
    return error


def compared(study: stored.Study) -> Comparison:
    """The arms of a study side by side.

    Raises:
        SpecError: No run ended, or none of the baseline.
    """
    from normlab.study.analysis.comparison import compare  # noqa: PLC0415 - scipy, which running a study does not need

    arms = [arm for arm in study.arms if arm.runs]
    if study.question.baseline not in {arm.label for arm in arms}:
        raise SpecError(f"{study.question.name}: no run of {study.question.baseline} ended, so there is no baseline")
    return compare(study.question, arms, pairing=study.pairing, warnings=study.warnings)


def check(design: Design) -> None:
    """Look up all parts of all arms, before anything is trained.

    Raises:
        SpecError: A part is unknown or a parameter unfit; one line each, with its place.
        PluginError: A plugin that the base spec needs can't be used.
    """
    found = known(design.base.plugins)
    lines: dict[str, None] = {}
    for point in design.points or [{}]:
        labels: dict[str, str] = {}
        for arm in design.arms:
            try:
                spec = resolve(design.final_spec(arm, point, 0), found)
            except SpecError as error:
                lines.update(dict.fromkeys(str(error).splitlines()))
                continue
            other = labels.setdefault(json.dumps(spec.dump(), sort_keys=True), arm.label)
            if other != arm.label:
                lines[_same(design, other, arm.label)] = None
    if lines:
        raise SpecError("\n".join(lines))


def _same(design: Design, one: str, other: str) -> str:
    tuned = f" once {', '.join(design.question.nuisance)} is tuned" if design.points else ""
    return (
        f"{design.question.name}: arms {one!r} and {other!r} train the same{tuned}; "
        "expected arms that differ; leave one of them out, or what is tuned"
    )


def _design_warnings(design: Design) -> list[str]:
    """What a design can't tell, however it ends."""
    keys = {key for arm in design.arms for key in arm.settings}
    everywhere = [key for key in sorted(keys) if all(key in arm.settings for arm in design.arms)]
    if len(keys) > 1 and not design.question.nuisance and len(design.arms) <= len(everywhere):
        return [f"arms differ in {listed(sorted(keys), 'and')} at once: no difference can be laid to one of them"]
    return []


def _missing(arms: tuple[Arm, ...]) -> list[str]:
    lines = []
    for arm in arms:
        if arm.failures:
            seeds = ", ".join(map(str, arm.failures))
            lines.append(f"{arm.label}: no run of seed {seeds}: {_first_line(next(iter(arm.failures.values())))}")
        elif not arm.runs:
            lines.append(f"{arm.label}: no final run, so it is left out")
    return lines


def _first_line(message: str) -> str:
    return message.splitlines()[0] if message else ""
