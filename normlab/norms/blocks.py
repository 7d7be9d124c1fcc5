"""The Gluon blocks that host methods: parameters, deferred shapes, channel axis, running state."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from normlab.backend import tracing as norm_state
from normlab.backend.initializers import build_initializer
from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.norms.layer_before import LayerBefore
from normlab.norms.ways import NormLayer, NormResidual, NormWeight

mx = mxnet()
HybridBlock: Any = mx.gluon.HybridBlock


class Host(HybridBlock):
    """A block whose parameters are those that a method declares.

    Activations may be float16: the method then computes in float32 and its parameters stay float32.

    Attributes:
        method: The layer or weight method inside.
    """

    def __init__(self, method: Any, channels: int) -> None:
        super().__init__(prefix=None)
        self.method = method
        self._is_half = False
        with self.name_scope():
            for name, declared in method.declared.items():
                parameter = self.params.get(
                    name,
                    shape=declared.shape(channels) if channels else None,
                    init=build_initializer(declared.initializer),
                    grad_req="write" if declared.trainable else "null",
                    differentiable=declared.trainable,
                    allow_deferred_init=True,
                    lr_mult=declared.learning_rate_factor,
                )
                setattr(self, name, parameter)

    def cast(self, dtype: Any) -> None:
        """Change the type of activations, and that of the parameters unless it is float16."""
        self._is_half = np.dtype(dtype) == np.float16
        super().cast("float32" if self._is_half else dtype)

    def _shapes_from(self, channels: int) -> None:
        for name, declared in self.method.declared.items():
            self._reg_params[name].shape = declared.shape(channels)

    def _run(self, F: Any, *inputs: Any, **parameters: Any) -> Any:
        norm_state.require_trace(F)
        # a symbol has no type to ask for
        is_half = self._is_half if F is mx.symbol else inputs[0].dtype == np.float16
        if is_half:
            inputs = tuple(F.cast(value, dtype="float32") for value in inputs)
        y = self.method.hybrid_forward(F, *inputs, **parameters)
        for name, value in self.method.take_updates().items():
            norm_state.update(self._reg_params[name], value)
        return F.cast(y, dtype="float16") if is_half else y


class NormBlock(Host):
    """A norm at one site.

    Inputs: `(N, C)`, `(N, C, H, W)` or `(N, T, C)`, as the site's layout says. Output: the same shape. Where the method
    looks at the layer before, what that layer takes and its weight may follow, to be used instead of its own.

    Args:
        layer: The method.
        layer_before: The `Dense` or `Conv2D` layer right before the site, for a method that looks at it.

    Raises:
        SpecError: The method looks at the layer before, and there is none that it can look at.
    """

    def __init__(self, layer: NormLayer, layer_before: Any = None) -> None:
        if layer.needs_layer_before:
            layer.before = _looked_at(layer, layer_before)
        if layer.in_channels:
            layer.prepare()
        is_known = layer.in_channels and (layer.before is None or layer.before.unit_size)
        super().__init__(layer, layer.in_channels if is_known else 0)
        self._is_known = bool(is_known)

    def infer_shape(self, x: Any, *_: Any) -> None:
        """Complete shapes that were unknown at construction, from the first input."""
        if not self.method.in_channels:
            self.method.in_channels = x.shape[self.method.axis]
            self.method.prepare()
        self._shapes_from(self.method.in_channels)
        self._is_known = True

    def _deferred_infer_shape(self, *_: Any) -> None:
        """Leave shapes as they are: `forward` has completed them."""

    def forward(self, x: Any, *args: Any) -> Any:
        """Compute the norm; the first array tells the number of channels if it was not given."""
        if not self._is_known and isinstance(x, mx.nd.NDArray):
            self.infer_shape(x)
        if self.method.before is not None and not args:
            args = self.method.before.now(x)
        return super().forward(x, *args)

    def hybrid_forward(self, F: Any, x: Any, *before: Any, **parameters: Any) -> Any:
        """Compute the norm, with the channels moved to axis 1 and back."""
        axis = self.method.axis
        if axis == 1:
            return self._run(F, x, *before, **parameters)
        y = self._run(F, F.swapaxes(x, dim1=1, dim2=axis), *before, **parameters)
        return F.swapaxes(y, dim1=1, dim2=axis)

    def __repr__(self) -> str:
        return f"{type(self.method).__name__}(in_channels={self.method.in_channels}, layout={self.method.layout})"


def _looked_at(layer: NormLayer, layer_before: Any) -> LayerBefore:
    if layer_before is None:
        raise SpecError(
            f"{type(layer).__name__} looks at the weight of the layer right before its site, and there is none here; "
            "expected a Dense or Conv2D right before it"
        )
    return LayerBefore(layer_before)


class WeightBlock(Host):
    """A method on one weight, `(out, ...)` to the same shape.

    Args:
        method: The method.
        shape: The weight's shape, for methods that keep something for each weight of a unit.
    """

    def __init__(self, method: NormWeight, shape: tuple[int, ...] = ()) -> None:
        method.unit_size = prod(shape[1:]) if shape else 0
        super().__init__(method, method.out_channels)

    def hybrid_forward(self, F: Any, weight: Any, **parameters: Any) -> Any:
        """Compute the weight that the layer uses."""
        return self._run(F, weight, **parameters)


class ResidualBlock(Host):
    """Where a branch meets its shortcut: `(N, C, H, W)` twice to the same shape."""

    def __init__(self, method: NormResidual) -> None:
        super().__init__(method, method.in_channels)

    def hybrid_forward(self, F: Any, branch: Any, shortcut: Any, **parameters: Any) -> Any:
        """Compute what the block gives."""
        return self._run(F, branch, shortcut, **parameters)
