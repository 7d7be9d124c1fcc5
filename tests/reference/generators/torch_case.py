"""Run a PyTorch module in float64 through the passes of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import torch
from reference import inputs
from reference.archive import Case, Header, Pass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

#: Shapes without the examples, and the axis of channels, by layout.
SHAPES = {"NC": ((6,), 1), "NCHW": ((6, 3, 2), 1), "NTC": ((3, 6), 2)}
AFFINE = {"gamma": "weight", "beta": "bias"}
RUNNING = {"running_mean": "running_mean", "running_var": "running_var"}

#: Whatever else a call may name.
NAMES: dict[str, Any] = {"torch": torch}


def made(call: str) -> torch.nn.Module:
    """The module that a call makes, so that what a header says was called is what was called."""
    module: torch.nn.Module = eval(call, dict(NAMES))  # noqa: S307 - our own words
    return module


def layer(
    case: str,
    layout: str,
    call: str,
    names: Mapping[str, str],
    states: Mapping[str, str] | None = None,
    *,
    wants: int = 1,
    note: str = "",
) -> Case:
    """A case of a module at a site.

    Args:
        case: Its name.
        layout: Where the site is.
        call: What makes the module.
        names: The module's names of parameters by ours; those that it has not, it has not.
        states: The module's names of buffers by ours; without any the passes are fewer.
        wants: The axis at which the module wants the channels.
        note: What one should know of it.
    """
    module = made(call)
    (shape, axis) = SHAPES[layout]
    parameters = {ours: getattr(module, theirs) for ours, theirs in names.items()}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    return run(
        Header(case, layout, call, note=note),
        inputs.batches(case, shape, axis, inputs.BATCHES if states else inputs.STATELESS),
        module,
        parameters,
        {ours: getattr(module, theirs) for ours, theirs in (states or {}).items()},
        forward=lambda x: module(x.movedim(axis, wants)).movedim(wants, axis),
    )


def run(
    header: Header,
    passes: Sequence[tuple[Any, Any]],
    module: torch.nn.Module,
    parameters: Mapping[str, torch.Tensor],
    states: Mapping[str, torch.Tensor] | None = None,
    *,
    forward: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Case:
    """Compute a case.

    Args:
        header: Its header.
        passes: Inputs and cotangents; the last pass is in predict mode.
        module: The module, whose mode is set for each pass.
        parameters: Its parameters by normlab's names, which are given values first.
        states: Its buffers by normlab's names.
        forward: What to call instead of the module.
    """
    states = states or {}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.tensor(inputs.parameter(header.case, name, parameter.shape)))
    start = {name: array(value) for name, value in states.items()}
    done = []
    for index, (x, cotangent) in enumerate(passes):
        module.train(index < len(passes) - 1)
        for parameter in parameters.values():
            parameter.grad = None
        x_in = torch.tensor(x, requires_grad=True)
        y = (forward or module)(x_in)
        y.backward(torch.tensor(cotangent))
        gradients = {name: array(parameter.grad) for name, parameter in parameters.items()}
        told = {name: array(value) for name, value in states.items()}
        done.append(Pass(x, cotangent, array(y), array(x_in.grad), gradients, told))
    return Case(header, {name: array(value) for name, value in parameters.items()}, start, done[:-1], done[-1])


def array(value: torch.Tensor) -> Any:
    """A float64 tensor as a NumPy array of its own; a number as an array of one."""
    found = np.atleast_1d(value.detach().numpy().copy())
    assert found.dtype == np.float64, found.dtype
    return found
