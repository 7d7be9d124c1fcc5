"""What stands right after a norm of a Gluon network: an activation that can be taken out, one that can't, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.models.tree import children

if TYPE_CHECKING:
    from normlab.models.gluoncv.wiring import Wiring

nn = mxnet().gluon.nn

#: Blocks that are an activation and nothing else, by the name of their class in Gluon and GluonCV.
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
#: Operators that are activations wherever they are called.
_OPERATORS = ("Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "softsign", "clip")
_OF_GLUON = {"softrelu": "softplus"}
#: The slope of normlab's own leaky_relu.
_SLOPE = 0.01


class Following(NamedTuple):
    """What stands right after a norm.

    Attributes:
        activation: Its name; `identity` if what follows is no activation.
        block: Structural name of the block that is the activation, or None if it is no block of its own: it is called
            inside another, or shared with a place where there is no norm.
    """

    activation: str
    block: str | None = None


def following(wiring: Wiring, norm: str) -> Following:
    """Find what stands right after a norm.

    Args:
        wiring: The network's graph.
        norm: Structural name of the norm's block.
    """
    outputs = wiring.numbers(norm)
    consumers = sorted({consumer for number in outputs for consumer in wiring.consumers[number]})
    owners = {_activation_block(wiring, wiring.nodes[consumer].owner) for consumer in consumers}
    if len(owners) == 1:
        (owner,) = owners
        if owner is not None:
            block = owner if _only_after_norms(wiring, owner) else None
            return Following(_name(wiring.blocks[owner]), block)
    calls = any(wiring.nodes[consumer].operator in _OPERATORS for consumer in consumers)
    return Following("activation" if calls or owners - {None} else "identity")


def is_norm(operator: str) -> bool:
    """Whether an operator is one of MXNet's batch normalizations."""
    return "BatchNorm" in operator


def _activation_block(wiring: Wiring, owner: str) -> str | None:
    """The outermost block around an operator that is an activation and nothing else."""
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


def _name(block: Any) -> str:
    kind = type(block).__name__
    if isinstance(block, nn.Activation):
        gluon_name: str = block._act_type  # noqa: SLF001 - Gluon has no public name for it
        return _OF_GLUON.get(gluon_name, gluon_name)
    if kind == "Activation":  # of GluonCV's MobileNet v3: a block around one of the others
        ((_, inner),) = children(block)
        return _name(inner)
    if kind == "LeakyReLU" and block._alpha != _SLOPE:  # noqa: SLF001 - Gluon has no public name for it
        return f"leaky_relu of slope {block._alpha}"  # noqa: SLF001 - Gluon has no public name for it
    return _BLOCKS[kind]
