"""Run one experiment: resolve its spec, build its parts, train, resume and store the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normlab.importing import on_first_use

if TYPE_CHECKING:
    from normlab.experiment.observer import Observer, Plan
    from normlab.experiment.runner import run

__all__ = ["Observer", "Plan", "run"]

__getattr__ = on_first_use(
    __name__,
    {
        "Observer": "normlab.experiment.observer",
        "Plan": "normlab.experiment.observer",
        "run": "normlab.experiment.runner",
    },
)
