"""Check methods that act before or after an optimizer step."""

from __future__ import annotations

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import require_close
from normlab.conformance.subjects.places import STEPPING
from normlab.conformance.subjects.stepper import Stepper


@check(*STEPPING)
def step_keeps_shape_and_type(stepper: Stepper) -> None:
    """For every parameter it returns a float32 array of the same shape."""
    for case in stepper.cases():
        done = stepper.run(case)
        require(done.shape == case.value.shape, f"{case.name}: {case.value.shape} became {done.shape}")
        require(done.dtype == np.float32, f"{case.name}: float32 became {done.dtype}")


@check(*STEPPING)
def step_is_finite(stepper: Stepper) -> None:
    """For zeros, and for values and gradients times 1e4 and 1e-4, the result is finite."""
    for scale in (0.0, 1e4, 1e-4):
        for case in stepper.cases(scale):
            require(np.isfinite(stepper.run(case)).all(), f"{case.name} times {scale:g}: the result is not finite")


@check(*STEPPING)
def step_shows_nan(stepper: Stepper) -> None:
    """NaN in its input is NaN in the result, so that divergence is noticed."""
    for case in stepper.cases():
        array = case.gradient if stepper.place.way == "gradient" else case.value
        spot = tuple(size // 2 for size in array.shape)
        array[spot] = np.nan
        found = stepper.run(case)[spot]
        require(np.isnan(found), f"{case.name}: NaN became {found:g}")


@check(*STEPPING)
def step_leaves_arguments_alone(stepper: Stepper) -> None:
    """It returns a new array or its argument, and changes none in place."""
    for case in stepper.cases():
        arrays = stepper.arrays(case)
        before = [array.asnumpy() for array in arrays]
        stepper.call(case.name, arrays)
        same = all(np.array_equal(array.asnumpy(), value) for array, value in zip(arrays, before))
        require(same, f"{case.name}: an argument was changed in place")


@check(*STEPPING)
def step_repeats_itself(stepper: Stepper) -> None:
    """The same step gives the same result a second time, and on another instance that has seen other parameters."""
    other = stepper.copy()
    for case in [*stepper.cases(0.1), *stepper.cases(10)]:
        other.run(case)
    for case in stepper.cases():
        once, twice, elsewhere = stepper.run(case), stepper.run(case), other.run(case)
        require(np.array_equal(once, twice), f"{case.name}: the second time the result is another one")
        require(np.array_equal(once, elsewhere), f"{case.name}: the result depends on earlier steps")


@check(*STEPPING)
def step_agrees_on_devices(stepper: Stepper) -> None:
    """On a second device it computes the same result, and leaves it there."""
    for case in stepper.cases():
        second, first = stepper.run(case, device=1), stepper.run(case)
        require_close(second, first, f"{case.name}: the second device gives another result")
        arrays = stepper.arrays(case, device=1)
        where = stepper.call(case.name, arrays).context
        require(where == arrays[0].context, f"{case.name}: the result of the second device is on {where}")


@check(*STEPPING)
def step_acts(stepper: Stepper) -> None:
    """It changes some parameter at some scale."""
    cases = [case for scale in (1.0, 1e2, 1e4) for case in stepper.cases(scale)]
    acts = any(not np.array_equal(stepper.run(case), stepper.before(case)) for case in cases)
    require(acts, "it leaves every parameter unchanged")


@check("project")
def projecting_twice_is_projecting_once(stepper: Stepper) -> None:
    """Projecting a second time changes nothing but rounding."""
    for scale in (1.0, 1e2):
        for case in stepper.cases(scale):
            once = stepper.run(case)
            twice = stepper.run(case._replace(value=once))
            require_close(twice, once, f"{case.name}: projecting again moves it further")
