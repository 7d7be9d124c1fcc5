"""Sentences about what a study can and can't show."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.study.analysis.verdicts import Judgement
from normlab.study.design.arms import Question


def notes(question: Question, judged: Sequence[Judgement]) -> list[str]:
    """Return what a reader of the verdicts should know, a sentence each.

    Args:
        question: What the study asks.
        judged: The judgement of each arm but the baseline.
    """
    if not judged:
        return ["Only one arm: there is nothing to compare it with."]
    repeats = max(len(judgement.evidence.repeats) for judgement in judged)
    found = [_rule(question, len(judged)), _condition(question)]
    if repeats < 2:  # noqa: PLR2004 - one difference has no spread
        return [*found, "With fewer than two paired seeds nothing can be decided: there is no spread."]
    level = question.level / len(judged)
    smallest = [each for each in (one.detectable(level, question.margin) for one in judged) if each is not None]
    pairs = "tunings" if question.repeats > 1 else "pairs"
    if smallest:
        low, high = min(smallest), max(smallest)
        span = f"{low:.4f}" if high - low < 0.00005 else f"{low:.4f} to {high:.4f}, depending on the arm,"  # noqa: PLR2004 - digits
        found.append(
            f"A true difference of {span} would be called better or worse 8 times in 10 by {repeats} {pairs} that "
            "spread as these do."
        )
    return found


def _rule(question: Question, arms: int) -> str:
    adjusted = f", adjusted by Holm for {arms} arms," if arms > 1 else ""
    over = f", over {question.repeats} tunings," if question.repeats > 1 else ","
    return (
        f"Verdicts: accuracy on {question.split} at the last step{over} paired by seed with {question.baseline}; p "
        f"of the paired t test{adjusted} at most {question.level:g}; equivalent if two one-sided tests at the same "
        f"level find the difference within \N{PLUS-MINUS SIGN}{question.margin:g}. A run that diverged has the worst "
        "rank."
    )


def _condition(question: Question) -> str:
    if question.nuisance and question.repeats == 1:
        return (
            "The verdicts hold for the values that this one tuning chose and for this split of the data. Where equal "
            "arms are tuned once, 15 to 30 % of studies of two and 30 to 65 % of eight find a difference; "
            "tuning.repeats repeats the tuning."
        )
    return "The verdicts hold for this split of the data; other data could turn them."
