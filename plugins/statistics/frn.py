"""Filter response normalization (Singh and Krishnan, CVPR 2020, arXiv:1911.09737), equations 1 to 3, section 3.

    y = max(gamma x / sqrt(nu2 + |epsilon|) + beta, tau),   nu2 = mean_HW(x^2)

The mean is taken over the positions, for each channel of each example. The maximum with a learned threshold is the
thresholded linear unit (TLU), which replaces the network's activation. Prediction is the same as training; there is
no state.

Conventions: epsilon is inside the root, 1e-6, and fixed (timm has 1e-5). Where there is one position, x / |x| would
tell nothing but the sign of x: for that case the paper learns epsilon, 1e-6 + |epsilon_l| with epsilon_l from 1e-4.
That is what layout NC gets unless `learned_epsilon` says otherwise. tau starts at 0, which is a ReLU (kornia: -1).
The paper trains with a learning rate that warms up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from pydantic import PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import constant, example_scale_shift, position_mean, scale_shift


class FilterResponseNorm(NormLayer):
    """Divide each channel of each example by the root mean square of its positions, and cut it off below.

    Shapes: x and y `(N, C)` or `(N, C, H, W)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0, tau `(C,)`, and
    with `learned_epsilon` epsilon_l `(C,)`. No state; prediction is the same as training.

    Args:
        epsilon: Added to the mean square, inside the root.
        learned_epsilon: Whether epsilon is learned too; if not given, only where a site has one position, layout NC.
        learned_epsilon_start: What the learned part of epsilon starts from.
        tau_start: What the threshold starts from.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    layouts = ("NC", "NCHW")
    replaces_activation = True

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-6,
        learned_epsilon: Optional[bool] = None,
        learned_epsilon_start: PositiveFloat = 1e-4,
        tau_start: float = 0.0,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.affine()
        self.parameter("tau", tau_start)
        if self.layout == "NC" if learned_epsilon is None else learned_epsilon:
            self.parameter("epsilon_l", learned_epsilon_start)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, tau: Any, epsilon_l: Any = None) -> Any:
        """Divide, scale, shift, cut off."""
        inverse_root = F.rsqrt(self._mean_square(F, x, epsilon_l))
        # max(y, tau) = max(y - tau, 0) + tau: broadcast_maximum is slow, so is F.relu, and the fast relu makes 0 of NaN
        y = F.maximum(self._multiplied(F, x, inverse_root, gamma, beta - tau), 0.0)
        return scale_shift(F, y, constant(F, x, 1.0, self.in_channels), tau, self.in_channels)

    def _mean_square(self, F: Any, x: Any, epsilon_l: Any) -> Any:
        """The mean square of the positions plus epsilon, `(N, C)`."""
        mean = F.square(x) if self.layout == "NC" else position_mean(F, F.square(x), self.in_channels)
        if epsilon_l is not None:
            mean = scale_shift(F, mean, F.ones_like(epsilon_l), F.abs(epsilon_l), self.in_channels)
        return mean + self.epsilon

    def _multiplied(self, F: Any, x: Any, inverse_root: Any, gamma: Any, shift: Any) -> Any:
        """Compute gamma x inverse_root + shift, where only inverse_root, `(N, C)`, differs between examples."""
        if self.layout == "NC":
            return scale_shift(F, x * inverse_root, gamma, shift, self.in_channels)
        scales = scale_shift(F, inverse_root, gamma, F.zeros_like(gamma), self.in_channels)
        shifts = scale_shift(F, F.zeros_like(inverse_root), F.ones_like(gamma), shift, self.in_channels)
        return example_scale_shift(F, x, scales, shifts, self.in_channels)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `frn`."""
    yield Norm(
        "frn",
        layer=FilterResponseNorm,
        title="Filter response normalization with thresholded linear unit",
        formula="y = max(gamma x / sqrt(mean_HW(x^2) + epsilon) + beta, tau)",
        authors="Singh, Krishnan",
        venue="CVPR",
        year=2020,
        paper="arXiv:1911.09737",
        paper_title="Filter Response Normalization Layer: Eliminating Batch Dependence in "
        "the Training of Deep Neural Networks",
    )
