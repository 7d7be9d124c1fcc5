"""A function of blocks compiled to MXNet graphs, in one mode."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Callable

from normlab.backend import tracing as norm_state
from normlab.backend.compiled import Compiled, Rewrite
from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import Trace

mx = mxnet()


class Graph:
    """One function of arrays and parameters, traced for its mode and then run as a whole.

    MXNet's own `hybridize()` traces once for training and prediction together; here each mode has its graph, so
    Python code in a norm may ask `self.training`. New states of norms come out of the graph as further outputs and
    are written when it returns. It is traced once, or once for each size of batch if a norm asks for that size.

    Args:
        function: `function(F, *inputs)` gives an array or symbol, or a tuple of them; it may call blocks.
        parameters: The Gluon parameters that it uses.
        training: Whether it is traced for training.
        hybridize: False to run it imperatively, operator by operator.
        freeze_state: Whether new states of norms are dropped instead of written.
        one_shape: Whether all calls have inputs of the same shapes, which lets operators be sent to the device many at
            a time; what an operator writes to its own inputs may only be read after `waitall()` then.
        rewrite: `rewrite(graph, shapes, inputs)` gives another graph for the same outputs, from the shapes of all
            variables and the names of those for the inputs; of graphs that nobody differentiates.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Iterable[Any],
        *,
        training: bool,
        hybridize: bool = True,
        freeze_state: bool = False,
        one_shape: bool = False,
        rewrite: Rewrite | None = None,
    ) -> None:
        self._function = function
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._training = training
        self._hybridize = hybridize
        self._freeze_state = freeze_state
        self._one_shape = one_shape
        self._rewrite = rewrite
        # by the number of examples where a method has asked for it, else by None
        self._compiled: dict[int | None, Compiled] = {}

    def __call__(self, *inputs: Any) -> list[Any]:
        """Run it.

        Args:
            *inputs: Arrays on one device, the batch first.

        Returns:
            Its outputs.
        """
        # Operators run in MXNet's training mode in both graphs; see normlab.backend.tracing.
        with nullcontext() if mx.autograd.is_training() else mx.autograd.train_mode():
            if not self._hybridize:
                return self._imperative(inputs)
            compiled = self._compiled_for(inputs)
            outputs = compiled(inputs)
        if compiled.states and not self._freeze_state and not norm_state.is_frozen():
            norm_state.write_all(zip(compiled.states, outputs[compiled.outputs :]))
        return outputs[: compiled.outputs]

    def _imperative(self, inputs: tuple[Any, ...]) -> list[Any]:
        with norm_state.tracing(Trace(self._training, frozen=self._freeze_state or norm_state.is_frozen())):
            outputs = self._function(mx.nd, *inputs)
        return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]

    def _compiled_for(self, inputs: tuple[Any, ...]) -> Compiled:
        compiled = self._compiled.get(None)
        if compiled is not None:
            return compiled
        batch_size = inputs[0].shape[0]
        if batch_size in self._compiled:
            return self._compiled[batch_size]
        compiled = Compiled(
            self._function,
            self._parameters,
            inputs,
            training=self._training,
            one_shape=self._one_shape,
            rewrite=self._rewrite,
        )
        self._compiled[batch_size if compiled.is_for_batch else None] = compiled
        return compiled
