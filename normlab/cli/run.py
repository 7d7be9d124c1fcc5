"""`normlab run`: train what a spec file says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, WithExamples
from normlab.cli.process import interruptible, plugins_allowed
from normlab.cli.views import output
from normlab.errors import ExitStatus, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.cli.views.run_view import RunView
    from normlab.runs.history import History
    from normlab.spec import Spec

EXAMPLES = (
    ("normlab run configs/mnist_bn.yaml", "train it; see runs/mnist_bn/"),
    ("normlab run configs/mnist_bn.yaml -s norm=none -s optimizer.learning_rate=1e-5", "change the spec for this run"),
    ("normlab run configs/mnist_bn.yaml --seed 1 --out results", "another seed, another place"),
    ("normlab run configs/mnist_bn.yaml --plugin my_norm.py -s norm=my_norm", "a method of your own"),
    ("normlab run configs/mnist_bn.yaml --json | jq .final", "the result for a program"),
)

#: The exit status that says how a run ended.
STATUSES = {
    "completed": ExitStatus.DONE,
    "diverged": ExitStatus.DIVERGED,
    "interrupted": ExitStatus.INTERRUPTED,
}


@click.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES)
@click.argument("spec", metavar="SPEC", type=click.Path())
@click.option(
    "-s",
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the spec, e.g. optimizer.learning_rate=0.1; may be repeated.",
)
@click.option(
    "--out", default="runs", show_default=True, metavar="DIR", type=click.Path(), help="Folder for run directories."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed; overrides the spec's.")
@click.option("--device", metavar="DEVICE", help="auto, cpu, gpu or gpu:N, overrides the spec's.")
@options.plugins
@click.option("--again", is_flag=True, help="Train again, even if this run is stored.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
@options.as_json("the result")
@options.debug
@click.pass_context
def run(
    context: click.Context,
    spec: str,
    settings: tuple[str, ...],
    out: str,
    seed: int | None,
    device: str | None,
    plugins: tuple[str, ...],
    no_plugins: bool,
    again: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Train the experiment in SPEC and store its accuracy history.

    A run directory in DIR holds the resolved spec, the history, its plot, the parameters and the result. The same
    A run directory in DIR holds the resolved spec, the history, its plot, the parameters and the result. Running the
    """
    from normlab.spec import load_spec

    resolved = _with_plugins(load_spec(spec, settings, seed, device), plugins)
    with interruptible(context.obj), plugins_allowed(allowed=not no_plugins):
        history = _train(resolved, out, again=again, quiet=quiet, as_json=as_json)
    return _report(history, quiet=quiet, as_json=as_json)


def _with_plugins(spec: Spec, files: Sequence[str]) -> Spec:
    added = (str(Path(file).absolute()) for file in files)
    return spec.model_copy(update={"plugins": (*spec.plugins, *added)})


def _train(spec: Spec, out: str, *, again: bool, quiet: bool, as_json: bool) -> History:
    from normlab import api

    with choose_view(quiet=quiet, as_json=as_json) as view:
        return api.run(spec, out=out, again=again, observer=view)


def choose_view(*, quiet: bool, as_json: bool) -> RunView:
    """Make the view of a run that suits the output."""
    from normlab.cli.views.base import choose
    from normlab.cli.views.run_view import RunLines, RunView, RunWarnings

    def live(stream: TextIO) -> RunView:
        from normlab.cli.views.run_live import RunProgress

        return RunProgress(stream)

    return choose(quiet=quiet, as_json=as_json, silent=RunView, brief=RunWarnings, lines=RunLines, live=live)


def _report(history: History, *, quiet: bool, as_json: bool) -> int:
    from normlab.cli.views import run_view as summary

    result = history.result
    if result is None:
        raise StorageError(f"{history.directory}: no result in it; run the same command again")
    if as_json:
        output.print_json(summary.as_dict(history, result))
    elif not quiet:
        click.echo("\n".join(summary.lines(history, result)))
    if result.status != "completed" and result.message:
        click.echo(result.message, err=True)
    return STATUSES.get(result.status, ExitStatus.UNEXPECTED)
