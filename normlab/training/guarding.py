"""Keep a method with a backward pass of its own from being compiled, which MXNet does wrongly or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from normlab.compat import mxnet
from normlab.errors import PluginBroken

if TYPE_CHECKING:
    from collections.abc import Iterator


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
