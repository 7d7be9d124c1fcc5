"""What an optimizer is: typed parameters, and the rule by which a step changes a weight.

A formula says w for a weight, g for its gradient, t for the step counted from 1. Weight decay is added to the gradient,
`g = g + weight_decay w`, unless an optimizer says otherwise. The learning rate in a formula is that of the step, times
the factor that a norm may have declared for its parameter.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat

from normlab.backend.mxnet import mxnet

#: A share below 1.
Fraction = Annotated[float, Field(ge=0, lt=1)]

_SCALE_AND_SHIFT = ("gamma", "beta")
_BIAS = ("bias",)
#: Parameters of every optimizer that come after its own.
_LAST = ("weight_decay", "decay_gamma_beta", "decay_bias")


class Optimizer:
    """An optimizer before it knows the parameters that it changes.

    A subclass annotates its own parameters as class attributes, as a dataclass does, and either computes a step in
    `step` or returns an optimizer of MXNet's in `mxnet_optimizer`. The new weight must follow from the weight, its
    gradient, its state, the rate and the step alone, so that a run can resume from them.

    Args:
        learning_rate: Step size.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
        decay_gamma_beta: Whether scales and shifts of norms decay like weights.
        decay_bias: Whether biases decay like weights.
    """

    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    decay_gamma_beta: bool = True
    decay_bias: bool = True

    #: Arrays of state for each weight, of its shape, from 0.
    states: ClassVar[int] = 1
    #: Whether weight decay shrinks the weight before the step, instead of being part of the gradient.
    decoupled: ClassVar[bool] = False
    #: Whether the step of an element depends on no other element, so that parameters may be flattened into one.
    elementwise: ClassVar[bool] = True

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls) -> None:
        """Derive the signature, which is the schema of the optimizer's block in a spec."""
        hints = typing.get_type_hints(cls, include_extras=True)
        fields = [name for name, hint in hints.items() if typing.get_origin(hint) is not ClassVar]
        own = [name for name in fields if name not in {"learning_rate", *_LAST}]
        cls.__signature__ = inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=getattr(cls, name, inspect.Parameter.empty),
                    annotation=hints[name],
                )
                for name in ("learning_rate", *own, *_LAST)
            ]
        )

    def __init__(self, **parameters: Any) -> None:
        bound = self.__signature__.bind(**parameters)
        bound.apply_defaults()
        vars(self).update(bound.arguments)

    def attach(self, parameters: Mapping[str, Any]) -> Any:
        """Return an optimizer of MXNet's that knows which parameters decay.

        Args:
            parameters: Gluon parameters by structural name, in the order in which a `gluon.Trainer` will have them.
        """
        spared = (() if self.decay_gamma_beta else _SCALE_AND_SHIFT) + (() if self.decay_bias else _BIAS)
        for name, parameter in parameters.items():
            parameter.wd_mult = 0.0 if _last(name).startswith(spared) else 1.0
        attached = self.mxnet_optimizer()
        # LARS recognizes parameters that are not weights of a layer by their names
        others = (*_SCALE_AND_SHIFT, *_BIAS)
        attached.idx2name = {
            index: "bias" if _last(name).startswith(others) else name for index, name in enumerate(parameters)
        }
        return attached

    def mxnet_optimizer(self) -> Any:
        """Return an optimizer of MXNet's for a `gluon.Trainer`, by default one that calls `step`."""
        return _adapter()(self)

    def create_state(self, weight: Any) -> tuple[Any, ...]:
        """Return the state of one weight before the first step."""
        zeros = mxnet().nd.zeros
        return tuple(zeros(weight.shape, weight.context, dtype=weight.dtype) for _ in range(self.states))

    def step(self, weight: Any, gradient: Any, state: tuple[Any, ...], rate: float, step: int) -> None:
        """Change weight and state in place.

        Args:
            weight: The weight.
            gradient: Its gradient, weight decay included.
            state: Its state.
            rate: The learning rate.
            step: The step, counted from 1.
        """
        raise NotImplementedError


def move_average(average: Any, value: Any, keep: float) -> None:
    """Move an average towards a value, in place: keep average + (1 - keep) value."""
    average *= keep
    average += (1 - keep) * value


def _last(name: str) -> str:
    """Return the last component of a structural name: `gamma` of `site0.norm.gamma`."""
    return name.rpartition(".")[2]


@cache
def _adapter() -> Any:
    base: Any = mxnet().optimizer.Optimizer

    class Adapter(base):
        """Calls the rule of an `Optimizer` from a `gluon.Trainer`."""

        def __init__(self, optimizer: Optimizer) -> None:
            super().__init__(learning_rate=optimizer.learning_rate, wd=optimizer.weight_decay)
            self._optimizer = optimizer

        def create_state(self, index: int, weight: Any) -> tuple[Any, ...]:  # noqa: ARG002 - MXNet's signature
            return self._optimizer.create_state(weight)

        def update(self, index: int, weight: Any, grad: Any, state: tuple[Any, ...]) -> None:
            self._update_count(index)
            rate, decay = self._get_lr(index), self._get_wd(index)
            if decay and self._optimizer.decoupled:
                weight *= 1 - rate * decay
            elif decay:
                grad = grad + decay * weight
            self._optimizer.step(weight, grad, state, rate, self._index_update_count[index])

    return Adapter
