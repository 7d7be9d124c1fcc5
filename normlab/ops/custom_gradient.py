"""A custom backward pass, which is not the derivative of the forward pass and may update state.

MXNet runs a custom backward pass in another thread, possibly after `backward()` has returned. The pass must not write
to a state itself, because the next reader could come first. Instead, each state is the gradient buffer of a probe: an
input without effect, whose gradient is the new value of the state. MXNet then orders reads and writes as for any other
gradient. A second backward pass over the same forward pass writes the same value again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import is_frozen
from normlab.ops.channelwise import reshape_back

Backward = Callable[[Any], Sequence[Any]]


def apply_custom_gradient(
    forward: Callable[..., tuple[Any, Backward]], x: Any, parameters: Sequence[Any], states: Sequence[Any] = ()
) -> Any:
    """Run a forward pass without recording, and attach a backward pass to its output.

    The backward pass may use x, the arguments of `forward` and what `forward` has computed. It must not use another
    parameter or state: the optimizer's update of that may be waiting for this backward pass, which is a deadlock.

    A method that calls this must declare `hybridizable = False`.

    Args:
        forward: Takes copies of parameters and states, and returns the output, a new array, and the backward pass. That
            takes the gradient of the output, and returns the gradients of x and of the parameters, and then the new
            values of the states.
        x: Activations.
        parameters: The parameters that have a gradient.
        states: The states that the backward pass updates, as `hybrid_forward` receives them.

    Returns:
        The output.

    Raises:
        PluginBroken: x is a symbol.
    """
    mx = mxnet()
    if isinstance(x, mx.symbol.Symbol):
        return _function()(forward, (), 0)(x)  # the graph or MXNet raises an error
    # copies, because other operators write to the originals
    copies = [array.copy() for array in (*parameters, *states)]
    probes = []
    if mx.autograd.is_recording() and not is_frozen():
        probes = [state.zeros_like() for state in states]
        mx.autograd.mark_variables(probes, list(states), "write")
    y = _function()(forward, copies, 1 + len(parameters) + len(probes))(x, *parameters, *probes)
    # if a convolution follows, the gradient is in oneDNN's own layout, which the backward pass would misread
    return reshape_back(mx.nd, y, x)


@cache
def _function() -> Any:
    base: Any = mxnet().autograd.Function

    class CustomGradient(base):
        """A forward pass that returns its backward pass."""

        def __init__(self, forward: Callable[..., tuple[Any, Backward]], copies: Sequence[Any], gradients: int) -> None:
            super().__init__()
            self._forward = forward
            self._copies = copies
            self._gradients = gradients

        def forward(self, *_: Any) -> Any:
            output, self._backward = self._forward(*self._copies)
            return output

        def backward(self, gradient: Any) -> tuple[Any, ...]:
            return tuple(self._backward(gradient))[: self._gradients]

    return CustomGradient
