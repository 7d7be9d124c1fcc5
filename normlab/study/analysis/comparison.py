"""Arms side by side: the measures of each, its differences to the baseline, and what may be concluded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from normlab.errors import NotComparable, SpecError, suggestion
from normlab.study.analysis.measures import MEASURES, Measures, Row, measure, reached
from normlab.study.analysis.notes import notes
from normlab.study.analysis.verdicts import Evidence, Judgement, Pair, judge
from normlab.study.design.arms import Arm, Question

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """What a study found; in a notebook it shows itself as a table.

    Attributes:
        question: What was asked; `thresholds` are filled in.
        rows: One an arm, the highest accuracy first.
        pairing: Which draws the arms had in common, in words.
        warnings: What makes the result less sure.
        notes: What so many seeds can and can't show.
    """

    question: Question
    rows: tuple[Row, ...]
    pairing: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def baseline(self) -> Row:
        """The arm that the others are compared with."""
        return next(row for row in self.rows if row.is_baseline)

    @property
    def others(self) -> tuple[Row, ...]:
        """All arms but the baseline, the highest accuracy first."""
        return tuple(row for row in self.rows if not row.is_baseline)

    def verdicts(self) -> dict[str, str]:
        """By arm: better, worse, equivalent, undecided or baseline."""
        return {row.label: row.verdict for row in self.rows}

    def finding(self) -> str:
        """The verdicts in one sentence."""
        counts = Counter(row.verdict for row in self.others)
        told = [f"{counts[word]} {word}" for word in ("better", "equivalent", "worse", "undecided") if counts[word]]
        return f"Beside {self.question.baseline}: {', '.join(told) or 'no other arm'}."

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: numbers that are missing are None, never NaN."""
        asked = {**vars(self.question), "nuisance": dict(self.question.nuisance)}
        return {
            "question": asked,
            "finding": self.finding(),
            "pairing": self.pairing,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "arms": [row.as_dict() for row in self.rows],
        }

    def table(self) -> pd.DataFrame:
        """A pandas frame with a row an arm; means, ends of 95 % intervals, differences to the baseline, p values."""
        import pandas as pd  # noqa: PLC0415 - costs 0.2 s and is needed here only

        return pd.DataFrame([_flat(row) for row in self.rows]).set_index("arm")

    def curves(self) -> pd.DataFrame:
        """A long pandas frame: `arm, seed, split, step, epoch, seconds, accuracy, loss`, a row an evaluation and split.

        Accuracies that are missing, of runs that diverged, are NaN.
        """
        import pandas as pd  # noqa: PLC0415 - as above

        columns = ["arm", "seed", "split", "step", "epoch", "seconds", "accuracy", "loss"]
        frame = pd.DataFrame(
            [
                (row.label, run.seed, split, one.step, one.epoch, one.seconds, one.accuracy[split], one.loss[split])
                for row in self.rows
                for run in row.arm.runs
                for split in run.splits
                for one in run
            ],
            columns=columns,
        )
        return frame.astype({"accuracy": "float64", "loss": "float64"})

    def _repr_html_(self) -> str:
        shown = [
            "verdict",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "difference",
            "holm_p",
            "completed",
            "diverged",
        ]
        told = "".join(f"<p>{_escaped(line)}</p>" for line in (self.finding(), self.pairing, *self.warnings) if line)
        table: str = self.table()[shown].to_html(escape=True, float_format="{:.4f}".format, na_rep="")
        return told + table


def compare(question: Question, arms: Sequence[Arm], *, pairing: str = "", warnings: Sequence[str] = ()) -> Comparison:
    """Compare the arms of a study.

    Args:
        question: What is asked. Without thresholds there is one: the baseline's mean accuracy, rounded down.
        arms: The baseline and the others.
        pairing: Which draws the arms had in common, in words.
        warnings: What makes the result less sure.

    Raises:
        SpecError: The baseline is none of the arms, or a run was not evaluated on the question's split.
        NotComparable: Two arms have the same label, or two runs of an arm the same seed.
    """
    _check(question, arms)
    question = _with_thresholds(question, arms)
    measured = {arm.label: [measure(run, question.split, question.thresholds) for run in arm.runs] for arm in arms}
    others = [arm for arm in arms if arm.label != question.baseline]
    baseline = measured[question.baseline]
    judged = judge(
        [_evidence(measured[arm.label], baseline, question) for arm in others],
        margin=question.margin,
        level=question.level,
    )
    by_label = dict(zip((arm.label for arm in others), judged))
    planned = len(question.seeds) or max(len(arm.runs) + len(arm.failures) for arm in arms)
    rows = [_row(arm, question, planned, measured[arm.label], by_label.get(arm.label)) for arm in arms]
    rows.sort(key=lambda row: -math.inf if row.accuracy.mean is None else row.accuracy.mean, reverse=True)
    return Comparison(question, tuple(rows), pairing, tuple(warnings), tuple(notes(question, judged)))


