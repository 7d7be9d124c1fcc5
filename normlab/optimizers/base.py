"""What an optimizer is to normlab: MXNet's own, and which parameters it spares weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field

#: The type of a factor below 1.
Fraction = Annotated[float, Field(ge=0, lt=1)]

_SCALE_AND_SHIFT = ("gamma", "beta")
_BIAS = ("bias",)


class Optimizer(NamedTuple):
    """An optimizer that is not yet told of its parameters.

    Attributes:
        rule: MXNet's optimizer, or one of `normlab.optimizers.rules`.
        spared: How the names of parameters begin that weight decay leaves alone.
        elementwise: Whether the step of an element depends on no other, so that parameters may be joined.
    """

    rule: Any
    spared: tuple[str, ...] = ()
    elementwise: bool = True

    def attached(self, parameters: Mapping[str, Any]) -> Any:
        """MXNet's optimizer, told of its parameters, which are told whether they decay.

        Args:
            parameters: Gluon parameters by structural name, in the order in which a `gluon.Trainer` will have them.
        """
        for name, parameter in parameters.items():
            parameter.wd_mult = 0.0 if _own(name).startswith(self.spared) else 1.0
        # LARS asks by name which parameters are none of a layer's weights
        others = (*_SCALE_AND_SHIFT, *_BIAS)
        self.rule.idx2name = {
            index: "bias" if _own(name).startswith(others) else name for index, name in enumerate(parameters)
        }
        return self.rule


def spared(*, decay_gamma_beta: bool, decay_bias: bool) -> tuple[str, ...]:
    """How the names of parameters begin that weight decay leaves alone."""
    return (() if decay_gamma_beta else _SCALE_AND_SHIFT) + (() if decay_bias else _BIAS)


def _own(name: str) -> str:
    """The last component of a structural name: `gamma` of `site0.norm.gamma`."""
    return name.rpartition(".")[2]
