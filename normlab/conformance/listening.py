"""What a function does besides giving a result: what it prints, warns of, and draws."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Callable

from normlab.backend.mxnet import mxnet

if TYPE_CHECKING:
    from normlab.conformance.numerics import Array

#: Parts of the paths of libraries whose warnings are their own, not the method's.
_LIBRARIES = ("/mxnet/", "/numpy/", "/scipy/")


def heard(function: Callable[[], object]) -> tuple[str, list[str]]:
    """Run a function and listen.

    Returns:
        What it printed, and the warnings that no library gave.
    """
    sink = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(sink), redirect_stderr(sink):
        warnings.simplefilter("always")
        function()
    told = [
        f"{warning.category.__name__}: {warning.message}"
        for warning in caught
        if not any(part in warning.filename for part in _LIBRARIES)
    ]
    return sink.getvalue(), told


def _nothing() -> None:
    pass


def mxnet_draw(between: Callable[[], object] = _nothing) -> Array:
    """A draw from MXNet's generator, seeded, with something done between seeding and drawing.

    MXNet can't tell its generator's state; a draw that comes out otherwise tells that it has moved.
    """
    mx = mxnet()
    mx.random.seed(0)
    between()
    mx.nd.waitall()
    drawn: Array = mx.nd.random.uniform(shape=(64,)).asnumpy()
    return drawn
