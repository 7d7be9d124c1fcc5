"""Groups of channels, their covariance, and the product of each group with a matrix.

A convolution with a 1 x 1 kernel multiplies each group by its matrix at every position, without transposing axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from normlab.backend.tracing import constant
from normlab.errors import SpecError
from normlab.ops.channelwise import ones_for_rows, reshape_back, scale_shift, values_per_channel
from normlab.ops.rowwise import position_mean


class Groups(NamedTuple):
    """Groups of adjacent channels.

    Attributes:
        number: Number of groups, G.
        size: Number of channels of each, d.
    """

    number: int
    size: int

    @property
    def channels(self) -> int:
        """The number of all channels, C = G d."""
        return self.number * self.size

    @classmethod
    def of(cls, name: str, channels: int, size: int | None, most: int) -> Groups:
        """Divide the channels of a site.

        Args:
            name: The method's name, for the message.
            channels: C.
            size: Channels of a group, or all channels if there are fewer; by default the largest divisor of C up to
                `most`.
            most: The most channels of a group if no size is given.

        Raises:
            SpecError: The size does not divide the channels.
        """
        divisors = [number for number in range(1, channels + 1) if channels % number == 0]
        chosen = min(size, channels) if size else max(number for number in divisors if number <= most)
        if chosen not in divisors:
            raise SpecError(
                f"{name}: group_size {size} does not divide the {channels} channels of a site; expected one of "
                f"{', '.join(map(str, divisors))}; by default it is the largest of them up to {most}"
            )
        return cls(channels // chosen, chosen)


def identities(shape: tuple[int, ...], _: Any) -> Any:
    """Return the initial value of running matrices, the identity for each group, `(G, d, d)`."""
    import numpy as np  # noqa: PLC0415 - not needed to list methods

    return np.broadcast_to(np.eye(shape[-1]), shape)


def whitening_planes(F: Any, x: Any, layout: str) -> Any:
    """Return activations as `(batch, C, height, width)`; in layout NC, the examples become positions of a single one.

    The last operator swaps axes, because its backward pass writes the plain layout: see `normlab.ops.reshape_back`.
    """
    if layout == "NCHW":
        return x
    if layout == "NTC":
        return F.swapaxes(F.expand_dims(x, axis=3), dim1=2, dim2=3)
    return F.swapaxes(F.reshape(x, shape=(0, 0, 1, 1)), dim1=0, dim2=3)


def from_whitening_planes(F: Any, planes: Any, x: Any, layout: str) -> Any:
    """Undo `whitening_planes`; the result has x's shape."""
    if layout == "NCHW":
        return planes
    if layout == "NTC":
        return reshape_back(F, planes, x)
    return F.reshape(F.swapaxes(planes, dim1=0, dim2=3), shape=(0, -1))


def center_channels(F: Any, planes: Any, channels: int) -> tuple[Any, Any]:
    """Subtract the mean of each channel; return the centered planes and the mean, `(C,)`."""
    mean = F.mean(position_mean(F, planes, channels), axis=0)
    return scale_shift(F, planes, constant(F, planes, 1.0, channels), -mean, channels), mean


def unit_matrices(F: Any, like: Any, groups: Groups) -> Any:
    """Return the identity for each group, `(G, d, d)`."""
    ones = F.reshape(constant(F, like, 1.0, groups.channels), shape=(groups.number, groups.size))
    return F.linalg.makediag(ones)


def group_covariance(F: Any, planes: Any, groups: Groups) -> Any:
    """Return the biased covariance of each group of centered channels, over the batch and all positions.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: `(batch, C, height, width)`, centered.
        groups: The groups of the channels.

    Returns:
        `(G, d, d)`.
    """
    number, size = groups
    rows = F.reshape(F.reshape(planes, shape=(0, -4, number, size, -3)), shape=(-3, 0, 0))
    products = F.reshape(F.batch_dot(rows, rows, transpose_b=True), shape=(-1, number * size * size))
    sums = F.reshape(F.dot(ones_for_rows(F, products), products, transpose_a=True), shape=(number, size, size))
    return F.broadcast_div(sums, F.reshape(values_per_channel(F, planes), shape=(1, 1, 1)))


def multiply_groups(F: Any, planes: Any, matrices: Any, gamma: Any, beta: Any, groups: Groups) -> Any:
    """Multiply each group by its matrix at each position, then scale and shift each channel.

    Args:
        F: `mx.nd` or `mx.sym`.
        planes: `(batch, C, height, width)`.
        matrices: `(G, d, d)`.
        gamma: `(C,)`.
        beta: `(C,)`.
        groups: The groups of the channels.

    Returns:
        Planes of the same shape.
    """
    rows = F.broadcast_mul(F.reshape(matrices, shape=(-3, 0)), F.reshape(gamma, shape=(-1, 1)))
    weight = F.reshape(rows, shape=(groups.channels, groups.size, 1, 1))
    return F.Convolution(planes, weight, beta, num_filter=groups.channels, num_group=groups.number, kernel=(1, 1))


def running_shape(groups: Callable[[int], Groups]) -> Callable[[int], tuple[int, ...]]:
    """Return the shape of a state with one matrix for each group, as a function of the number of channels."""

    def shape(channels: int) -> tuple[int, ...]:
        number, size = groups(channels)
        return number, size, size

    return shape
