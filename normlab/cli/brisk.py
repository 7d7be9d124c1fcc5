"""What makes commands brisk that are over in a moment: they do without what only long-lived processes need."""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS = "OPENBLAS_NUM_THREADS"


@contextmanager
def brisk() -> Iterator[None]:
    """Within it Python does not look for cycles among objects, which is 5 to 10 % of such a command's time.

    And NumPy and SciPy, if they are imported within it, start no threads: these would wait busily for matrices to
    multiply, 0.2 s of a processor, and none come.
    """
    on, threads = gc.isenabled(), os.environ.get(_THREADS)
    gc.disable()
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if on:
            gc.enable()
        os.environ.pop(_THREADS)
        if threads is not None:
            os.environ[_THREADS] = threads


def import_matplotlib() -> None:
    """Import Matplotlib without the help texts that it composes for each kind of artist: they take 0.12 s of 0.3."""
    from matplotlib import artist as artists

    composed = artists.kwdoc
    artists.kwdoc = lambda artist: ""  # noqa: ARG005 - called as the original is
    try:
        import matplotlib.figure  # noqa: F401 - all that matters of it are its side effects
    finally:
        artists.kwdoc = composed
