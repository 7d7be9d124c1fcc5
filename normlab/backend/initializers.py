"""MXNet initializers from numbers, names and functions that draw random numbers."""

from __future__ import annotations

from typing import Any, Callable, Union

from normlab.backend.mxnet import mxnet

#: The initial value of a parameter: a number, a name of Gluon's ("ones", "zeros"), or a function of (shape, generator).
Initializer = Union[float, str, Callable[..., Any]]


def build_random_initializer(draw: Callable[..., Any]) -> Any:
    """Return an MXNet initializer that calls `draw(shape, generator)`, seeded from NumPy's global generator."""
    base: Any = mxnet().init.Initializer

    class RandomInitializer(base):
        def _init_weight(self, _: Any, array: Any) -> None:
            import numpy as np  # noqa: PLC0415 - not needed to list methods

            seed = np.random.randint(2**31 - 1)  # noqa: NPY002 - MXNet's initializers use this stream, which normlab seeds
            array[:] = draw(array.shape, np.random.Generator(np.random.Philox(seed)))

        _init_bias = _init_gamma = _init_beta = _init_default = _init_weight

    return RandomInitializer()


def build_initializer(initializer: Initializer) -> Any:
    """Return the MXNet initializer for a number, a name, or a function of (shape, generator)."""
    if isinstance(initializer, str):
        return initializer
    if callable(initializer) and not isinstance(initializer, mxnet().init.Initializer):
        return build_random_initializer(initializer)
    return initializer if not isinstance(initializer, (int, float)) else mxnet().init.Constant(float(initializer))
