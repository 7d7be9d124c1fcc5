"""`normlab report`: the comparison of stored runs, written anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.startup import fast_startup, import_matplotlib
from normlab.cli.views import output
from normlab.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.study.analysis.comparison import Comparison

EXAMPLES = (
    ("normlab report runs/mnist_bn", "compare all runs in this folder"),
    ("normlab report runs/mnist_bn/{none,batch}-s*", "compare those of two norms"),
    ("normlab report runs/studies/mnist_fair-*", "write the report of a study anew"),
    ("normlab report runs/mnist_bn --baseline batch --json", "another baseline; the result as JSON"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("runs", nargs=-1, required=True, metavar="RUNS...", type=click.Path())
@click.option(
    "--out", metavar="DIR", type=click.Path(), help="Folder for the report.  [default: report, or the study's folder]"
)
@click.option("--baseline", metavar="ARM", help="Arm that the others are compared with.  [default: none, or the first]")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Split on which arms are compared.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    type=float,
    help="Report the steps until this accuracy is reached; may be repeated.",
)
@click.option("--margin", type=click.FloatRange(0, 1), help="Treat smaller differences of accuracy as none.")
@click.option("--level", type=click.FloatRange(0, 1, min_open=True), help="Probability of a false alarm over all arms.")
@click.option("--allow", multiple=True, metavar="KEY", help="Allow runs to differ in this key too; the report says so.")
@options.as_json("the comparison")
@options.debug
@fast_startup()
def report(
    runs: tuple[str, ...],
    out: str | None,
    baseline: str | None,
    split: str | None,
    thresholds: tuple[float, ...],
    margin: float | None,
    level: float | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare stored runs and write the report.

    RUNS are directories of runs, or folders that hold some; an arm is a norm, its runs are its seeds. Or RUNS is the
    folder of one study. Runs that differ in more than norm and seed are refused, with exit status 5.
    """
    asked = {"baseline": baseline, "split": split, "thresholds": thresholds, "margin": margin, "level": level}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value not in (None, ())}
    comparison, folder = _compared([Path(run) for run in runs], changes, allow)
    import_matplotlib()
    from normlab.report.writing import write_report

    files = write_report(comparison, Path(out) if out else folder)
    if as_json:
        output.print_json({**comparison.as_dict(), "paths": {what: str(path) for what, path in files.items()}})
        return ExitStatus.DONE
    from normlab.cli.views.comparison_view import show

    show(comparison)
    shown = [(what, str(files[what])) for what in ("report", "histories")]
    click.echo("\n".join(["", *output.columns([*shown, ("figures", str(files["curves.svg"].parent))])]))
    return ExitStatus.DONE


def _compared(paths: Sequence[Path], changes: dict[str, Any], allow: tuple[str, ...]) -> tuple[Comparison, Path]:
    """The comparison, and the folder where it is written by default."""
    from normlab.study import storage as stored
    from normlab.study.analysis.comparison import compare

    if len(paths) == 1 and (paths[0] / stored.STUDY).exists():
        from dataclasses import replace

        study = stored.load(paths[0])
        question = replace(study.question, **changes)
        return compare(question, study.arms, pairing=study.pairing, warnings=study.warnings), paths[0]
    from normlab.study.analysis.collect import gathered

    question, arms, told = gathered(paths, allowed=allow, **changes)
    from normlab.study.analysis.pairing import pairing

    return compare(question, arms, pairing=pairing(arms), warnings=told), Path("report")
