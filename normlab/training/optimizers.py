"""Optimizers by name, with typed parameters; each gives one of MXNet's."""

from __future__ import annotations

from typing import Annotated, Any, Callable

from pydantic import Field, NonNegativeFloat, PositiveFloat

from normlab.compat import mxnet

Fraction = Annotated[float, Field(ge=0, lt=1)]


def sgd(
    *,
    learning_rate: PositiveFloat,
    momentum: Fraction = 0.0,
    weight_decay: NonNegativeFloat = 0.0,
) -> Any:
    """Stochastic gradient descent: `v = momentum v - learning_rate (g + weight_decay w)`, `w = w + v`.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that the next one keeps.
        weight_decay: Factor of the squared norm of the weights, times 1/2, in the loss.
    """
    return mxnet().optimizer.SGD(learning_rate=learning_rate, momentum=momentum, wd=weight_decay)


OPTIMIZERS: dict[str, Callable[..., Any]] = {function.__name__: function for function in (sgd,)}
