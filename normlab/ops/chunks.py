"""Statistics of chunks: examples of the batch that are standardized together.

Chunks of the same size are laid out as channels, which MXNet's BatchNorm operator standardizes at the usual speed,
forward and backward. The sizes of chunks are plain numbers, because graphs are traced for each batch size
(`normlab.ops.batch_size`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from normlab.backend.tracing import constant
from normlab.ops.channelwise import batch_standardize, reshape_back, scale_shift, unbiased_variance
from normlab.ops.moments import Moments


def chunk_sizes(count: int, size: int) -> list[int]:
    """Return chunks of `size` examples, of which the last may be smaller: 10 by 4 give 4, 4, 2."""
    return [size] * (count // size) + [count % size] * (count % size > 0)


def even_chunk_sizes(count: int, size: int) -> list[int]:
    """Return as few chunks of at most `size` examples as possible, all but the last equal: 9 by 4 give 3, 3, 3."""
    chunks = -(-count // size)
    return chunk_sizes(count, -(-count // chunks))


def strided_chunk_sizes(count: int, size: int) -> list[int]:
    """Return as few chunks of at most `size` examples as possible, as equal as possible: 10 by 4 give 4, 3, 3."""
    chunks = -(-count // size)
    return [count // chunks + (index < count % chunks) for index in range(chunks)]


def chunk_standardize(
    F: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    channels: int,
    epsilon: float,
    sizes: Sequence[int],
    *,
    groups: int = 0,
    is_unbiased: bool = False,
) -> tuple[Any, Moments]:
    """Standardize each group of channels over the examples of a chunk and all positions, then scale and shift.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with the biased variance.

    Args:
        F: `mx.nd` or `mx.sym`.
        x: `(N, C, ...)`.
        gamma: `(C,)`.
        beta: `(C,)`.
        channels: C.
        epsilon: Added to the variance, inside the root.
        sizes: Number of examples of each chunk of neighbours, in sum N; equal sizes must be adjacent.
        groups: Number of groups of adjacent channels, which divides C; by default each channel is a group.
        is_unbiased: Whether the variances that are returned are unbiased.

    Returns:
        y of x's shape, and the moments of each chunk, `(chunks, groups)` each, without gradient.
    """
    results, start = [], 0
    for size, same in groupby(sizes):
        chunks = len(list(same))
        stop = start + chunks * size
        part = x if stop - start == sum(sizes) else F.slice_axis(x, axis=0, begin=start, end=stop)
        y, rows, mean, variance = _one_size(F, part, gamma, beta, channels, epsilon, chunks, size, groups or channels)
        variance = unbiased_variance(F, rows, variance) if is_unbiased else variance
        results.append((y, *(F.reshape(value, shape=(chunks, -1)) for value in (mean, variance))))
        start = stop
    y, mean, variance = (F.concat(*values, dim=0) if len(results) > 1 else values[0] for values in zip(*results))
    return y, Moments(mean, variance)


def to_strided(F: Any, x: Any, chunks: int) -> Any:
    """Reorder examples so that each chunk is made of every `chunks`-th example; x `(N, ...)`."""
    return F.concat(*[F.slice(x, begin=(index,), end=(None,), step=(chunks,)) for index in range(chunks)], dim=0)


def from_strided(F: Any, y: Any, count: int, chunks: int) -> Any:
    """Restore the order of examples before `to_strided`.

    Args:
        F: `mx.nd` or `mx.sym`.
        y: `(N, ...)`.
        count: N.
        chunks: Number of chunks.
    """
    index = F.BlockGrad(F.contrib.arange_like(y, axis=0))
    chunk = index - chunks * F.floor(index / chunks)
    first = chunk * (count // chunks) + F.minimum(chunk, F.ones_like(chunk) * (count % chunks))
    return F.take(y, first + F.floor(index / chunks), axis=0)


def _one_size(
    F: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    channels: int,
    epsilon: float,
    chunks: int,
    size: int,
    groups: int,
) -> tuple[Any, Any, Any, Any]:
    """Standardize chunks of one size.

    Returns:
        y of x's shape; x with each group of channels of each chunk as a channel; and mean and variance of those
        channels.
    """
    if chunks == 1 and groups == channels:
        y, *of = batch_standardize(F, x, gamma, beta, channels, epsilon)
        return y, x, *of
    rows = x if chunks == 1 else F.swapaxes(F.reshape(x, shape=(chunks, size, -1)), dim1=0, dim2=1)
    rows = F.reshape(rows, shape=(size, chunks * groups, -1))
    gamma, beta = (F.tile(value, reps=(chunks,)) for value in (gamma, beta))
    if groups == channels:
        y, mean, variance = batch_standardize(F, rows, gamma, beta, chunks * channels, epsilon)
    else:
        ones, zeros = (constant(F, x, fill, chunks * groups) for fill in (1.0, 0.0))
        y, mean, variance = batch_standardize(F, rows, ones, zeros, chunks * groups, epsilon)
        y = scale_shift(F, F.reshape(y, shape=(size, chunks * channels, -1)), gamma, beta, chunks * channels)
    if chunks > 1:
        y = F.swapaxes(F.reshape(y, shape=(size, chunks, -1)), dim1=0, dim2=1)
    return reshape_back(F, y, x), rows, mean, variance
