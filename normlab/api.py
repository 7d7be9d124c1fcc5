"""The Python API in the words of the command line: a run with everything that a run directory holds, a comparison."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab import experiment
from normlab.catalog import catalog
from normlab.experiment.observer import Observer
from normlab.norms.contract import Norm
from normlab.report.figures.curves import write_accuracy_svg
from normlab.runs.history import History
from normlab.spec import Place
from normlab.study.execution.jobs import Watcher

if TYPE_CHECKING:
    from normlab.spec import Spec
    from normlab.study.analysis.comparison import Comparison

PLOT = "accuracy.svg"


def run(spec: Spec, *, out: str | Path = "runs", again: bool = False, observer: Observer | None = None) -> History:
    """Train what a spec says, store the run and draw its accuracies; see `normlab.experiment.run`."""
    history = experiment.run(spec, out=out, again=again, observer=observer)
    assert history.directory is not None  # noqa: S101 - a run that returns is stored
    if again or not (history.directory / PLOT).exists():
        write_accuracy_svg(history, history.directory / PLOT)
    return history


def compare(
    study: str | os.PathLike[str] | Mapping[str, Any] | Spec,
    *,
    norms: Sequence[Any] | Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    nuisance: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    out: str | Path = "runs",
    jobs: int | None = None,
    watcher: Watcher | None = None,
    **options: Any,
) -> Comparison:
    """Run the arms of a study, or find them stored, and compare them; the study's folder gets the report.

        normlab.compare("configs/mnist_bn.yaml", norms=["none", "batch"], seeds=10)

    Args:
        study: A study file or a spec file; or what a study file holds, as a mapping; or a spec.
        norms: What is compared: norms as a spec has them, or a mapping of labels and norms.
        seeds: How many seeds, or which.
        nuisance: What is tuned for each arm, as `nuisance` of a study file.
        settings: Settings of the base spec, `key.key=value`, as `-s` on the command line.
        out: Where run directories go.
        jobs: Worker processes; by default one a processor.
        watcher: Is told what happens.
        **options: Further keys of a study file: `baseline`, `split`, `thresholds`, `margin`, `level`, `tuning`, ...

    Raises:
        SpecError: The study is wrong, or no run of its baseline ended.
        PluginError: A plugin that it needs can't be used.
        NotComparable: Stored runs differ in more than what is studied.
        StorageError: Something can't be read or written.
    """
    from normlab.report.writing import write_report  # noqa: PLC0415 - as below
    from normlab.study.design.study_file import design_from, load_study  # noqa: PLC0415 - as above
    from normlab.study.run import run_study  # noqa: PLC0415 - runs alone need no scipy

    given = {"seeds": seeds, "nuisance": nuisance, **options}
    if norms is not None:
        given["scientific"] = {"norm": norms}
    asked = {key: value for key, value in given.items() if value is not None}
    if isinstance(study, (str, os.PathLike)):
        design = load_study(study, {key: (value, Place(f"{key}=")) for key, value in asked.items()}, settings)
    else:
        design = design_from(study if isinstance(study, Mapping) else {"spec": study.dump()}, asked, settings)
    found = run_study(design, out, jobs, watcher)
    write_report(found.comparison, found.study.folder, commands=[found.command])
    return found.comparison


def norm(name: str, plugins: Sequence[str] = ()) -> Norm:
    """The method of this name, built in or from a plugin.

    Args:
        name: Its name in the catalogue.
        plugins: Plugin files to look in as well.

    Raises:
        SpecError: There is none of this name.
        PluginBroken: A plugin named here can't be used, or one that may bring the method.
    """
    known = catalog(plugins)
    known.require_explicit()
    return known.norms.get(name)
