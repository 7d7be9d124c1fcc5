"""What a function does besides returning a value: what it prints, warns of, and draws."""

from __future__ import annotations

import io
import random
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, Callable, NamedTuple

import numpy as np

from normlab.backend.mxnet import mxnet

#: Parts of the paths of libraries whose warnings are not the method's.
_LIBRARIES = ("/mxnet/", "/numpy/", "/scipy/")


class SideEffects(NamedTuple):
    """The side effects of a function.

    Attributes:
        printed: What it wrote to standard output and standard error.
        warned: The warnings that were not raised by a library.
        drew_from: The global random generators that it drew from.
    """

    printed: str
    warned: list[str]
    drew_from: list[str]


def observe(function: Callable[[], object]) -> SideEffects:
    """Run a function and record its side effects."""
    output = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(output), redirect_stderr(output):
        warnings.simplefilter("always")
        drew_from = _observe_draws(function)
    warned = [
        f"{warning.category.__name__}: {warning.message}"
        for warning in caught
        if not any(part in warning.filename for part in _LIBRARIES)
    ]
    return SideEffects(output.getvalue(), warned, drew_from)


def _observe_draws(function: Callable[[], object]) -> list[str]:
    # MXNet does not expose the state of its generator, so a draw after seeding shows whether it has changed
    expected = _seed_and_draw(lambda: None)
    before = _states()
    found = _seed_and_draw(function)
    changed = [name for name, state in _states().items() if state != before[name]]
    return changed if np.array_equal(found, expected) else [*changed, "mx.random"]


def _states() -> dict[str, object]:
    numpy_state = str(np.random.get_state())  # noqa: NPY002 - the global generator is the one to observe
    return {"Python's `random`": random.getstate(), "numpy.random": numpy_state}


def _seed_and_draw(between: Callable[[], object]) -> Any:
    """Seed MXNet's generator, call a function, and return what the generator draws then."""
    mx = mxnet()
    mx.random.seed(0)
    between()
    mx.nd.waitall()
    return mx.nd.random.uniform(shape=(64,)).asnumpy()
