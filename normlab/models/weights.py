"""Normalize the weights of a network: replace its `Dense` and `Conv` layers by ones that use normalized weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import is_training
from normlab.catalog.signature import accepted
from normlab.errors import SpecError
from normlab.models.tree import children, named_blocks, own_parameters, substitute
from normlab.norms.blocks import WeightBlock

if TYPE_CHECKING:
    from normlab.spec import Part

mx = mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

#: The layers whose weights can be normalized. Gluon's convolutions share a private base.
WEIGHTED = (nn.Dense, nn.conv_layers._Conv)  # noqa: SLF001 - there is no public base


class WeightedLayer(HybridBlock):
    """A layer that uses its weight after normalization.

    Args:
        layer: The `Dense` or `Conv` layer, initialized and with known shapes.
        norms: Norms that act on weights, applied in order.
    """

    def __init__(self, layer: Any, norms: Sequence[Part]) -> None:
        super().__init__()
        self.layer = layer
        self._hosts = []
        self._is_transposed = getattr(layer, "_op_name", "") == "Deconvolution"
        self._groups = layer._kwargs["num_group"] if self._is_transposed else 1  # noqa: SLF001 - Gluon has no public name
        shape = self._to_units(mx.nd, layer.weight.list_data()[0]).shape
        for index, part in enumerate(norms):
            parameters = accepted(part.entry.weight, part.parameters)
            method = part.entry.weight(**parameters, out_channels=shape[0])
            host = WeightBlock(method, shape)
            self.register_child(host, f"norm{index}" if index else "norm")
            self._hosts.append(host)

    def method_parameters(self) -> dict[str, Any]:
        """Return the parameters of the methods, by name within this block."""
        return {
            f"{name}.{inner}": parameter
            for name, host in children(self)
            if isinstance(host, WeightBlock)
            for inner, parameter in own_parameters(host).items()
        }

    def start(self) -> None:
        """Initialize the parameters whose initial values depend on the weight."""
        for host in self._hosts:
            weight = self._to_units(mx.nd, self.layer.weight.list_data()[0]).asnumpy()
            for name, value in host.method.start(weight).items():
                own_parameters(host)[name].set_data(mx.nd.array(value))

    def forward(self, x: Any, *args: Any) -> Any:
        """Compute the layer on x, `(N, ...)`, an array or a symbol.

        Raises:
            SpecError: A transposed convolution would be trained: MXNet crashes in the backward pass of one with a
                computed weight.
        """
        if self._is_transposed and (mx.autograd.is_recording() or is_training()):
            raise SpecError(
                f"{self.layer.name}: MXNet 1.9.1 crashes in the backward pass of a transposed convolution with a "
                "normalized weight; choose another network or method, or use it only in eval mode"
            )
        parameters = own_parameters(self.layer).items()
        if isinstance(x, mx.nd.NDArray):
            F, values = mx.nd, {name: parameter.data(x.context) for name, parameter in parameters}
        else:
            F, values = mx.sym, {name: parameter.var() for name, parameter in parameters}
        weight = self._to_units(F, values["weight"])
        for host in self._hosts:
            weight = host(weight)
        values["weight"] = self._exchange(F, weight) if self._is_transposed else weight
        return self.layer.hybrid_forward(F, x, *args, **values)

    def _to_units(self, F: Any, weight: Any) -> Any:
        """Return the weight with the output units first, `(out, in / groups, kernel ...)`, as methods get it."""
        return self._exchange(F, weight) if self._is_transposed else weight

    def _exchange(self, F: Any, weight: Any) -> Any:
        """Exchange inputs and outputs: a transposed convolution has `(in, out / groups, kernel ...)`, and back."""
        grouped = F.reshape(weight, shape=(-4, self._groups, -1, -2))
        return F.reshape(F.swapaxes(grouped, dim1=1, dim2=2), shape=(-3, -2))

    def __repr__(self) -> str:
        return f"{self.layer!r} with {', '.join(type(host.method).__name__ for host in self._hosts)}"


def normalize_weights(block: Any, norms: Sequence[Part]) -> list[tuple[str, WeightedLayer]]:
    """Replace every `Dense` and `Conv` layer in a network, wherever it is held.

    Args:
        block: A network, initialized and with known shapes.
        norms: Norms that act on weights; without any, nothing is replaced.

    Returns:
        The structural name of each replaced layer, and the new layer.
    """
    if not norms:
        return []
    layers = {name: child for name, child in named_blocks(block).items() if isinstance(child, WEIGHTED)}
    weighted = {name: WeightedLayer(layer, norms) for name, layer in layers.items()}
    substitute(block, {id(layer): weighted[name] for name, layer in layers.items()})
    return list(weighted.items())
