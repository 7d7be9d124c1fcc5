"""Learning rate schedules, by name, with typed parameters.

A schedule returns the factor by which a step multiplies the optimizer's `learning_rate`. The factor depends only on the
step, so a resumed run continues with the same rates. (MXNet's own schedulers depend on earlier calls, and both MXNet
and GluonCV number the first step 1.) Steps are counted from 0.

During warm-up the factor rises linearly from `warmup_from`, which no step uses, to 1, which the last step of warm-up
uses. After it, p is the fraction of the remaining steps that are done: 0 in the first of them, which uses the full
rate, and 1 in the step that would follow the last.
"""

from __future__ import annotations

import math
from typing import Annotated, Callable

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from normlab.spec.part import mistake

#: `schedule(step, steps)` returns the factor in a step, counted from 0, of a run with this number of steps.
Schedule = Callable[[int, int], float]

Share = Annotated[float, Field(ge=0, le=1)]


def _check_increasing(milestones: tuple[int, ...]) -> tuple[int, ...]:
    if not milestones or list(milestones) != sorted(set(milestones)):
        raise mistake("expected increasing steps, such as [32000, 48000]")
    return milestones


Milestones = Annotated[tuple[PositiveInt, ...], AfterValidator(_check_increasing)]


def constant(*, warmup_steps: NonNegativeInt = 0, warmup_from: Share = 0.0) -> Schedule:
    """Keep the full rate.

    Args:
        warmup_steps: Number of steps at the start in which the rate rises linearly.
        warmup_from: Factor from which the rate rises.
    """
    return _after_warmup(warmup_steps, warmup_from, lambda _step, _share: 1.0)


def step(
    *,
    milestones: Milestones,
    factor: PositiveFloat = 0.1,
    warmup_steps: NonNegativeInt = 0,
    warmup_from: Share = 0.0,
) -> Schedule:
    """Multiply the rate by a factor at each milestone, from the step of that number on.

    Args:
        milestones: Steps of the run, counted from 0, including warm-up.
        factor: Factor by which the rate is multiplied at each.
        warmup_steps: Number of steps at the start in which the rate rises linearly.
        warmup_from: Factor from which the rate rises.
    """

    def decay(step: int, _share: float) -> float:
        return factor ** sum(milestone <= step for milestone in milestones)

    return _after_warmup(warmup_steps, warmup_from, decay)


def cosine(*, final_factor: Share = 0.0, warmup_steps: NonNegativeInt = 0, warmup_from: Share = 0.0) -> Schedule:
    """Decay along half a cosine: `final_factor + (1 - final_factor) (1 + cos(pi p)) / 2`.

    Loshchilov and Hutter (ICLR 2017, arXiv:1608.03983), equation 5, without restarts.

    Args:
        final_factor: Factor of the step that would follow the last.
        warmup_steps: Number of steps at the start in which the rate rises linearly.
        warmup_from: Factor from which the rate rises.
    """
    return _after_warmup(
        warmup_steps, warmup_from, lambda _step, share: _down_to(final_factor, (1 + math.cos(math.pi * share)) / 2)
    )


def linear(*, final_factor: Share = 0.0, warmup_steps: NonNegativeInt = 0, warmup_from: Share = 0.0) -> Schedule:
    """Decay linearly: `final_factor + (1 - final_factor) (1 - p)`.

    Args:
        final_factor: Factor of the step that would follow the last.
        warmup_steps: Number of steps at the start in which the rate rises linearly.
        warmup_from: Factor from which the rate rises.
    """
    return _after_warmup(warmup_steps, warmup_from, lambda _step, share: _down_to(final_factor, 1 - share))


def poly(
    *,
    power: PositiveFloat = 2.0,
    final_factor: Share = 0.0,
    warmup_steps: NonNegativeInt = 0,
    warmup_from: Share = 0.0,
) -> Schedule:
    """Decay as a polynomial: `final_factor + (1 - final_factor) (1 - p)^power`.

    Args:
        power: The exponent.
        final_factor: Factor of the step that would follow the last.
        warmup_steps: Number of steps at the start in which the rate rises linearly.
        warmup_from: Factor from which the rate rises.
    """
    return _after_warmup(warmup_steps, warmup_from, lambda _step, share: _down_to(final_factor, (1 - share) ** power))


def exponential(
    *,
    factor: PositiveFloat = 0.1,
    every: PositiveInt,
    warmup_steps: NonNegativeInt = 0,
    warmup_from: Share = 0.0,
) -> Schedule:
    """Decay exponentially: `factor^(t / every)`, where t is the number of steps since the end of warm-up.

    Args:
        factor: Factor by which the rate is multiplied in `every` steps.
        every: Number of steps in which the rate changes by the factor.
        warmup_steps: Number of steps at the start in which the rate rises linearly.
        warmup_from: Factor from which the rate rises.
    """
    return _after_warmup(
        warmup_steps, warmup_from, lambda step, _share: float(factor ** ((step - warmup_steps) / every))
    )


def _down_to(final: float, factor: float) -> float:
    return final + (1 - final) * factor


def _after_warmup(warmup_steps: int, warmup_from: float, decay: Callable[[int, float], float]) -> Schedule:
    """Return a schedule that warms up and then follows `decay(step, p)`."""

    def schedule(step: int, steps: int) -> float:
        if step < warmup_steps:
            return warmup_from + (1 - warmup_from) * ((step + 1) / warmup_steps)
        return decay(step, (step - warmup_steps) / (steps - warmup_steps))

    return schedule


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    function.__name__: function for function in (constant, step, cosine, linear, poly, exponential)
}
