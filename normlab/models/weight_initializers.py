"""Initializers of weights and biases, by the names that specs use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Callable, Literal

from pydantic import AfterValidator, NonNegativeFloat, PositiveFloat, ValidationError

from normlab.backend.initializers import build_random_initializer
from normlab.backend.mxnet import mxnet
from normlab.catalog.signature import check
from normlab.errors import suggestion
from normlab.spec.part import OnePart, Part, mistake

if TYPE_CHECKING:
    import numpy as np


def zeros() -> Any:
    """Initialize with zeros."""
    return mxnet().init.Zero()


def ones() -> Any:
    """Initialize with ones."""
    return mxnet().init.One()


def constant(*, value: float) -> Any:
    """Initialize with a constant value."""
    return mxnet().init.Constant(value)


def normal(*, sigma: NonNegativeFloat = 0.01) -> Any:
    """Draw from the normal distribution with mean 0 and standard deviation sigma."""
    return mxnet().init.Normal(sigma)


def uniform(*, scale: NonNegativeFloat = 0.07) -> Any:
    """Draw uniformly between -scale and scale."""
    return mxnet().init.Uniform(scale)


def truncated_normal(*, sigma: NonNegativeFloat = 0.1, cut: PositiveFloat = 2.0) -> Any:
    """Draw from the normal distribution with mean 0 and standard deviation sigma, truncated at `cut` times sigma.

    As in TensorFlow's `truncated_normal`, values beyond the cut are drawn again, so the deviation is less than sigma.
    """

    def draw(shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        values = generator.standard_normal(shape, dtype="float32")
        while (beyond := abs(values) > cut).any():
            values[beyond] = generator.standard_normal(int(beyond.sum()), dtype="float32")
        return values * sigma

    return build_random_initializer(draw)


def xavier(
    *,
    distribution: Literal["uniform", "gaussian"] = "uniform",
    factor: Literal["avg", "in", "out"] = "avg",
    magnitude: PositiveFloat = 3.0,
) -> Any:
    """Draw as Glorot and Bengio (AISTATS 2010): variance `magnitude / fan`, a third of it if uniform."""
    return mxnet().init.Xavier(distribution, factor, magnitude)


def he(*, factor: Literal["avg", "in", "out"] = "in", slope: float = 0.0) -> Any:
    """Draw as He et al. (ICCV 2015, arXiv:1502.01852), equation 15: normal with variance 2 / ((1 + slope^2) fan)."""
    return mxnet().init.MSRAPrelu(factor, slope)


def lecun() -> Any:
    """Draw as LeCun et al. (1998), for self-normalizing networks: normal with variance 1 / fan_in."""
    return mxnet().init.Xavier("gaussian", "in", 1.0)


def orthogonal(*, scale: PositiveFloat = 1.0) -> Any:
    """Draw as Saxe et al. (ICLR 2014, arXiv:1312.6120): orthogonal rows or columns, multiplied by scale."""
    return mxnet().init.Orthogonal(scale)


NAMED: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (zeros, ones, constant, normal, uniform, truncated_normal, xavier, he, lecun, orthogonal)
}


def _check(part: Part) -> Part:
    if part.name not in NAMED:
        raise mistake(f"unknown initializer {part.name!r}{suggestion(part.name, NAMED)}")
    try:
        return Part(name=part.name, parameters=check((NAMED[part.name],), part.parameters))
    except ValidationError as error:
        first = error.errors()[0]
        raise mistake(f"initializer {part.name!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


#: The type of a parameter that names an initializer: `zeros`, or `{name: normal, sigma: 0.1}`.
InitializerPart = Annotated[OnePart, AfterValidator(_check)]


def to_initializer(part: Part) -> Any:
    """Return the MXNet initializer of a checked part."""
    return NAMED[part.name](**part.parameters)
