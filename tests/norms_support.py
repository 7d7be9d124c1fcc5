"""Run a norm of `plugins/` on NumPy arrays, and compare it with a formula in float64 NumPy."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.catalog.signature import check
from normlab.norms.blocks import WeightBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from normlab.norms.contract import Norm

mx = mxnet()

PLUGINS = Path(__file__).parent.parent / "plugins"
SHAPES = {"NC": (5, 8), "NCHW": (4, 8, 3, 2), "NTC": (4, 3, 8)}


@cache
def norm(file: str) -> Norm:
    """The norm that a file of `plugins/` registers, e.g. `statistics/group.py`."""
    return catalog([str(PLUGINS / file)]).norms.get(Path(file).stem)


class Done(NamedTuple):
    """What a pass gave, channels first."""

    y: Any
    dx: Any
    gradients: dict[str, Any]


class Host:
    """A norm at a site, with the values that a test gives its parameters and states."""

    def __init__(
        self,
        file: str,
        layout: str = "NCHW",
        values: Mapping[str, Any] | None = None,
        *,
        channels: int = 8,
        hybridize: bool = True,
        dtype: str = "float32",
        devices: int = 1,
        site: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.layout = layout
        self.dtype = dtype
        self.contexts = [mx.cpu(index) for index in range(devices)]
        registered = norm(file)
        chosen = {**check(registered.factories, options), **(site or {})}
        if registered.layer is not None:
            self.block = registered.block(**chosen, in_channels=channels, layout=layout)
        else:
            self.block = WeightBlock(registered.weight(**chosen, out_channels=channels))
        self.block.initialize(ctx=self.contexts)
        if dtype != "float32":
            self.block.cast(dtype)
        self.names = list(self.block.method.declared)
        for name, value in (values or {}).items():
            parameter = self.parameter(name)
            parameter.set_data(mx.nd.array(value, dtype=parameter.dtype))
        self.graphs = {
            training: Graph(
                lambda _, x: self.block(x),
                self.block.collect_params().values(),
                training=training,
                hybridize=hybridize,
            )
            for training in (True, False)
        }

    def parameter(self, name: str) -> Any:
        return self.block._reg_params[name]

    def value(self, name: str, device: int = 0) -> Any:
        return self.parameter(name).data(self.contexts[device]).asnumpy()

    def __call__(self, x: Any, dy: Any = None, *, training: bool = True, device: int = 0) -> Done:
        """Run on x, channels first, and back from dy; recorded in the mode that it is run in."""
        array = self._array(x, device)
        array.attach_grad()
        with mx.autograd.record(train_mode=training):
            (y,) = self.graphs[training](array)
        if dy is None:
            return Done(self._numpy(y), None, {})
        y.backward(self._array(dy, device))
        context = self.contexts[device]
        gradients = {
            name: self.parameter(name).grad(context).asnumpy()
            for name in self.names
            if self.parameter(name).grad_req != "null"
        }
        return Done(self._numpy(y), self._numpy(array.grad), gradients)

    def _array(self, x: Any, device: int) -> Any:
        x = np.moveaxis(x, 1, 2) if self.layout == "NTC" else x
        return mx.nd.array(x, ctx=self.contexts[device], dtype=self.dtype)

    def _numpy(self, array: Any) -> Any:
        return np.moveaxis(array.asnumpy(), 2, 1) if self.layout == "NTC" else array.asnumpy()


def inputs(layout: str, seed: int = 3, *, mean: float = 0.7, shape: tuple[int, ...] | None = None) -> tuple[Any, Any]:
    """Activations and a gradient of the output, float64, channels first."""
    random = np.random.default_rng(seed)
    x = random.normal(mean, 1.5, shape or SHAPES[layout])
    dy = random.normal(size=x.shape)
    return tuple(np.moveaxis(value, 2, 1) if layout == "NTC" and shape is None else value for value in (x, dy))


def affine_values(channels: int = 8) -> dict[str, Any]:
    """Values of gamma and beta that are all different."""
    random = np.random.default_rng(11)
    return {"gamma": random.uniform(0.5, 2, channels), "beta": random.normal(size=channels)}


def per_channel(value: Any, x: Any) -> Any:
    """A vector `(C,)` so that it broadcasts with `(N, C, ...)`."""
    return np.reshape(value, (1, -1) + (1,) * (np.ndim(x) - 2))


def numeric_gradient(function: Callable[[Any], Any], point: Any, dy: Any, step: float = 1e-5) -> Any:
    """The gradient of sum(dy * function) by central differences, coordinate by coordinate, in float64."""
    point = np.array(point, dtype="float64")
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        kept = point[index]
        point[index] = kept + step
        ahead = function(point)
        point[index] = kept - step
        gradient[index] = ((ahead - function(point)) * dy).sum() / (2 * step)
        point[index] = kept
    return gradient


def equal_formula(
    host: Host, formula: Callable[..., Any], x: Any, dy: Any, values: Mapping[str, Any], *, training: bool
) -> None:
    """Require output and all gradients to be those of `formula(x, **values)`, to float32's rounding."""
    done = host(x, dy, training=training)
    close(done.y, formula(x, **values))
    close(done.dx, numeric_gradient(lambda point: formula(point, **values), x, dy))
    for name, gradient in done.gradients.items():
        close(gradient, numeric_gradient(partial(_at, formula, x, values, name), values[name], dy))


def _at(formula: Callable[..., Any], x: Any, values: Mapping[str, Any], name: str, point: Any) -> Any:
    """The formula with another value of one parameter."""
    return formula(x, **{**values, name: point})


def close(found: Any, expected: Any, tolerance: float = 2e-5) -> None:
    """Require agreement to a share of the largest number expected, or of 1 if that is more."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max()))
