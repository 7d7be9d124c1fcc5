"""A function of blocks compiled to one MXNet graph, in one mode."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from normlab import norm_state
from normlab.compat import mxnet
from normlab.norm_state import Constant, Trace
from normlab.training.guarding import no_compiled_functions

if TYPE_CHECKING:
    from collections.abc import Iterable

mx = mxnet()


class Graph:
    """One function of arrays and parameters, traced once for its mode and then run as a whole.

    MXNet's own `hybridize()` traces once for training and prediction together; here each mode has its graph, so
    Python code in a norm may ask `self.training`. New states of norms come out of the graph as further outputs and
    are written when it returns.

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
        rewrite: Callable[[Any, dict[str, tuple[int, ...]], list[str]], Any] | None = None,
    ) -> None:
        self._function = function
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._training = training
        self._hybridize = hybridize
        self._freeze_state = freeze_state
        self._one_shape = one_shape
        self._rewrite = rewrite
        self._op: Any = None
        self._arguments: list[tuple[str, Any]] = []
        self._fixed: dict[Any, list[Any]] = {}
        self._states: list[Any] = []
        self._outputs = 0
        self._wanted: dict[str, Constant] = {}
        self._shapes: dict[tuple[Any, ...], dict[str, tuple[int, ...]]] = {}
        self._constants: dict[tuple[Any, ...], Any] = {}

    def __call__(self, *inputs: Any) -> list[Any]:
        """Run it.

        Args:
            *inputs: Arrays on one device, the batch first.

        Returns:
            Its outputs.
        """
        # Operators run in MXNet's training mode in both graphs; see normlab.norm_state.
        with nullcontext() if mx.autograd.is_training() else mx.autograd.train_mode():
            if not self._hybridize:
                return self._imperative(inputs)
            if self._op is None:
                self._trace(inputs)
            outputs = self._op(*self._given(inputs))
        outputs = outputs if isinstance(outputs, list) else [outputs]
        if self._states and not self._freeze_state and not norm_state.is_frozen():
            norm_state.write_all(zip(self._states, outputs[self._outputs :]))
        return outputs[: self._outputs]

    def _imperative(self, inputs: tuple[Any, ...]) -> list[Any]:
        with norm_state.tracing(Trace(self._training, frozen=self._freeze_state or norm_state.is_frozen())):
            outputs = self._function(mx.nd, *inputs)
        return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]

    def _trace(self, inputs: tuple[Any, ...]) -> None:
        names = [f"normlab_input{index}" for index in range(len(inputs))]
        trace = Trace(self._training, symbolic=True)
        with norm_state.tracing(trace), no_compiled_functions():
            outputs = self._function(mx.sym, *map(mx.sym.var, names))
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        self._outputs = len(outputs)
        self._wanted = trace.constants
        self._states = [parameter for parameter, _ in trace.updates]
        graph = mx.sym.Group(outputs + [value for _, value in trace.updates])
        if self._rewrite is not None:
            arguments = self._bound(graph, names, trace)
            shapes = [self._argument(kind, what, inputs).shape for kind, what in arguments]
            graph = self._rewrite(graph, dict(zip(graph.list_inputs(), shapes)), names)
        self._arguments = self._bound(graph, names, trace)
        of_data = [index for index, (kind, _) in enumerate(self._arguments) if kind == "input"]
        of_parameters = [index for index, (kind, _) in enumerate(self._arguments) if kind != "input"]
        flags = [("data_indices", of_data), ("param_indices", of_parameters), ("static_alloc", True)]
        self._op = mx.nd.CachedOp(graph, [*flags, ("static_shape", self._one_shape)])

    def _bound(self, graph: Any, names: list[str], trace: Trace) -> list[tuple[str, Any]]:
        """What each of a graph's inputs stands for."""
        arguments: list[tuple[str, Any]] = []
        for name in graph.list_inputs():
            if name in names:
                arguments.append(("input", names.index(name)))
            elif name in trace.constants:
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
