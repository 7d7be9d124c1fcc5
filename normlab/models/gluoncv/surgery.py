"""Replace the norms of a Gluon network, and the activations after them if a norm takes them over."""

from __future__ import annotations

from typing import Any, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.errors import SpecError
from normlab.models.gluoncv.wiring import Shapes, Wiring
from normlab.models.layers import Dropout, GlobalAverage
from normlab.models.sites import Sites
from normlab.models.tree import children, find_all_blocks, substitute
from normlab.models.weights import WEIGHTED
from normlab.ops.activations import ACTIVATIONS, make_activation

nn = mxnet().gluon.nn

#: The common base of `BatchNorm`, `SyncBatchNorm` and `BatchNormReLU`.
BATCH_NORM = nn.basic_layers._BatchNorm  # noqa: SLF001 - there is no public base

#: The layout of a site by the number of axes of the norm's input and the axis of its channels.
_LAYOUTS = {(2, 1): "NC", (4, 1): "NCHW", (3, 2): "NTC"}
_OTHER_NORMS = ("GroupNorm", "InstanceNorm", "LayerNorm", "L2Normalization", "LRN")
_SHOWN = 3

#: Blocks that only apply an activation, by the name of their class in Gluon and GluonCV.
_BLOCKS = {
    "Activation": "",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
    "SELU": "selu",
    "GELU": "gelu",
    "Swish": "silu",
    "ReLU6": "relu6",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
}
#: Operators that apply an activation.
_OPERATORS = ("Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "softsign", "clip")
_OF_GLUON = {"softrelu": "softplus"}
#: The slope of normlab's own leaky_relu.
_SLOPE = 0.01


class Successor(NamedTuple):
    """The activation right after a norm.

    Attributes:
        activation: Name of the activation; `identity` if no activation follows.
        block: Structural name of the activation's block, or None if it can't be replaced: it is called inside another
            block, or used at another place without a norm as well.
    """

    activation: str
    block: str | None = None


def find_successor(wiring: Wiring, norm: str) -> Successor:
    """Find the activation right after a norm.

    Args:
        wiring: The network's graph.
        norm: Structural name of the norm's block.
    """
    outputs = wiring.operators_of(norm)
    consumers = sorted({consumer for number in outputs for consumer in wiring.consumers[number]})
    owners = {_activation_block(wiring, wiring.nodes[consumer].owner) for consumer in consumers}
    if len(owners) == 1:
        (owner,) = owners
        if owner is not None:
            block = owner if _only_after_norms(wiring, owner) else None
            return Successor(_activation_name(wiring.blocks[owner]), block)
    calls = any(wiring.nodes[consumer].operator in _OPERATORS for consumer in consumers)
    return Successor("activation" if calls or owners - {None} else "identity")


def is_norm(operator: str) -> bool:
    """Return whether an operator is one of MXNet's batch normalizations."""
    return "BatchNorm" in operator


def _activation_block(wiring: Wiring, owner: str) -> str | None:
    """Return the structural name of the outermost block around an operator that only applies an activation."""
    parts = owner.split(".")
    names = [".".join(parts[: end + 1]) for end in range(len(parts))]
    return next((name for name in names if type(wiring.blocks.get(name)).__name__ in _BLOCKS), None)


def _only_after_norms(wiring: Wiring, block: str) -> bool:
    inside = {
        number
        for number, node in enumerate(wiring.nodes)
        if node.operator != "null" and (node.owner == block or node.owner.startswith(f"{block}."))
    }
    sources = {source for number in inside for source in wiring.nodes[number].inputs[:1]} - inside
    return all(is_norm(wiring.nodes[source].operator) for source in sources)


def _activation_name(block: Any) -> str:
    kind = type(block).__name__
    if isinstance(block, nn.Activation):
        gluon_name: str = block._act_type  # noqa: SLF001 - Gluon has no public name for it
        return _OF_GLUON.get(gluon_name, gluon_name)
    if kind == "Activation":  # of GluonCV's MobileNet v3: a block around one of the others
        ((_, inner),) = children(block)
        return _activation_name(inner)
    if kind == "LeakyReLU" and block._alpha != _SLOPE:  # noqa: SLF001 - Gluon has no public name for it
        return f"leaky_relu of slope {block._alpha}"  # noqa: SLF001 - Gluon has no public name for it
    return _BLOCKS[kind]


def operate(block: Any, shapes: Shapes, sites: Sites, network: str) -> None:
    """Replace the norms, dropout and global average pooling of a network, wherever its blocks hold them.

    Args:
        block: The network, of plain Gluon blocks with known shapes.
        shapes: The shapes in the network.
        sites: Builds the sites, and records the added biases and the sites whose shift is lost.
        network: Name of the network, for messages.

    Raises:
        SpecError: A norm or a dropout can't be replaced, or the network can't host a norm.
    """
    operation = _Operation(block, shapes, sites, network)
    operation.check()
    operation.replace_norms()
    operation.replace_others()
    operation.finish()


class _Operation:
    def __init__(self, block: Any, shapes: Shapes, sites: Sites, network: str) -> None:
        self._block = block
        self._shapes = shapes.inputs
        self._sites = sites
        self._network = network
        self._wiring = Wiring(block)
        self._new: dict[int, Any] = {}
        self._lost: list[str] = []

    def check(self) -> None:
        """Refuse operators that can't be replaced because they are not blocks of their own."""
        for node in self._wiring.nodes:
            owner = self._wiring.blocks[node.owner]
            where = f"network {self._network}: block {node.owner or 'of the network itself'}"
            if is_norm(node.operator) and not isinstance(owner, BATCH_NORM):
                raise SpecError(f"{where} calls the operator {node.operator} itself, so it can't be replaced")
            if node.operator == "Dropout" and not isinstance(owner, nn.Dropout):
                raise SpecError(f"{where} calls the operator Dropout itself, which would also drop in eval mode")
            if node.operator in _OTHER_NORMS:
                raise SpecError(f"{where} has a norm of its own, {node.operator}; choose a network with BatchNorm")

    def replace_norms(self) -> None:
        """Replace every norm that runs by a site."""
        for name, norm in self._wiring.blocks.items():
            if isinstance(norm, BATCH_NORM) and self._wiring.operators_of(name):
                self._new[id(norm)] = self._site(name, norm)

    def _site(self, name: str, norm: Any) -> Any:
        channels, layout = self._place(name, norm)
        center = norm.beta.grad_req != "null"
        if center and not self._sites.brings_shift(channels, layout):
            self._keep_shift(name)
        return self._sites.norm(
            channels,
            layout,
            activation=self._activation(name, norm),
            gamma_initializer=norm.gamma.init,
            scale=norm.gamma.grad_req != "null",
            center=center,
            layer_before=self._layer_before(name),
        )

    def _layer_before(self, name: str) -> Any:
        """Return the layer whose output is the input of a norm; None if there is none or the norm is called twice."""
        found = [self._weighted(number) for number in self._wiring.operators_of(name)]
        return found[0] if len(found) == 1 else None

    def _weighted(self, number: int) -> Any:
        """Return the layer whose output is the input of an operator, or None."""
        source = self._wiring.nodes[self._wiring.nodes[number].inputs[0]]
        layer = self._wiring.blocks[source.owner]
        return layer if isinstance(layer, WEIGHTED) and source.operator != "null" else None

    def _place(self, name: str, norm: Any) -> tuple[int, str]:
        """Return the number of channels and the layout of a norm's site."""
        shape = next(iter(self._shapes[id(norm)]))
        # Gluon's SyncBatchNorm only supports axis 1
        axis = norm._kwargs.get("axis", 1) % len(shape)  # noqa: SLF001 - Gluon has no public name for it
        if (len(shape), axis) not in _LAYOUTS:
            raise SpecError(
                f"network {self._network}: norm {name} acts on axis {axis} of {len(shape)}; "
                f"expected one of the layouts {', '.join(_LAYOUTS.values())}"
            )
        return shape[axis], _LAYOUTS[len(shape), axis]

    def _activation(self, name: str, norm: Any) -> str:
        """Return the activation of a site: the norm's own, or the one after it if a norm takes it over."""
        if norm.fuse_relu:
            return "relu"
        if not self._sites.takes_activation:
            return "identity"
        after = find_successor(self._wiring, name)
        if after.activation == "identity":
            return "identity"
        if after.block is None:
            raise SpecError(
                f"network {self._network} calls the activation after {name} itself, or uses it at another place too, "
                f"and norm {self._sites.label} takes over the activation; choose model resnet, or "
                "a network that can host such norms according to docs/gluoncv.md"
            )
        if after.activation not in ACTIVATIONS and self._sites.needs_activation:
            raise SpecError(
                f"network {self._network} has the activation {after.activation} after {name}, and norm "
                f"{self._sites.label} applies it itself; expected one of {', '.join(ACTIVATIONS)}"
            )
        self._new[id(self._wiring.blocks[after.block])] = make_activation("identity")
        return after.activation

    def _keep_shift(self, name: str) -> None:
        """Add a bias to the layer before a site, in place of the shift that the new norm lacks."""
        for number in self._wiring.operators_of(name):
            layer = self._weighted(number)
            only_here = self._wiring.consumers[self._wiring.nodes[number].inputs[0]] == [number]
            if layer is None or not only_here:
                self._lost.append(name)
            elif layer.bias is None:
                self._sites.optional_biases.append(add_bias(layer))

    def replace_others(self) -> None:
        """Replace dropout and global average pooling."""
        for block in find_all_blocks(self._block):
            if isinstance(block, nn.Dropout):
                self._new[id(block)] = Dropout(block._rate, block._axes)  # noqa: SLF001 - no public names
            shapes = self._shapes.get(id(block), set())
            # a block that is used at several places may have different numbers of positions
            if isinstance(block, nn.GlobalAvgPool2D) and len(shapes) == 1:
                ((_, channels, height, width),) = shapes
                self._new[id(block)] = GlobalAverage(channels, height * width, keep_axes=True)

    def finish(self) -> None:
        """Substitute the new blocks, check that no norm remains, and note the shifts that are lost."""
        substitute(self._block, self._new)
        left = [block for block in find_all_blocks(self._block) if isinstance(block, BATCH_NORM)]
        if left:
            raise SpecError(
                f"network {self._network}: {len(left)} BatchNorm remain, the first {left[0].name}: they never run, or "
                "are held where they can't be replaced; choose another network"
            )
        if self._lost:
            shown = ", ".join(self._lost[:_SHOWN]) + (", ..." if len(self._lost) > _SHOWN else "")
            self._sites.notes.append(
                f"network {self._network}: {len(self._lost)} of its sites have no layer right before them that could "
                f"have a bias instead of the shift that norm {self._sites.label} lacks: {shown}"
            )


def add_bias(layer: Any) -> Any:
    """Add a bias, initialized to zeros, to a `Dense` or `Conv` layer that has none.

    Returns:
        The bias, a Gluon parameter.
    """
    layer.bias = layer.params.get("bias", shape=(layer.weight.shape[0],), init="zeros", allow_deferred_init=True)
    if not isinstance(layer, nn.Dense):
        layer._kwargs["no_bias"] = False  # noqa: SLF001 - Gluon has no public name for it
    return layer.bias
