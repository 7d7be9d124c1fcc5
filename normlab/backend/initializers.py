"""MXNet initializers from what methods declare, and from functions that draw with a generator of their own."""

from __future__ import annotations

from typing import Any, Callable, Union

from normlab.backend.mxnet import mxnet

#: How a parameter starts: a constant, one of Gluon's names ("ones", "zeros"), or a function of (shape, generator).
Initializer = Union[float, str, Callable[..., Any]]


def drawn(draw: Callable[..., Any]) -> Any:
    """An MXNet initializer from a function of (shape, generator), seeded from NumPy's global generator."""
    base: Any = mxnet().init.Initializer

    class Drawn(base):
        def _init_weight(self, _: Any, array: Any) -> None:
            import numpy as np  # noqa: PLC0415 - listing does without

            seed = np.random.randint(2**31 - 1)  # noqa: NPY002 - the stream that MXNet's initializers use and we key
            array[:] = draw(array.shape, np.random.Generator(np.random.Philox(seed)))

        _init_bias = _init_gamma = _init_beta = _init_default = _init_weight

    return Drawn()


def declared_initializer(initializer: Initializer) -> Any:
    """The MXNet initializer for what a method declares: a number, a name, or a function of (shape, generator)."""
    if isinstance(initializer, str):
        return initializer
    if callable(initializer) and not isinstance(initializer, mxnet().init.Initializer):
        return drawn(initializer)
    return initializer if not isinstance(initializer, (int, float)) else mxnet().init.Constant(float(initializer))
