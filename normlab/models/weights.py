"""Put methods that act on weights into a network: its `Dense` and `Conv` layers compute with what the method gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.catalog.signature import accepted
from normlab.compat import mxnet
from normlab.norm_block import WeightBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from normlab.models.sites import ChosenNorm

mx = mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

#: The layers whose weights can be normalized. Gluon's convolutions share a private base.
WEIGHTED = (nn.Dense, nn.conv_layers._Conv)  # noqa: SLF001 - there is no public base


class WeightedLayer(HybridBlock):
    """A layer that computes with its weight after a method.

    Args:
        layer: The `Dense` or `Conv` layer, initialized, its shapes known.
        chosen: The methods, applied in order.
    """

    def __init__(self, layer: Any, chosen: Sequence[ChosenNorm]) -> None:
        super().__init__()
        self.layer = layer
        self._methods = []
        for index, (norm, parameters) in enumerate(chosen):
            assert norm.weight is not None  # noqa: S101 - only such norms are passed
            method = norm.weight(**accepted(norm.weight, parameters), out_channels=layer.weight.shape[0])
            host = WeightBlock(method)
            self.register_child(host, f"norm{index}" if index else "norm")
            self._methods.append(host)

    def own_parameters(self) -> dict[str, Any]:
        """The parameters of the methods, by name within this block."""
        return {
            f"{name}.{inner}": parameter
            for name, host in self._children.items()
            if isinstance(host, WeightBlock)
            for inner, parameter in host._reg_params.items()  # noqa: SLF001 - Gluon has no public name
        }

    def start(self) -> None:
        """Give parameters that start from the weight their values."""
        for host in self._methods:
            for name, value in host.method.start(self.layer.weight.list_data()[0].asnumpy()).items():
                host._reg_params[name].set_data(mx.nd.array(value))  # noqa: SLF001 - Gluon has no public name

    def forward(self, x: Any, *args: Any) -> Any:
        """Compute the layer on x, `(N, ...)`, array or symbol."""
        parameters = self.layer._reg_params.items()  # noqa: SLF001 - Gluon has no public name
        if isinstance(x, mx.nd.NDArray):
            F, values = mx.nd, {name: parameter.data(x.context) for name, parameter in parameters}
        else:
            F, values = mx.sym, {name: parameter.var() for name, parameter in parameters}
        for host in self._methods:
            values["weight"] = host(values["weight"])
        return self.layer.hybrid_forward(F, x, *args, **values)

    def __repr__(self) -> str:
        return f"{self.layer!r} with {', '.join(type(host.method).__name__ for host in self._methods)}"


def normalize_weights(block: Any, chosen: Sequence[ChosenNorm]) -> Iterator[tuple[str, WeightedLayer]]:
    """Replace every weighted layer inside a block.

    Args:
        block: A network, initialized, its shapes known.
        chosen: Methods with a weight way; with none nothing is replaced.

    Yields:
        The structural name of each layer, and what stands in its place.
    """
    if chosen:
        yield from _replace(block, "", chosen)


def _replace(block: Any, prefix: str, chosen: Sequence[ChosenNorm]) -> Iterator[tuple[str, WeightedLayer]]:
    for name, child in list(block._children.items()):  # noqa: SLF001 - Gluon has no public name for children
        if isinstance(child, WEIGHTED):
            weighted = WeightedLayer(child, chosen)
            set_child(block, name, weighted)
            yield f"{prefix}{name}", weighted
        else:
            yield from _replace(child, f"{prefix}{name}.", chosen)


def set_child(block: Any, name: str, child: Any) -> None:
    """Put another block in a child's place, where the block lists it and where it is an attribute."""
    old = block._children[name]  # noqa: SLF001 - Gluon has no public name for children
    block._children[name] = child  # noqa: SLF001 - Gluon has no public name for children
    for attribute, value in list(vars(block).items()):
        if value is old:
            # Gluon's own __setattr__ refuses another type
            object.__setattr__(block, attribute, child)
