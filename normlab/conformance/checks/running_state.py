"""Check running state: it changes in the forward pass of a training step, once, and at no other time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array
from normlab.conformance.subjects.places import HOSTED
from normlab.conformance.subjects.specimen import PLAIN, Specimen


def _has_state(method: Any) -> bool:
    return any(declared.state for declared in method.declared.values())


def _has_constants(method: Any) -> bool:
    return any(not declared.trainable for declared in method.declared.values())


def _states(specimen: Specimen) -> dict[str, Array]:
    return {name: value for name, value in specimen.values().items() if name in specimen.states}


def _require_equal(values: Mapping[str, Array], others: Mapping[str, Array], message: str) -> None:
    for name, value in values.items():
        require(np.array_equal(value, others[name], equal_nan=True), message.format(name=name))


@check(*HOSTED, when=_has_state)
def state_moves_in_training(specimen: Specimen) -> None:
    """Every running state changes in the forward pass of a training step, compiled or not."""
    for how in (*specimen.ways_to_run, PLAIN):
        before = _states(specimen)
        specimen.run(specimen.inputs(how), training=True, how=how, frozen=False)
        for name, value in _states(specimen).items():
            require(
                not np.array_equal(value, before[name]),
                f"{how}: {name!r} did not change; pass its new value to self.update() if self.training",
            )


@check(*HOSTED, when=_has_constants)
def state_moves_once(specimen: Specimen) -> None:
    """A training step changes state by the same amount whether 0, 1 or 2 backward passes follow."""
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    start = specimen.values()
    for how in specimen.ways_to_run:
        specimen.assign(start)
        specimen.run(inputs, training=True, how=how, frozen=False)
        alone = specimen.values()
        for backwards in (1, 2):
            specimen.assign(start)
            specimen.run(inputs, training=True, how=how, frozen=False, cotangent=cotangent, backwards=backwards)
            _require_equal(
                alone,
                specimen.values(),
                f"{how}: after {backwards} backward passes {{name!r}} differs from its value after the forward pass "
                "alone; no operator may write to it, only self.update()",
            )


@check(*HOSTED, when=_has_constants)
def state_rests_in_prediction(specimen: Specimen) -> None:
    """A pass at inference, forward or backward, changes no state and no parameter."""
    inputs, cotangent = specimen.inputs("rest"), specimen.inputs("cotangent")[0]
    before = specimen.values()
    for how in (*specimen.ways_to_run, PLAIN):
        specimen.run(inputs, training=False, how=how, frozen=False, cotangent=cotangent)
        message = f"{how}: inference changed {{name!r}}; call self.update() only if self.training"
        _require_equal(before, specimen.values(), message)


@check(*HOSTED, when=_has_constants)
def frozen_state_rests(specimen: Specimen) -> None:
    """Under `frozen_state()`, a training pass changes no state and no parameter, and gives the same output."""
    inputs, cotangent = specimen.inputs("rest"), specimen.inputs("cotangent")[0]
    before = specimen.values()
    for how in (*specimen.ways_to_run, PLAIN):
        frozen = specimen.run(inputs, training=True, how=how, cotangent=cotangent)
        _require_equal(before, specimen.values(), f"{how}: {{name!r}} changed; only self.update() may change it")
        free = specimen.run(inputs, training=True, how=how, frozen=False)
        same = np.array_equal(frozen.output, free.output)
        require(same, f"{how}: the output is another one where state may change")
        specimen.assign(before)
