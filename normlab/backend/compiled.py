"""One trace of a function as an operator of MXNet's, with the arguments that it takes beside its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable

import numpy as np

from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import Trace, tracing
from normlab.errors import PluginBroken

#: Takes a graph, the shapes of all its variables and the names of its inputs, and returns another graph.
Rewrite = Callable[[Any, dict[str, tuple[int, ...]], list[str]], Any]

mx = mxnet()


class CompiledGraph:
    """One trace of a function.

    Args:
        function: `function(F, *inputs)` returns an array or symbol, or a tuple of them.
        parameters: The Gluon parameters that it uses, by name.
        inputs: Arrays of the first call; the first axis of the first is the batch.
        training: Whether to trace for training.
        one_shape: Whether the inputs of all calls have the same shapes.
        rewrite: Returns another graph with the same outputs.

    Attributes:
        states: The parameters whose new values follow the function's outputs.
        outputs: Number of outputs of the function.
        is_for_batch_size: Whether the graph is valid for batches of as many examples as the first one only.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Mapping[str, Any],
        inputs: tuple[Any, ...],
        *,
        training: bool,
        one_shape: bool,
        rewrite: Rewrite | None,
    ) -> None:
        names = [f"normlab_input{index}" for index in range(len(inputs))]
        trace = Trace(training, symbolic=True, batch_size=inputs[0].shape[0])
        with tracing(trace), no_compiled_functions():
            outputs = function(mx.sym, *map(mx.sym.var, names))
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        self.outputs = len(outputs)
        self.states = [parameter for parameter, _ in trace.updates]
        self.is_for_batch_size = trace.is_for_batch_size
        self._parameters = parameters
        self._constants = trace.constants
        self._fixed: dict[Any, list[Any]] = {}
        self._shapes: dict[tuple[Any, ...], dict[str, tuple[int, ...]]] = {}
        self._vectors: dict[tuple[Any, ...], Any] = {}
        graph = mx.sym.Group(outputs + [value for _, value in trace.updates])
        if rewrite is not None:
            sources = self._sources_of(graph, names)
            shapes = [self._argument(kind, key, inputs).shape for kind, key in sources]
            graph = rewrite(graph, dict(zip(graph.list_inputs(), shapes)), names)
        self._sources = self._sources_of(graph, names)
        of_data = [index for index, (kind, _) in enumerate(self._sources) if kind == "input"]
        of_parameters = [index for index, (kind, _) in enumerate(self._sources) if kind != "input"]
        flags = [("data_indices", of_data), ("param_indices", of_parameters), ("static_alloc", True)]
        self._op = mx.nd.CachedOp(graph, [*flags, ("static_shape", one_shape)])

    def __call__(self, inputs: tuple[Any, ...]) -> list[Any]:
        """Run the graph.

        Args:
            inputs: Arrays on one device; the first axis of the first is the batch.

        Returns:
            The function's outputs, then the new values of the states.
        """
        outputs = self._op(*self._arguments(inputs))
        return outputs if isinstance(outputs, list) else [outputs]

    def _sources_of(self, graph: Any, names: list[str]) -> list[tuple[str, Any]]:
        """Return where each argument of a graph comes from: its kind, and its index, name or parameter."""
        sources: list[tuple[str, Any]] = []
        for name in graph.list_inputs():
            if name in names:
                sources.append(("input", names.index(name)))
            elif name in self._constants:
                sources.append(("constant", name))
            else:
                sources.append(("parameter", self._parameters[name]))
        return sources

    def _arguments(self, inputs: tuple[Any, ...]) -> list[Any]:
        """Return the arguments of a call; the arrays of parameters are looked up in the first one only."""
        context = inputs[0].context
        if context not in self._fixed:
            self._fixed[context] = [key.data(context) if kind == "parameter" else None for kind, key in self._sources]
        return [
            self._argument(kind, key, inputs) if fixed is None else fixed
            for fixed, (kind, key) in zip(self._fixed[context], self._sources)
        ]

    def _argument(self, kind: str, key: Any, inputs: tuple[Any, ...]) -> Any:
        if kind == "input":
            return inputs[key]
        if kind == "parameter":
            return key.data(inputs[0].context)
        return self._constant(key, inputs)

    def _constant(self, name: str, inputs: tuple[Any, ...]) -> Any:
        first, constant = inputs[0], self._constants[name]
        shape = first.shape if constant.like is None else self._infer_shapes(inputs)[name]
        fill, length = constant.resolve(shape)
        key = (name, fill, length, first.context)
        if key not in self._vectors:
            # methods compute in float32 where activations are float16, and the first input may be indices
            dtype = "float64" if first.dtype == np.float64 else "float32"
            self._vectors[key] = mx.nd.full((length,), fill, ctx=first.context, dtype=dtype)
        return self._vectors[key]

    def _infer_shapes(self, inputs: tuple[Any, ...]) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the activations that constants depend on, by the constants' names."""
        key = tuple(array.shape for array in inputs)
        if key not in self._shapes:
            like = {name: constant.like for name, constant in self._constants.items() if constant.like is not None}
            group = mx.sym.Group(list(like.values()))
            known = {f"normlab_input{index}": shape for index, shape in enumerate(key)}
            known.update({name: parameter.shape for name, parameter in self._parameters.items()})
            for name, constant in self._constants.items():
                if not callable(constant.size):  # the sizes of the others are inferred from the operators
                    known[name] = (constant.size * key[0][0] if constant.per_example else constant.size,)
            needed = set(group.list_inputs())
            _, shapes, _ = group.infer_shape(**{name: shape for name, shape in known.items() if name in needed})
            self._shapes[key] = dict(zip(like, shapes))
        return self._shapes[key]


@contextmanager
def no_compiled_functions() -> Iterator[None]:
    """Raise PluginBroken if an `mx.autograd.Function` is called while a graph is traced.

    MXNet itself would lose the function's backward pass, or abort the process if it is recording.
    """
    function = mx.autograd.Function
    call = function.__call__

    def checked_call(self: Any, *inputs: Any) -> Any:
        if any(isinstance(value, mx.symbol.Symbol) for value in inputs):
            raise PluginBroken(
                f"{type(self).__name__}, an autograd.Function, can't be compiled; set hybridizable = False"
            )
        return call(self, *inputs)

    function.__call__ = checked_call
    try:
        yield
    finally:
        function.__call__ = call
