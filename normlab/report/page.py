"""The page of a study: its tables in words, its figures in place, filled into the template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from normlab.report import formatting as wording
from normlab.report.figures.arm_curves import looks
from normlab.report.figures.drawing import Drawing
from normlab.report.figures.strip import strip_scale, strips
from normlab.report.formatting import printable
from normlab.report.reproduction import reproduction
from normlab.report.style import COLOURS
from normlab.runs.files import read_bytes
from normlab.version import __version__

if TYPE_CHECKING:
    from normlab.study.analysis.comparison import Comparison
    from normlab.study.analysis.measures import Row

_TEMPLATES = Path(__file__).parent / "templates"
_SYMBOLS = {"better": "▲", "worse": "▼", "equivalent": "≈", "undecided": "○", "baseline": "●"}
_MARKS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖"}


def page(comparison: Comparison, drawings: Sequence[Drawing], commands: Sequence[str] = (), study: str = "") -> str:
    """The page as HTML: one file that needs no other, and no script.

    Args:
        comparison: What was found.
        drawings: The figures, in their order.
        commands: What to type to get this study again.
        study: The study file.
    """
    question = comparison.question
    return _template().render(
        comparison=comparison,
        question=question,
        nuisance=[(key, ", ".join(_setting(value) for value in values)) for key, values in question.nuisance.items()],
        rows=[_row(row, comparison) for row in comparison.rows],
        scale=strip_scale(comparison),
        figures={drawing.name: Markup(drawing.inline) for drawing in drawings},  # noqa: S704 - Matplotlib escapes names
        abouts={drawing.name: drawing.about for drawing in drawings},
        tuned=any(row.arm.chosen for row in comparison.rows),
        troubled=any(row.trouble for row in comparison.rows),
        audited=any(row.audit for row in comparison.rows),
        reproduction=reproduction(comparison),
        commands=list(commands),
        study=study,
        version=__version__,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: read_bytes(_TEMPLATES / name).decode()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable_lines(value) if type(value) is str else value,
    )
    return environment.get_template("study.html")


def printable_lines(text: str) -> str:
    """The text with what can't be printed replaced, its lines kept."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _row(row: Row, comparison: Comparison) -> dict[str, Any]:
    look = looks(comparison)[row.label]
    number = COLOURS.index(look.colour) if look.colour in COLOURS else None
    judged = row.judgement
    return {
        "label": row.label,
        "colour": f"var(--series{number})" if number is not None else "var(--ink)",
        "mark": _MARKS[look.marker],
        "is_baseline": row.is_baseline,
        "verdict": row.verdict,
        "symbol": _SYMBOLS[row.verdict],
        "reason": judged.reason if judged else "the others are compared with it",
        "trouble": row.trouble,
        "strip": strips(row, comparison),
        "accuracy": wording.accuracy(row.accuracy.mean),
        "half": wording.plus_minus(row.accuracy),
        "best": wording.accuracy(row.mean("best").mean),
        "area": wording.accuracy(row.mean("area").mean),
        "seconds": wording.decimal(row.mean("seconds").mean, 1),
        "count": len(row.completed),
        "difference": wording.signed(judged.estimate.mean) if judged else "",
        "interval": wording.interval(judged.estimate) if judged else "",
        "p": wording.p_value(judged.adjusted_p) if judged else "",
        "sign_flip": wording.p_value(judged.sign_flip_p) if judged else "",
        "probability": wording.ahead(judged) if judged else "",
        "reached": [(wording.steps(one), wording.seconds(one)) for one in row.reached],
        "chosen": [(key, _setting(value)) for key, value in row.arm.chosen.items()],
        "trials": len(row.arm.trials),
        "infeasible": sum(trial.score is None for trial in row.arm.trials),
        "lost": [(run.seed, run.diverged_step, run.diverged_layer) for run in row.diverged],
        "failures": sorted(row.arm.failures.items()),
        **_audit(row),
    }


def _audit(row: Row) -> dict[str, str]:
    get = row.audit.get
    return {
        "parameters": wording.amount(get("parameters")),
        "state": wording.amount(get("state")),
        "biases": wording.amount(get("biases")),
        "operations": wording.amount(get("operations")),
        "memory": wording.amount(get("peak_memory"), "B"),
        "milliseconds": wording.decimal(row.mean("milliseconds").mean),
        "gap": wording.signed(row.mean("gap").mean),
    }


def _setting(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
