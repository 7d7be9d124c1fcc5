"""A network or function that is compiled once for training and once for evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Callable

from normlab.backend import tracing
from normlab.backend.compiled import CompiledGraph, Rewrite
from normlab.backend.mxnet import mxnet

mx = mxnet()


class Graph:
    """A network, or a function of arrays and parameters, compiled for one mode and run as a whole.

    MXNet's `hybridize()` traces a network once for training and evaluation together. Here each mode has a graph of its
    own, so Python code in a norm may test `self.training`. New states of norms are further outputs of the graph and
    are written when it returns. A graph is traced on its first call, or once for each batch size if a norm uses
    `batch_size()`.

        step, evaluate = (normlab.Graph(network, training=training) for training in (True, False))
        with mxnet.autograd.record():
            loss = loss_function(step(x)[0], labels)

    Args:
        function: A Gluon block; or `function(F, *inputs)`, which may call blocks and returns an array or symbol, or a
            tuple of them. The shapes of all parameters must be known: call a new block once before it is compiled.
        parameters: The Gluon parameters that the function uses; by default those of the block.
        training: Whether to trace for training.
        hybridize: False to run imperatively, operator by operator.
        freeze_state: Whether to drop new states of norms instead of writing them.
        one_shape: Whether the inputs of all calls have the same shapes, so that MXNet can run several operators at a
            time. What an operator writes to its own inputs may then be read after `waitall()` only.
        rewrite: `rewrite(graph, shapes, inputs)` returns another graph with the same outputs, given the shapes of all
            variables and the names of the inputs; for graphs that are not differentiated.
    """

    def __init__(
        self,
        function: Any,
        parameters: Iterable[Any] | None = None,
        *,
        training: bool,
        hybridize: bool = True,
        freeze_state: bool = False,
        one_shape: bool = False,
        rewrite: Rewrite | None = None,
    ) -> None:
        if parameters is None:
            parameters = function.collect_params().values()
        self._function = _function_of(function) if isinstance(function, mx.gluon.Block) else function
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._training = training
        self._hybridize = hybridize
        self._freeze_state = freeze_state
        self._one_shape = one_shape
        self._rewrite = rewrite
        # by batch size if a norm uses it, else by None
        self._compiled: dict[int | None, CompiledGraph] = {}

    def __call__(self, *inputs: Any) -> list[Any]:
        """Run the graph.

        Args:
            *inputs: Arrays on one device; the first axis of the first is the batch.

        Returns:
            The outputs.
        """
        # operators run in MXNet's training mode in both graphs; see normlab.backend.tracing
        with nullcontext() if mx.autograd.is_training() else mx.autograd.train_mode():
            if not self._hybridize:
                return self._run_imperatively(inputs)
            compiled = self._compile(inputs)
            outputs = compiled(inputs)
        if compiled.states and not self._freeze_state and not tracing.is_frozen():
            tracing.write_states(zip(compiled.states, outputs[compiled.outputs :]))
        return outputs[: compiled.outputs]

    def _run_imperatively(self, inputs: tuple[Any, ...]) -> list[Any]:
        frozen = self._freeze_state or tracing.is_frozen()
        with tracing.tracing(tracing.Trace(self._training, frozen=frozen)):
            outputs = self._function(mx.nd, *inputs)
        return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]

    def _compile(self, inputs: tuple[Any, ...]) -> CompiledGraph:
        """Return the compiled graph for these inputs, compiling it if there is none yet."""
        compiled = self._compiled.get(None)
        if compiled is not None:
            return compiled
        batch_size = inputs[0].shape[0]
        if batch_size in self._compiled:
            return self._compiled[batch_size]
        compiled = CompiledGraph(
            self._function,
            self._parameters,
            inputs,
            training=self._training,
            one_shape=self._one_shape,
            rewrite=self._rewrite,
        )
        self._compiled[batch_size if compiled.is_for_batch_size else None] = compiled
        return compiled


def _function_of(block: Any) -> Callable[..., Any]:
    return lambda _, *inputs: block(*inputs)
