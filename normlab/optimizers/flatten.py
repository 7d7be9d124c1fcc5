"""Flatten parameters into one, so that an elementwise optimizer takes one call a step instead of one a parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from normlab.backend.mxnet import mxnet

mx = mxnet()

#: Elements to which the start of each parameter is rounded up, 64 bytes of float32.
_ALIGNED = 16


def flatten(parameters: Mapping[str, Any], contexts: Sequence[Any]) -> dict[str, Any]:
    """Flatten the parameters that an optimizer treats alike into one; from then on each is a view of a part of it.

    Args:
        parameters: Gluon parameters by structural name, initialized, with gradients.
        contexts: The devices that they are on.

    Returns:
        The flat parameters, `(1, length)`, as products take them (see `SGD`). The gaps between the parts stay 0, as
        their gradients do.
    """
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for parameter in parameters.values():
        kind = (parameter.lr_mult, parameter.wd_mult, str(parameter.data(contexts[0]).dtype))
        groups.setdefault(kind, []).append(parameter)
    return {
        f"joined{index}": _flatten_alike(f"joined{index}", parts, contexts)
        for index, parts in enumerate(groups.values())
    }


def _flatten_alike(name: str, parts: Sequence[Any], contexts: Sequence[Any]) -> Any:
    starts, length = [], 0
    for part in parts:
        starts.append(length)
        length += -(-math.prod(part.shape) // _ALIGNED) * _ALIGNED
    first = parts[0]
    whole = mx.gluon.Parameter(
        name, shape=(1, length), dtype=first.dtype, init="zeros", lr_mult=first.lr_mult, wd_mult=first.wd_mult
    )
    whole.initialize(ctx=list(contexts))
    for part, start in zip(parts, starts):
        values, gradients = (
            [array[0][start : start + math.prod(part.shape)].reshape(part.shape) for array in arrays]
            for arrays in (whole.list_data(), whole.list_grad())
        )
        for old, new in zip(part.list_data(), values):
            old.copyto(new)
        # Gluon has no public way to set the arrays of a parameter
        part._data[:], part._grad[:] = values, gradients  # noqa: SLF001 - see above
        mx.autograd.mark_variables(values, gradients, part.grad_req)
    return whole
