"""Dropout that drops in training only, whatever mode MXNet is in."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from normlab.backend import tracing as norm_state
from normlab.backend.mxnet import mxnet
from normlab.models.tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

HybridBlock: Any = mxnet().gluon.HybridBlock


class Dropout(HybridBlock):
    """Set each value to 0 with probability `rate` and divide the others by `1 - rate`; in prediction pass all on.

    Srivastava et al. (JMLR 2014). Any shape in, the same shape out. Gluon's own block asks MXNet for the mode, which
    is the training mode in both graphs of a network (see `normlab.backend.tracing`).

    Args:
        rate: Probability with which a value is dropped, `0 <= rate < 1`.
        axes: Axes along which values are dropped together.
    """

    def __init__(self, rate: float, axes: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.rate = rate
        self.axes = axes

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Drop, in training."""
        if self.rate == 0 or not norm_state.is_training():
            return x
        return F.Dropout(x, p=self.rate, axes=self.axes, mode="always")

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"


@contextmanager
def noting_dropout(block: Any) -> Iterator[list[str]]:
    """Within it a pass through a network notes its dropout in the order in which it draws.

    Yields:
        What was noted: of each mask the rate, the axes and the shape of an example.
    """
    noted: list[str] = []

    def note(layer: Any, _: Any, output: Any) -> None:
        noted.append(f"{layer.rate} {layer.axes} {output.shape[1:]}")

    layers = [layer for layer in walk(block) if isinstance(layer, Dropout) and layer.rate > 0]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield noted
    finally:
        for hook in hooks:
            hook.detach()
