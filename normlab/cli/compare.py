"""`normlab compare`: run the arms of a study side by side, and say what may be concluded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.process import interruptible, plugins_allowed
from normlab.cli.views import output
from normlab.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from normlab.cli.views.study_view import StudyView
    from normlab.study.design.design import Design
    from normlab.study.run import StudyRun

EXAMPLES = (
    ("normlab compare configs/mnist_bn.yaml --norms none,batch --seeds 10", "two methods, ten seeds each"),
    ("normlab compare configs/mnist_bn.yaml --norms none,batch,group:groups=10 --plan", "what that would take"),
    (
        "normlab compare configs/mnist_bn.yaml --norms none,layer --sweep optimizer.learning_rate=1e-4..1:log:9",
        "the learning rate tuned for each method",
    ),
    ("normlab compare configs/studies/mnist_fair.yaml --jobs 2", "a study file"),
    ("normlab compare configs/studies/mnist_fair.yaml --json | jq .arms", "the result for a program"),
)


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("study", metavar="SPEC", type=click.Path())
@click.option("--norms", metavar="NORMS", help="Arms by their norm: none,batch,group:groups=10;epsilon=1e-3,ibn+agc.")
@click.option("--seeds", metavar="SEEDS", help="Seeds of the final runs: how many, or which, e.g. 0,1,7.  [default: 5]")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="KEY=VALUES",
    help="Tune this key for each arm: KEY=1e-4..1:log:9, or KEY=0.1,0.5; may be repeated.",
)
@click.option("--tuning-seeds", metavar="SEEDS", help="Seeds of each trial: how many, or which.  [default: 1]")
@click.option(
    "--tuning-repeats", type=click.IntRange(1), metavar="N", help="Tune each arm N times, each with seeds of its own."
)
@click.option("--tuning-steps", type=click.IntRange(1), metavar="N", help="Steps of a trial, overrides the spec's.")
@click.option("--baseline", metavar="ARM", help="Arm that the others are compared with.  [default: none, or the first]")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Split on which arms are compared.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    type=float,
    help="Report the steps until this accuracy is reached; may be repeated.",
)
@click.option("--margin", type=float, help="Treat smaller differences of accuracy as none.  [default: 0.005]")
@click.option("--level", type=float, help="Probability of a false alarm over all arms.  [default: 0.05]")
@click.option("--allow", multiple=True, metavar="KEY", help="Allow runs to differ in this key too; the report says so.")
@click.option("-s", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the base spec.")
@click.option("--device", metavar="DEVICE", help="auto, cpu, gpu or gpu:N, overrides the spec's.")
@click.option(
    "--out", default="runs", show_default=True, metavar="DIR", type=click.Path(), help="Folder for run directories."
)
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Worker processes.  [default: one a processor]")
@click.option(
    "--plan",
    is_flag=True,
    help="Print what the study would run, how long it takes and what it can show; train nothing.",
)
@click.option("--fail-fast/--keep-going", default=False, help="Stop or continue when a run fails.  [default: go on]")
@options.plugins
@click.option("--quiet", is_flag=True, help="Print only errors.")
@options.as_json("the comparison, or the plan,")
@options.debug
@click.pass_context
def compare(context: click.Context, /, study: str, **given: Any) -> int:
    """Compare normalization methods fairly: paired seeds, equal tuning.

    SPEC is a study file, or a spec file with --norms. All arms share the spec and its seeds; what --sweep names is
    tuned for each arm on the validation split, with the same trials. Running the same command again continues a study
    that was stopped.
    """
    from normlab.study.design.study_file import load_study

    design = load_study(study, _options(given), given["settings"], given["device"], given["plugins"])
    with interruptible(context.obj), plugins_allowed(allowed=not given["no_plugins"]):
        if given["plan"]:
            return _plan(design, given)
        return _report(_run(design, given), given)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line says of the study, as settings of a study file."""
    from normlab.spec import Place
    from normlab.study.design import options as study_options

    found: dict[str, Any] = {}
    if given["norms"] is not None:
        found["scientific"] = study_options.norms(given["norms"])
    if given["sweeps"]:
        found["nuisance"] = study_options.sweeps(given["sweeps"])
    if given["seeds"] is not None:
        found["seeds"] = study_options.seeds(given["seeds"])
    if given["tuning_seeds"] is not None:
        found["tuning.seeds"] = study_options.seeds(given["tuning_seeds"], "--tuning-seeds")
    for key in ("baseline", "split", "margin", "level", "tuning.repeats", "tuning.steps"):
        value, option = given[key.replace(".", "_")], f"--{key.replace('.', '-')}"
        if value is not None:
            found[key] = value, Place(f"{option} {value}")
    for option, key in (("thresholds", "thresholds"), ("allow", "allow")):
        if given[option]:
            found[key] = list(given[option]), Place(f"--{option.removesuffix('s')}")
    return found


def _plan(design: Design, given: Mapping[str, Any]) -> int:
    from normlab.study.execution import planning
    from normlab.study.execution.pool import thread_budget
    from normlab.study.run import check

    check(design)
    plan = planning.plan(design, given["out"], *thread_budget(given["jobs"]))
    if given["as_json"]:
        output.print_json(plan.as_dict())
    else:
        from normlab.cli.views.plan_view import lines

        click.echo("\n".join(lines(plan, design)))
    return ExitStatus.DONE


def _run(design: Design, given: Mapping[str, Any]) -> StudyRun:
    from normlab.study.run import run_study

    with choose_view(design.question.split, quiet=given["quiet"], as_json=given["as_json"]) as view:
        return run_study(design, given["out"], given["jobs"], view, fail_fast=given["fail_fast"])


def choose_view(split: str, *, quiet: bool, as_json: bool) -> StudyView:
    """Make the view of a study that suits the output."""
    from normlab.cli.views.base import choose
    from normlab.cli.views.study_view import StudyLines, StudyView, StudyWarnings

    def live(stream: TextIO) -> StudyView:
        from normlab.cli.views.study_live import StudyTable

        return StudyTable(split, stream)

    lines = partial(StudyLines, split)
    return choose(quiet=quiet, as_json=as_json, silent=StudyView, brief=StudyWarnings, lines=lines, live=live)


def _report(found: StudyRun, given: Mapping[str, Any]) -> int:
    from normlab.report.writing import write_report

    written = write_report(found.comparison, found.study.folder, commands=[found.command])
    if given["as_json"]:
        paths = {what: str(path) for what, path in written.items()}
        failures = {"failures": found.failures, "directory": str(found.study.folder), "paths": paths}
        output.print_json({**found.comparison.as_dict(), **failures})
    elif not given["quiet"]:
        from normlab.cli.views.comparison_view import show

        show(found.comparison)
        files = [(what, str(path)) for what, path in written.items() if what in {"report", "histories"}]
        click.echo("\n".join(["", *output.columns([*files, ("study", str(found.study.folder))])]))
    if found.failures:
        runs = "1 run" if found.failures == 1 else f"{found.failures} runs"
        click.echo(f"{runs} failed; the same command tries them again", err=True)
        return ExitStatus.SOME_FAILED
    return ExitStatus.DONE
