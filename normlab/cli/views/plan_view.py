"""The plan of a study for a person: its runs, how long they take, what they can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from normlab.cli.views import output
from normlab.spec.words import listed
from normlab.study.execution.planning import BASES

if TYPE_CHECKING:
    from normlab.study.design.design import Design
    from normlab.study.execution.planning import Plan

_MINUTE, _HOUR = 60, 3600


def lines(plan: Plan, design: Design) -> list[str]:
    """The plan in lines."""
    tuned = bool(design.points)
    header = ["arm", *(["trials", "stored"] if tuned else []), "runs", "stored", *(["left", "by"] if plan.left else [])]
    rows = [header]
    for arm in plan.arms:
        trials = [str(arm.trials), str(arm.trials_done)] if tuned else []
        left = [duration(arm.seconds) if arm.bases else "", ", ".join(arm.bases)] if plan.left else []
        rows.append([arm.label, *trials, str(arm.finals), str(arm.finals_done), *left])
    return [
        _title(design),
        "",
        *output.columns(rows, right=range(1, 6 if tuned else 4), header=True),
        "",
        f"{plan.left} runs to do, {plan.done} stored{_time(plan)}",
        *_power(plan),
    ]


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as precise as an estimate is."""
    if seconds < _MINUTE:
        return f"{math.ceil(seconds)} seconds"
    if seconds < _HOUR:
        return f"{math.ceil(seconds / _MINUTE)} minutes"
    return f"{seconds / _HOUR:.1f} hours"


def _title(design: Design) -> str:
    question, points = design.question, design.points
    times = f", {question.repeats} times" if question.repeats > 1 else ""
    tuned = f", {', '.join(question.nuisance)} tuned by {len(points)} trials an arm{times}" if points else ""
    arms, seeds = len(design.arms), len(question.seeds)
    return f"{question.name}: {arms} arms x {seeds} seeds{tuned}; baseline {question.baseline}, {question.split} split"


def _time(plan: Plan) -> str:
    if not plan.left:
        return ""
    workers = "1 worker" if plan.jobs == 1 else f"{plan.jobs} workers"
    threads = "1 thread" if plan.threads == 1 else f"{plan.threads} threads"
    source = listed([BASES[basis] for basis in plan.bases], "and")
    return f"; about {duration(plan.seconds)} with {workers} of {threads}, by {source}"


def _power(plan: Plan) -> list[str]:
    seeds = f"{plan.seeds} {'seed' if plan.seeds == 1 else 'seeds'}"
    if not math.isfinite(plan.detectable):
        return [f"{seeds} can't show any difference: there is no interval below 2"]
    smallest = f"{plan.detectable:.2f} standard deviations of the paired differences"
    told = [f"smallest difference that {seeds} show with 80 % power: {smallest}"]
    if not plan.can_decide_by_signs:
        over = f" over {plan.others} arms" if plan.others > 1 else ""
        told.append(
            f"{plan.seeds} paired seeds can never reach p < {plan.level:g}{over} by sign flips "
            f"(at best {min(1.0, plan.reachable * plan.others):.4g}); that takes {plan.needed}"
        )
    return told
