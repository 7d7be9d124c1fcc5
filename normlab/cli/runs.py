"""`normlab runs`: which runs are stored, and what each came to; removes some."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from normlab.cli import options
from normlab.cli.app import CONTEXT, SuggestingGroup, WithExamples
from normlab.cli.startup import fast_startup
from normlab.cli.views import output
from normlab.errors import ExitStatus, SpecError, StorageError
from normlab.runs.index import STATUSES, is_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from normlab.runs.history import History
    from normlab.runs.index import Row

EXAMPLES = (
    ("normlab runs", "all runs below runs/"),
    ("normlab runs results --norm batch --status diverged", "some of those below another folder"),
    ("normlab runs list results", "the same in full words"),
    ("normlab runs show runs/mnist_bn/batch-s0-8095e63439", "one of them"),
    ("normlab runs remove runs/mnist_bn/batch-s0-8095e63439", "delete its directory"),
    ("normlab runs --json | jq -r '.runs[].path'", "their directories, for a program"),
)
_COMMANDS = ("list", "show", "remove")


class _ListingGroup(SuggestingGroup):
    """A group whose first word may be a folder to list instead of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let `normlab runs [ROOT] [OPTIONS]` stand for `normlab runs list [ROOT] [OPTIONS]`."""
        if not {"-h", "--help"} & set(args[:1]) and not set(_COMMANDS) & set(args[:1]) and not ctx.resilient_parsing:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListingGroup, context_settings=CONTEXT, examples=EXAMPLES)
@options.debug
def runs() -> None:
    """List, show or remove runs.

    `normlab runs [ROOT]` lists the runs below ROOT; see `normlab runs list --help` for its options.
    """


@runs.command("list", cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[:3])
@click.argument("root", default="runs", type=click.Path())
@click.option("--norm", metavar="NORM", help="Only runs of this norm.")
@click.option("--name", metavar="NAME", help="Only runs of specs of this name.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs that ended so.")
@options.as_json("the list")
@options.debug
@fast_startup()
def list_(root: str, norm: str | None, name: str | None, status: str | None, as_json: bool) -> None:
    """List the runs below ROOT, by default those below runs/."""
    from normlab.runs.index import listed

    if not Path(root).is_dir():
        raise StorageError(f"{root}: no such folder; expected one with runs, as --out of `normlab run` names it")
    wanted = {"norm": norm, "name": name, "status": status}
    rows = listed(root)
    for key, value in wanted.items():
        if value is not None:
            rows = [row for row in rows if getattr(row, key) == value]
    if as_json:
        output.print_json({"runs": [row._asdict() for row in rows]})
    else:
        click.echo("\n".join(_table(rows, root)))


@runs.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[3:4])
@click.argument("directory", metavar="DIR", type=click.Path())
@options.as_json("the run")
@options.debug
def show(directory: str, as_json: bool) -> None:
    """Show the result of the run in DIR."""
    from normlab.cli.views import run_view as summary
    from normlab.runs.history import History

    history = History.load(directory)
    if as_json:
        output.print_json(summary.as_dict(history, history.result) if history.result else _unfinished(history))
        return
    click.echo(f"{history.name}: norm {history.label}, seed {history.seed}")
    if history.result is None:
        click.echo(f"unfinished, {len(history)} evaluations, step {history.steps[-1] if history.steps else 0}")
        return
    click.echo("\n".join(summary.lines(history, history.result)))
    if history.result.message:
        click.echo(f"\n{history.result.message}")


@runs.command(cls=WithExamples, context_settings=CONTEXT, examples=EXAMPLES[4:5])
@click.argument("directories", metavar="DIR...", nargs=-1, required=True, type=click.Path())
@click.option("--yes", is_flag=True, help="Don't ask.")
@options.debug
def remove(directories: tuple[str, ...], yes: bool) -> int:
    """Remove run directories and everything in them."""
    paths = [Path(directory) for directory in directories]
    for path in paths:
        if path.is_symlink() or not is_run(path):
            raise SpecError(f"{path}: not the directory of a run; expected one as `normlab runs` lists them")
    what = f"{len(paths)} runs" if len(paths) > 1 else f"the run {paths[0]}"
    if not yes and not click.confirm(f"remove {what} for good?", err=True):
        click.echo("nothing removed", err=True)
        return ExitStatus.SPEC
    for path in paths:
        _remove(path)
    return ExitStatus.DONE


def _remove(path: Path) -> None:
    """Out of sight first, in one step: what is left if this is interrupted is no run any more."""
    from normlab.runs.files import storage_errors, temporary_name
    from normlab.runs.lock import locked

    aside = path.with_name(temporary_name())
    with locked(path), storage_errors(path, "remove"):
        path.rename(aside)
        shutil.rmtree(aside)


def _table(rows: Sequence[Row], root: str) -> list[str]:
    if not rows:
        return [f"no such runs below {root}"]
    cells = [("name", "norm", "seed", "status", "steps", "accuracy", "on", "seconds", "directory")]
    cells += [
        (
            row.name,
            row.norm,
            "" if row.seed is None else str(row.seed),
            row.status,
            str(row.steps),
            "" if row.accuracy is None else f"{row.accuracy:.4f}",
            row.split,
            "" if row.seconds is None else f"{row.seconds:.1f}",
            row.path,
        )
        for row in rows
    ]
    return output.columns(cells, right=(2, 4, 5, 7), header=True)


def _unfinished(history: History) -> dict[str, Any]:
    return {
        "name": history.name,
        "norm": history.label,
        "seed": history.seed,
        "status": "unfinished",
        "directory": str(history.directory),
        "history": [record.as_dict() for record in history],
    }
