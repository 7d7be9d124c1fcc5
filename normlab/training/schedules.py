"""Schedules of the learning rate, by name, with typed parameters.

A schedule gives the factor of the optimizer's `learning_rate` in each step: a function of the step and of nothing
else, so that a resumed run goes on where it was. (MXNet's own keep what they gave last, and GluonCV's, like MXNet's,
are asked with a number that is 1 in the first step.) Steps are counted from 0. In warm-up the factor rises evenly from
`warmup_from`, which no step takes, to 1, which the last step of warm-up takes. After it, p is the share that is over
of the steps from the end of warm-up to the end of the run: 0 in the first of them, so that it takes the full rate, and
1 in the step that would follow the last.
"""

from __future__ import annotations

import math
from typing import Annotated, Callable

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from normlab.spec.part import mistake

#: `schedule(step, steps)` gives the factor in a step, counted from 0, of a run of so many steps.
Schedule = Callable[[int, int], float]

Share = Annotated[float, Field(ge=0, le=1)]


def _rising(milestones: tuple[int, ...]) -> tuple[int, ...]:
    if not milestones or list(milestones) != sorted(set(milestones)):
        raise mistake("expected steps, each after the one before, e.g. [32000, 48000]")
    return milestones


Milestones = Annotated[tuple[PositiveInt, ...], AfterValidator(_rising)]


def constant(*, warmup_steps: NonNegativeInt = 0, warmup_from: Share = 0.0) -> Schedule:
    """Always the full rate.

    Args:
        warmup_steps: Steps in which the rate rises evenly at the start.
        warmup_from: Factor from which it rises.
    """
    return _after_warmup(warmup_steps, warmup_from, lambda _step, _share: 1.0)


def step(
    *,
    milestones: Milestones,
    factor: PositiveFloat = 0.1,
    warmup_steps: NonNegativeInt = 0,
    warmup_from: Share = 0.0,
) -> Schedule:
    """The rate is multiplied by a factor at each milestone, which the step of that number is the first to take.

    Args:
        milestones: Steps of the run, counted from 0, warm-up included.
        factor: What the rate is multiplied by at each.
        warmup_steps: Steps in which the rate rises evenly at the start.
        warmup_from: Factor from which it rises.
    """

    def decay(step: int, _share: float) -> float:
        return factor ** sum(milestone <= step for milestone in milestones)

    return _after_warmup(warmup_steps, warmup_from, decay)


def cosine(*, final_factor: Share = 0.0, warmup_steps: NonNegativeInt = 0, warmup_from: Share = 0.0) -> Schedule:
    """Half a cosine: `final_factor + (1 - final_factor) (1 + cos(pi p)) / 2`.

    Loshchilov and Hutter (ICLR 2017, arXiv:1608.03983), equation 5, without restarts.

    Args:
        final_factor: Factor that the step after the last would take.
        warmup_steps: Steps in which the rate rises evenly at the start.
        warmup_from: Factor from which it rises.
    """
    return _after_warmup(
        warmup_steps, warmup_from, lambda _step, share: _down_to(final_factor, (1 + math.cos(math.pi * share)) / 2)
    )


def linear(*, final_factor: Share = 0.0, warmup_steps: NonNegativeInt = 0, warmup_from: Share = 0.0) -> Schedule:
    """A straight line: `final_factor + (1 - final_factor) (1 - p)`.

    Args:
        final_factor: Factor that the step after the last would take.
        warmup_steps: Steps in which the rate rises evenly at the start.
        warmup_from: Factor from which it rises.
    """
    return _after_warmup(warmup_steps, warmup_from, lambda _step, share: _down_to(final_factor, 1 - share))


def poly(
    *,
    power: PositiveFloat = 2.0,
    final_factor: Share = 0.0,
    warmup_steps: NonNegativeInt = 0,
    warmup_from: Share = 0.0,
) -> Schedule:
    """A power of what is left: `final_factor + (1 - final_factor) (1 - p)^power`.

    Args:
        power: The exponent.
        final_factor: Factor that the step after the last would take.
        warmup_steps: Steps in which the rate rises evenly at the start.
        warmup_from: Factor from which it rises.
    """
    return _after_warmup(warmup_steps, warmup_from, lambda _step, share: _down_to(final_factor, (1 - share) ** power))


def exponential(
    *,
    factor: PositiveFloat = 0.1,
    every: PositiveInt,
    warmup_steps: NonNegativeInt = 0,
    warmup_from: Share = 0.0,
) -> Schedule:
    """The rate changes evenly, by a factor in so many steps: `factor^(t / every)`, t counted from the end of warm-up.

    Args:
        factor: What the rate is multiplied by in `every` steps.
        every: Steps in which the rate changes by the factor.
        warmup_steps: Steps in which the rate rises evenly at the start.
        warmup_from: Factor from which it rises.
    """
    return _after_warmup(
        warmup_steps, warmup_from, lambda step, _share: float(factor ** ((step - warmup_steps) / every))
    )


def _down_to(final: float, factor: float) -> float:
    return final + (1 - final) * factor


def _after_warmup(warmup_steps: int, warmup_from: float, decay: Callable[[int, float], float]) -> Schedule:
    """A schedule of warm-up and, from there on, `decay(step, p)`."""

    def schedule(step: int, steps: int) -> float:
        if step < warmup_steps:
            return warmup_from + (1 - warmup_from) * ((step + 1) / warmup_steps)
        return decay(step, (step - warmup_steps) / (steps - warmup_steps))

    return schedule


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    function.__name__: function for function in (constant, step, cosine, linear, poly, exponential)
}
