"""A function of blocks, traced once: MXNet's compiled graph, and what it wants beside its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable

import numpy as np

from normlab.backend import tracing as norm_state
from normlab.backend.mxnet import mxnet
from normlab.backend.tracing import Trace
from normlab.errors import PluginBroken

Rewrite = Callable[[Any, dict[str, tuple[int, ...]], list[str]], Any]


mx = mxnet()


class Compiled:
    """One trace of a function.

    Args:
        function: `function(F, *inputs)` gives an array or symbol, or a tuple of them.
        parameters: The Gluon parameters that it uses, by name.
        inputs: Arrays of the first call, the batch first.
        training: Whether it is traced for training.
        one_shape: Whether all calls have inputs of the same shapes.
        rewrite: Gives another graph for the same outputs.

    Attributes:
        states: The parameters whose new values follow the function's outputs.
        outputs: How many outputs the function has.
        is_for_batch: Whether it serves batches of as many examples as the first one only.
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
        with norm_state.tracing(trace), no_compiled_functions():
            outputs = function(mx.sym, *map(mx.sym.var, names))
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        self.outputs = len(outputs)
        self.states = [parameter for parameter, _ in trace.updates]
        self.is_for_batch = trace.is_for_batch
        self._parameters = parameters
        self._wanted = trace.constants
        self._fixed: dict[Any, list[Any]] = {}
        self._shapes: dict[tuple[Any, ...], dict[str, tuple[int, ...]]] = {}
        self._constants: dict[tuple[Any, ...], Any] = {}
        graph = mx.sym.Group(outputs + [value for _, value in trace.updates])
        if rewrite is not None:
            arguments = self._bound(graph, names)
            shapes = [self._argument(kind, what, inputs).shape for kind, what in arguments]
            graph = rewrite(graph, dict(zip(graph.list_inputs(), shapes)), names)
        self._arguments = self._bound(graph, names)
        of_data = [index for index, (kind, _) in enumerate(self._arguments) if kind == "input"]
        of_parameters = [index for index, (kind, _) in enumerate(self._arguments) if kind != "input"]
        flags = [("data_indices", of_data), ("param_indices", of_parameters), ("static_alloc", True)]
        self._op = mx.nd.CachedOp(graph, [*flags, ("static_shape", one_shape)])

    def __call__(self, inputs: tuple[Any, ...]) -> list[Any]:
        """Run it.

        Args:
            inputs: Arrays on one device, the batch first.

        Returns:
            The function's outputs, then the new values of the states.
        """
        outputs = self._op(*self._given(inputs))
        return outputs if isinstance(outputs, list) else [outputs]

    def _bound(self, graph: Any, names: list[str]) -> list[tuple[str, Any]]:
        """What each of a graph's inputs stands for."""
        arguments: list[tuple[str, Any]] = []
        for name in graph.list_inputs():
            if name in names:
                arguments.append(("input", names.index(name)))
            elif name in self._wanted:
                arguments.append(("constant", name))
            else:
                arguments.append(("parameter", self._parameters[name]))
        return arguments

    def _given(self, inputs: tuple[Any, ...]) -> list[Any]:
        """What each of the graph's inputs is in this call; parameters stay where they were in the first one."""
        context = inputs[0].context
        if context not in self._fixed:
            self._fixed[context] = [
                what.data(context) if kind == "parameter" else None for kind, what in self._arguments
            ]
        return [
            self._argument(kind, what, inputs) if fixed is None else fixed
            for fixed, (kind, what) in zip(self._fixed[context], self._arguments)
        ]

    def _argument(self, kind: str, what: Any, inputs: tuple[Any, ...]) -> Any:
        if kind == "input":
            return inputs[what]
        if kind == "parameter":
            return what.data(inputs[0].context)
        return self._constant(what, inputs)

    def _constant(self, name: str, inputs: tuple[Any, ...]) -> Any:
        like, wanted = inputs[0], self._wanted[name]
        shape = like.shape if wanted.like is None else self._inferred(inputs)[name]
        fill, length = wanted.resolved(shape)
        found = (name, fill, length, like.context)
        if found not in self._constants:
            # methods compute in float32 where activations are float16, and the first input may be indices
            dtype = "float64" if like.dtype == np.float64 else "float32"
            self._constants[found] = mx.nd.full((length,), fill, ctx=like.context, dtype=dtype)
        return self._constants[found]

    def _inferred(self, inputs: tuple[Any, ...]) -> dict[str, tuple[int, ...]]:
        """The shapes of the activations that constants follow, by the constants' names."""
        given = tuple(array.shape for array in inputs)
        if given not in self._shapes:
            followed = {name: wanted.like for name, wanted in self._wanted.items() if wanted.like is not None}
            group = mx.sym.Group(list(followed.values()))
            known = {f"normlab_input{index}": shape for index, shape in enumerate(given)}
            known.update({name: parameter.shape for name, parameter in self._parameters.items()})
            for name, wanted in self._wanted.items():
                if not callable(wanted.size):  # the operators tell the sizes of the others
                    known[name] = (wanted.size * given[0][0] if wanted.per_example else wanted.size,)
            needed = set(group.list_inputs())
            _, shapes, _ = group.infer_shape(**{name: shape for name, shape in known.items() if name in needed})
            self._shapes[given] = dict(zip(followed, shapes))
        return self._shapes[given]


@contextmanager
def no_compiled_functions() -> Iterator[None]:
    """Inside, an `mx.autograd.Function` that is called while a graph is traced raises PluginBroken.

    MXNet itself forgets the function's backward pass then, or ends the process if it is recording.
    """
    mx = mxnet()
    function = mx.autograd.Function
    call = function.__call__

    def guarded(self: Any, *inputs: Any) -> Any:
        if any(isinstance(value, mx.symbol.Symbol) for value in inputs):
            raise PluginBroken(
                f"{type(self).__name__}, an autograd.Function, can't be compiled; set hybridizable = False"
            )
        return call(self, *inputs)

    function.__call__ = guarded
    try:
        yield
    finally:
        function.__call__ = call
