"""Sentences about what so many seeds can and can't show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from normlab.study.analysis.statistics import detectable_difference, reachable_p, seeds_needed
from normlab.study.analysis.verdicts import Judgement
from normlab.study.design.arms import Question


def notes(question: Question, judged: Sequence[Judgement]) -> list[str]:
    """What a reader of the verdicts should know.

    Args:
        question: What the study asks.
        judged: What was concluded of each arm but the baseline.
    """
    if not judged:
        return ["Only one arm: there is nothing to compare it with."]
    pairs = max(judgement.estimate.count for judgement in judged)
    told = [_rule(question, len(judged))]
    if pairs < 2:  # noqa: PLR2004 - one difference has no spread
        told.append("With fewer than two paired seeds nothing can be decided: there is no interval.")
        return told
    level = question.level / len(judged)
    if reachable_p(pairs) > level:
        told.append(
            f"The exact test by sign flips can't go below p = {reachable_p(pairs):.4g} with {pairs} seeds, so it can't "
            f"decide here; it would need {seeds_needed(level)} seeds for p = {question.level:g}{_over(len(judged))}. "
            "The t test decides; it supposes that differences are spread about normally."
        )
    spread = _spread(judged)
    if spread:
        smallest = detectable_difference(pairs, level) * spread
        told.append(
            f"With {pairs} seeds a true difference of {smallest:.4f} would be found 8 times in 10, if differences "
            f"spread as they do here (standard deviation {spread:.4f})."
        )
    return told


def _rule(question: Question, arms: int) -> str:
    return (
        f"Verdicts: accuracy on {question.split} at the last step, paired by seed with {question.baseline}; p of the "
        f"paired t test{', adjusted by Holm for ' + str(arms) + ' arms,' * (arms > 1) if arms > 1 else ''} at most "
        f"{question.level:g}; equivalent if the 95 % interval lies within ±{question.margin:g}."
    )


def _over(arms: int) -> str:
    return f" over {arms} arms" if arms > 1 else ""


def _spread(judged: Sequence[Judgement]) -> float:
    deviations = [one.estimate.deviation for one in judged if one.estimate.deviation]
    return math.sqrt(sum(d * d for d in deviations) / len(deviations)) if deviations else 0.0