def _check(question: Question, arms: Sequence[Arm]) -> None:
    labels = [arm.label for arm in arms]
    if question.baseline not in labels:
        near = suggestion(question.baseline, labels)
        raise SpecError(f"baseline: no arm {question.baseline!r}{near}; expected one of {', '.join(labels)}")
    again = [label for index, label in enumerate(labels) if label in labels[:index]]
    if again:
        raise NotComparable(f"two arms are called {again[0]!r}; expected a label of its own for each")
    for arm in arms:
        seeds = [run.seed for run in arm.runs]
        for index, run in enumerate(arm.runs):
            if run.seed in seeds[:index]:
                other = arm.runs[seeds.index(run.seed)]
                raise NotComparable(
                    f"arm {arm.label} has two runs with seed {run.seed}: {other.directory} and {run.directory}; "
                    "expected one; name the runs that are meant"
                )


def _with_thresholds(question: Question, arms: Sequence[Arm]) -> Question:
    if question.thresholds:
        return question
    runs = next(arm.runs for arm in arms if arm.label == question.baseline)
    finals = [one.accuracy for one in (measure(run, question.split) for run in runs) if one.accuracy is not None]
    if not finals:
        return question
    mean = math.fsum(finals) / len(finals)
    return replace(question, thresholds=(math.floor(mean * 100) / 100,))


def _evidence(ours: Sequence[Measures], theirs: Sequence[Measures], question: Question) -> Evidence:
    """Pair the runs of an arm and the baseline by seed; without several tunings each seed is a repeat."""
    known = {run.seed: run for run in theirs if run.accuracy is not None or run.diverged}
    pairs = [
        Pair(run.seed, run.accuracy, known[run.seed].accuracy)
        for run in sorted(ours, key=lambda run: run.seed)
        if run.seed in known and (run.accuracy is not None or run.diverged)
    ]
    if question.repeats == 1:
        return Evidence(tuple((pair,) for pair in pairs))
    repeats = [tuple(pair for pair in pairs if question.repeat_of(pair.seed) == r) for r in range(question.repeats)]
    return Evidence(tuple(filter(None, repeats)))


def _row(arm: Arm, question: Question, planned: int, measured: Sequence[Measures], judgement: Judgement | None) -> Row:
    return Row(
        arm=arm,
        is_baseline=arm.label == question.baseline,
        planned=planned,
        runs=tuple(measured),
        reached=tuple(reached(measured, threshold) for threshold in question.thresholds),
        judgement=judgement,
        audit=_audit(arm),
    )


def _audit(arm: Arm) -> dict[str, float]:
    told = [dict(run.result.network) for run in arm.runs if run.result is not None]
    whole = dict(told[0]) if told else {}
    peaks = [one["peak_memory"] for one in told if "peak_memory" in one]
    return {**whole, "peak_memory": max(peaks)} if peaks else whole


def _flat(row: Row) -> dict[str, Any]:
    told = row.as_dict()
    flat = {name: told[name] for name in ("arm", "verdict", "runs", "completed")}
    flat["diverged"], flat["failed"] = len(row.diverged), len(row.arm.failures)
    for name in (*MEASURES, "difference"):
        one = told[name] or {}
        flat.update({name: one.get("mean"), f"{name}_low": one.get("low"), f"{name}_high": one.get("high")})
    for name in ("p", "holm_p", "equivalence_holm_p", "sign_flip_p"):
        flat[name] = (told["difference"] or {}).get(name)
    for one in row.reached:
        flat[f"steps_to_{one.threshold:g}"], flat[f"reached_{one.threshold:g}"] = one.steps, one.count
    return {**flat, **row.audit}


def _escaped(text: str) -> str:
    from html import escape  # noqa: PLC0415 - needed in notebooks only

    return escape(text)
