"""For methods whose backward pass is their own, not the derivative of the forward pass, and moves state of its own.

MXNet runs such a backward pass in a thread of its own, some time after `backward()` has returned. So it must not write
into a state itself: whoever reads that next could come first. Here each such state is the place where MXNet puts the
gradient of a probe, an input that does nothing. What the backward pass gives as that gradient is the state's new
value, and MXNet keeps the order of reading and writing as for any other gradient. A second backward pass over the same
forward pass writes the same value again.
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
    """Compute a forward pass that is not recorded, to whose output a backward pass belongs.

    The backward pass may use x, what the forward pass has computed and what it was given. It must not use another
    parameter or state: the optimizer's change of it may wait for this very pass, which would then wait for ever.

    A method that calls this declares `hybridizable = False`.

    Args:
        forward: From copies of parameters and states, to the output, a new array, and the backward pass. That gives the
            gradients of x and of the parameters, and then the new values of the states.
        x: Activations.
        parameters: The parameters that get a gradient.
        states: The states that the backward pass moves, as `hybrid_forward` gets them.

    Returns:
        The output.

    Raises:
        PluginBroken: x is a symbol.
    """
    mx = mxnet()
    if isinstance(x, mx.symbol.Symbol):
        return _function()(forward, (), 0)(x)  # refused by MXNet, or before it by the graph
    # what is handed on as well is what nobody else writes to
    copies = [array.copy() for array in (*parameters, *states)]
    probes = []
    if mx.autograd.is_recording() and not is_frozen():
        probes = [state.zeros_like() for state in states]
        mx.autograd.mark_variables(probes, list(states), "write")
    y = _function()(forward, copies, 1 + len(parameters) + len(probes))(x, *parameters, *probes)
    # where a convolution follows, its gradient is in oneDNN's own layout, of which the backward pass would not be told
    return reshape_back(mx.nd, y, x)


@cache
def _function() -> Any:
    base: Any = mxnet().autograd.Function

    class OwnBackward(base):
        """A forward pass and what it says its backward pass is."""

        def __init__(self, forward: Callable[..., tuple[Any, Backward]], copies: Sequence[Any], wanted: int) -> None:
            super().__init__()
            self._forward = forward
            self._copies = copies
            self._wanted = wanted

        def forward(self, *_: Any) -> Any:
            output, self._backward = self._forward(*self._copies)
            return output

        def backward(self, gradient: Any) -> tuple[Any, ...]:
            return tuple(self._backward(gradient))[: self._wanted]

    return OwnBackward
