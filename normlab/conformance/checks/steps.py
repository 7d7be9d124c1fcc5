"""Checks of methods that act before or after an optimizer step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import close
from normlab.conformance.subjects.places import STEPPING

if TYPE_CHECKING:
    from normlab.conformance.subjects.stepper import Stepper


@check(*STEPPING)
def step_keeps_shape_and_type(stepper: Stepper) -> None:
    """For every parameter it gives a float32 array of the same shape."""
    for case in stepper.cases():
        done = stepper.run(case)
        require(done.shape == case.value.shape, f"{case.name}: {case.value.shape} became {done.shape}")
        require(done.dtype == np.float32, f"{case.name}: float32 became {done.dtype}")


@check(*STEPPING)
def step_is_finite(stepper: Stepper) -> None:
    """On zeros, and on values and gradients times 1e4 and 1e-4, what it gives is finite."""
    for scale in (0.0, 1e4, 1e-4):
        for case in stepper.cases(scale):
            require(np.isfinite(stepper.run(case)).all(), f"{case.name} times {scale:g}: the result is not finite")


@check(*STEPPING)
def step_shows_nan(stepper: Stepper) -> None:
    """A NaN among what it gets is not made a number, so that divergence is seen."""
    for case in stepper.cases():
        array = case.gradient if stepper.place.way == "gradient" else case.value
        spot = tuple(size // 2 for size in array.shape)
        array[spot] = np.nan
        found = stepper.run(case)[spot]
        require(np.isnan(found), f"{case.name}: NaN became {found:g}")


@check(*STEPPING)
def step_leaves_arguments_alone(stepper: Stepper) -> None:
    """It gives a new array, or the one that it got, and changes none in place."""
    for case in stepper.cases():
        arrays = stepper.arrays(case)
        before = [array.asnumpy() for array in arrays]
        stepper.call(case.name, arrays)
        same = all(np.array_equal(array.asnumpy(), value) for array, value in zip(arrays, before))
        require(same, f"{case.name}: an argument was changed in place")


@check(*STEPPING)
def step_repeats_itself(stepper: Stepper) -> None:
    """The same step twice, and on another instance that has seen other parameters, gives the same."""
    other = stepper.twin()
    for case in [*stepper.cases(0.1), *stepper.cases(10)]:
        other.run(case)
    for case in stepper.cases():
        once, twice, elsewhere = stepper.run(case), stepper.run(case), other.run(case)
        require(np.array_equal(once, twice), f"{case.name}: the second time it gives something else")
        require(np.array_equal(once, elsewhere), f"{case.name}: it depends on what it did before")


@check(*STEPPING)
def step_agrees_on_devices(stepper: Stepper) -> None:
    """On a second device it gives what it gives on the first, and there."""
    for case in stepper.cases():
        close(stepper.run(case, device=1), stepper.run(case), f"{case.name}: the second device gives something else")
        arrays = stepper.arrays(case, device=1)
        where = stepper.call(case.name, arrays).context
        require(where == arrays[0].context, f"{case.name}: from the second device the result goes to {where}")


@check(*STEPPING)
def step_acts(stepper: Stepper) -> None:
    """There is a parameter and a size at which it does something."""
    cases = [case for scale in (1.0, 1e2, 1e4) for case in stepper.cases(scale)]
    acts = any(not np.array_equal(stepper.run(case), stepper.before(case)) for case in cases)
    require(acts, "it leaves every parameter as it is")


@check("project")
def projecting_twice_is_projecting_once(stepper: Stepper) -> None:
    """A projection of what is projected already changes nothing but rounding."""
    for scale in (1.0, 1e2):
        for case in stepper.cases(scale):
            once = stepper.run(case)
            close(stepper.run(case._replace(value=once)), once, f"{case.name}: projecting again moves it further")
