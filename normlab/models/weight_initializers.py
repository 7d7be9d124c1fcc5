"""How weights and biases start, by the names that a spec uses."""

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
    """All zeros."""
    return mxnet().init.Zero()


def ones() -> Any:
    """All ones."""
    return mxnet().init.One()


def constant(*, value: float) -> Any:
    """One value everywhere."""
    return mxnet().init.Constant(value)


def normal(*, sigma: NonNegativeFloat = 0.01) -> Any:
    """Normal with mean 0 and standard deviation sigma."""
    return mxnet().init.Normal(sigma)


def uniform(*, scale: NonNegativeFloat = 0.07) -> Any:
    """Uniform between -scale and scale."""
    return mxnet().init.Uniform(scale)


def truncated_normal(*, sigma: NonNegativeFloat = 0.1, cut: PositiveFloat = 2.0) -> Any:
    """Normal with mean 0 and, before the cut, standard deviation sigma; nothing beyond `cut` times sigma.

    As TensorFlow's `truncated_normal`: values beyond the cut are drawn again.
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
    """Glorot and Bengio (AISTATS 2010): variance `magnitude / fan` for uniform / 3, fan by `factor`."""
    return mxnet().init.Xavier(distribution, factor, magnitude)


def he(*, factor: Literal["avg", "in", "out"] = "in", slope: float = 0.0) -> Any:
    """He et al. (ICCV 2015, arXiv:1502.01852), equation 15: normal with variance 2 / ((1 + slope^2) fan)."""
    return mxnet().init.MSRAPrelu(factor, slope)


def lecun() -> Any:
    """LeCun et al. (1998): normal with variance 1 / fan_in, as self-normalizing networks want it."""
    return mxnet().init.Xavier("gaussian", "in", 1.0)


def orthogonal(*, scale: PositiveFloat = 1.0) -> Any:
    """Saxe et al. (ICLR 2014, arXiv:1312.6120): rows or columns orthogonal, multiplied by scale."""
    return mxnet().init.Orthogonal(scale)


NAMED: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (zeros, ones, constant, normal, uniform, truncated_normal, xavier, he, lecun, orthogonal)
}


def _checked(part: Part) -> Part:
    if part.name not in NAMED:
        raise mistake(f"unknown initializer {part.name!r}{suggestion(part.name, NAMED)}")
    try:
        return Part(name=part.name, parameters=check((NAMED[part.name],), part.parameters))
    except ValidationError as error:
        first = error.errors()[0]
        raise mistake(f"initializer {part.name!r}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


#: The type of a parameter that names an initializer: `zeros`, or `{name: normal, sigma: 0.1}`.
InitializerPart = Annotated[OnePart, AfterValidator(_checked)]


def to_initializer(part: Part) -> Any:
    """The MXNet initializer that a checked part names."""
    return NAMED[part.name](**part.parameters)
