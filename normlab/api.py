"""The Python API in the words of the command line: a run with everything that a run directory holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab import experiment
from normlab.catalog import catalog
from normlab.report.curves import write_accuracy_svg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from normlab.history import History
    from normlab.norm import Norm
    from normlab.observer import Observer
    from normlab.spec import Spec

PLOT = "accuracy.svg"


def run(spec: Spec, *, out: str | Path = "runs", again: bool = False, observer: Observer | None = None) -> History:
    """Train what a spec says, store the run and draw its accuracies; see `normlab.experiment.run`."""
    history = experiment.run(spec, out=out, again=again, observer=observer)
    assert history.directory is not None  # noqa: S101 - a run that returns is stored
    if again or not (history.directory / PLOT).exists():
        write_accuracy_svg(history, history.directory / PLOT)
    return history


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
