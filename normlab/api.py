"""The Python API behind `normlab.run`, `normlab.compare` and `normlab.norm`, named like the commands."""

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
    """Train the experiment that a spec describes, store the run and plot its accuracies.

    Arguments, return value and errors are those of `normlab.experiment.run`.
    """
    history = experiment.run(spec, out=out, again=again, observer=observer)
    assert history.directory is not None  # noqa: S101 - `experiment.run` returns stored runs only
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
    """Run a study, compare its arms, and write the report to the study's folder. Stored runs are reused.

        normlab.compare("configs/mnist_bn.yaml", norms=["none", "batch"], seeds=10)

    Args:
        study: Path of a study file or a spec file, the content of a study file as a mapping, or a spec.
        norms: The norms to compare, each as in a spec, or a mapping from labels to norms.
        seeds: Number of seeds, or a list of seeds.
        nuisance: The keys to tune for each arm, as `nuisance` in a study file.
        settings: Settings of the base spec, `key.key=value`, as `-s` on the command line.
        out: The folder of all run directories.
        jobs: Number of worker processes; by default one per processor.
        watcher: Receives progress and warnings.
        **options: Other keys of a study file: `baseline`, `split`, `thresholds`, `margin`, `level`, `tuning`, ...

    Returns:
        The comparison that the report shows.

    Raises:
        SpecError: The study is invalid, or no run of its baseline finished.
        PluginError: A plugin that the study needs can't be used.
        NotComparable: Stored runs differ in more than the keys under study.
        StorageError: A file can't be read or written.
    """
    from normlab.report.writing import write_report  # noqa: PLC0415 - loads SciPy
    from normlab.study.design.study_file import design_from, load_study  # noqa: PLC0415 - loads SciPy
    from normlab.study.run import run_study  # noqa: PLC0415 - loads SciPy, which a single run does not need

    keys = {"seeds": seeds, "nuisance": nuisance, **options}
    if norms is not None:
        keys["scientific"] = {"norm": norms}
    keys = {key: value for key, value in keys.items() if value is not None}
    if isinstance(study, (str, os.PathLike)):
        design = load_study(study, {key: (value, Place(f"{key}=")) for key, value in keys.items()}, settings)
    else:
        design = design_from(study if isinstance(study, Mapping) else {"spec": study.dump()}, keys, settings)
    completed = run_study(design, out, jobs, watcher)
    write_report(completed.comparison, completed.study.folder, commands=[completed.command])
    return completed.comparison


def norm(name: str, plugins: Sequence[str] = ()) -> Norm:
    """Return a normalization method by its name.

    Args:
        name: The method's name in the catalogue.
        plugins: Paths of additional plugin files.

    Raises:
        SpecError: No method has this name.
        PluginBroken: A plugin in `plugins`, or one that may provide the method, can't be used.
    """
    entries = catalog(plugins)
    entries.require_explicit()
    return entries.norms.get(name)
