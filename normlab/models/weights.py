"""Put methods that act on weights into a network: its `Dense` and `Conv` layers compute with what the method gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import accepted
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
    """A layer that computes with its weight after a method.

    Args:
        layer: The `Dense` or `Conv` layer, initialized, its shapes known.
        norms: Norms with a weight way, applied in order.
    """

    def __init__(self, layer: Any, norms: Sequence[Part]) -> None:
        super().__init__()
        self.layer = layer
        self._hosts = []
        for index, part in enumerate(norms):
            parameters = accepted(part.entry.weight, part.parameters)
            method = part.entry.weight(**parameters, out_channels=layer.weight.shape[0])
            host = WeightBlock(method, layer.weight.shape)
            self.register_child(host, f"norm{index}" if index else "norm")
            self._hosts.append(host)

    def method_parameters(self) -> dict[str, Any]:
        """The parameters of the methods, by name within this block."""
        return {
            f"{name}.{inner}": parameter
            for name, host in children(self)
            if isinstance(host, WeightBlock)
            for inner, parameter in own_parameters(host).items()
        }

    def start(self) -> None:
        """Give parameters that start from the weight their values."""
        for host in self._hosts:
            for name, value in host.method.start(self.layer.weight.list_data()[0].asnumpy()).items():
                own_parameters(host)[name].set_data(mx.nd.array(value))

    def forward(self, x: Any, *args: Any) -> Any:
        """Compute the layer on x, `(N, ...)`, array or symbol."""
        parameters = own_parameters(self.layer).items()
        if isinstance(x, mx.nd.NDArray):
            F, values = mx.nd, {name: parameter.data(x.context) for name, parameter in parameters}
        else:
            F, values = mx.sym, {name: parameter.var() for name, parameter in parameters}
        for host in self._hosts:
            values["weight"] = host(values["weight"])
        return self.layer.hybrid_forward(F, x, *args, **values)

    def __repr__(self) -> str:
        return f"{self.layer!r} with {', '.join(type(host.method).__name__ for host in self._hosts)}"


def normalize_weights(block: Any, norms: Sequence[Part]) -> list[tuple[str, WeightedLayer]]:
    """Replace every weighted layer inside a block, wherever the block holds it.

    Args:
        block: A network, initialized, its shapes known.
        norms: Norms with a weight way; without any nothing is replaced.

    Returns:
        The structural name of each layer, and what stands in its place.
    """
    if not norms:
        return []
    layers = {name: child for name, child in named_blocks(block).items() if isinstance(child, WEIGHTED)}
    weighted = {name: WeightedLayer(layer, norms) for name, layer in layers.items()}
    substitute(block, {id(layer): weighted[name] for name, layer in layers.items()})
    return list(weighted.items())
