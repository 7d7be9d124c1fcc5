"""The layer right before a site, for methods that look at its weight: what it takes in a pass, and its geometry.

Such a layer computes each output as the sum of a patch of its input times the weights of the output's channel, plus a
bias. So the derivative of a mean of the outputs of a channel by those weights is a mean of patches, and needs no
backward pass.
"""

from __future__ import annotations

from math import prod
from typing import Any

from normlab.backend.mxnet import mxnet
from normlab.errors import PluginError, SpecError
from normlab.ops.channelwise import mean_of_rows, values_per_channel

mx = mxnet()
nn = mx.gluon.nn


class LayerBefore:
    """A `Dense` or `Conv2D` layer with a site right after it.

    Its own parameters keep their names, and nothing is put into its place: a hook remembers what it takes until the
    site asks for it, later in the same pass.

    Args:
        layer: The layer, which may not know its shapes yet.

    Raises:
        SpecError: It is of another kind, or has an activation of its own.
    """

    def __init__(self, layer: Any) -> None:
        if not isinstance(layer, (nn.Dense, nn.Conv2D)) or layer.act is not None:
            raise SpecError(
                f"{type(layer).__name__} before a site is no layer whose weight a norm can look at; "
                "expected a Dense or Conv2D without an activation of its own"
            )
        self._layer = layer
        self._taken: Any = None
        self._is_dense = isinstance(layer, nn.Dense)
        self._options = {} if self._is_dense else dict(layer._kwargs)  # noqa: SLF001 - Gluon has no public name
        self.groups = int(self._options.get("num_group", 1))
        layer.register_forward_pre_hook(self._remember)

    @property
    def unit_size(self) -> int:
        """Number of weights of each output unit or channel, U; 0 as long as the layer does not know."""
        shape = self._layer.weight.shape
        return 0 if shape is None else max(0, prod(shape[1:]))

    def _remember(self, _: Any, inputs: tuple[Any, ...]) -> None:
        self._taken = inputs[0]

    def now(self, x: Any) -> tuple[Any, Any]:
        """What the layer has taken in this pass, and its weight, both as the layer has them.

        Args:
            x: What the site gets; an array, on the device of which the weight is wanted, or a symbol.

        Raises:
            PluginError: The layer has not run since the site was asked last.
        """
        taken, self._taken = self._taken, None
        if taken is None:
            raise PluginError(
                f"the site after {self._layer.name} runs without that layer; it looks at the layer's input"
            )
        weight = self._layer.weight
        return taken, weight.data(x.context) if isinstance(x, mx.nd.NDArray) else weight.var()

    def mean_patch(self, F: Any, taken: Any) -> Any:
        """The mean patch over the batch and all positions of the output: the derivative of a mean by the weights.

        Args:
            F: `mx.nd` or `mx.sym`.
            taken: What the layer has taken.

        Returns:
            `(groups, U)`; all channels of a group share it.
        """
        if self._is_dense:
            return mean_of_rows(F, self._rows(F, taken))
        # the mean over examples first: it has the patches of a single one
        first = F.slice_axis(taken, axis=0, begin=0, end=1)
        mean = F.reshape_like(mean_of_rows(F, F.reshape(taken, shape=(0, -1))), first)
        return F.reshape(F.mean(self._patches(F, mean), axis=-1), shape=(self.groups, -1))

    def mean_product(self, F: Any, values: Any, taken: Any) -> Any:
        """The mean of a value of each output times its patch, over the batch and all positions of the output.

        Args:
            F: `mx.nd` or `mx.sym`.
            values: A value for each output, `(N, C)`, `(N, C, H, W)` or `(N, C, T)`.
            taken: What the layer has taken.

        Returns:
            `(C, U)`.
        """
        values = F.reshape(values, shape=(0, 0, -1))
        if self._is_dense:
            columns = F.reshape(F.swapaxes(values, dim1=1, dim2=2), shape=(-3, 0))
            sums = F.dot(columns, self._rows(F, taken), transpose_a=True)
            return F.broadcast_div(sums, values_per_channel(F, values))
        # each group of each example by itself, then the mean over the examples
        grouped, patches = (
            F.reshape(F.reshape(each, shape=(0, -4, self.groups, -1, 0)), shape=(-3, 0, 0))
            for each in (values, self._patches(F, taken))
        )
        products = F.reshape(F.batch_dot(grouped, patches, transpose_b=True), shape=(-4, -1, self.groups, 0, 0))
        sums = F.reshape(mean_of_rows(F, F.reshape(products, shape=(0, -1))), shape=(-1, self.unit_size))
        return F.broadcast_div(sums, values_per_channel(F, F.slice_axis(values, axis=0, begin=0, end=1)))

    def _rows(self, F: Any, taken: Any) -> Any:
        """The patches of a dense layer, `(N, U)`, or those of all time steps of all examples, `(N T, U)`."""
        if self._layer._flatten:  # noqa: SLF001 - Gluon has no public name for it
            return F.reshape(taken, shape=(0, -1))
        return F.reshape(taken, shape=(-1, self.unit_size))

    def _patches(self, F: Any, taken: Any) -> Any:
        """The patches of a convolution, `(N, groups U, positions)`."""
        return F.im2col(taken, **{name: self._options[name] for name in ("kernel", "stride", "dilate", "pad")})
