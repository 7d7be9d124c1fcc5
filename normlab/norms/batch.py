"""Batch normalization (Ioffe and Szegedy, ICML 2015, arXiv:1502.03167), algorithms 1 and 2.

    y = gamma (x - mean_B) / sqrt(var_B + epsilon) + beta

mean_B and the biased var_B are taken over the batch and all positions, for each channel. In prediction the running
statistics stand for them, unless `predict` says to go on with those of the batch at hand.

Conventions: epsilon is inside the root. `momentum` is the share that is kept, as in MXNet and TensorFlow (PyTorch's
is the share that is new). The paper's algorithm 2 gives the running variance the unbiased estimate, m / (m - 1) var_B,
as PyTorch does; MXNet, Keras and Flax give it var_B. `unbiased_running_var` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat

from normlab import Norm, NormLayer, hookimpl
from normlab.ops import batch_standardize, moving_average, standardize_with, table_standardize, unbiased_variance


class BatchNorm(NormLayer):
    """Standardize each channel over the batch and all positions.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State, with `predict` `running`: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        predict: Statistics of prediction: `running`, or those of the `batch` at hand.
        unbiased_running_var: Whether running_var follows the unbiased estimate, m / (m - 1) var_B for m values.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        predict: Literal["running", "batch"] = "running",
        unbiased_running_var: bool = True,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.epsilon = epsilon
        self.momentum = momentum
        self.predict = predict
        self.unbiased_running_var = unbiased_running_var
        self.affine()
        if predict == "running":
            self.state("running_mean", "zeros")
            self.state("running_var", "ones")

    def hybrid_forward(
        self, F: Any, x: Any, gamma: Any, beta: Any, running_mean: Any = None, running_var: Any = None
    ) -> Any:
        """Standardize, and in training move the running statistics."""
        if not self.training and self.predict == "running":
            return standardize_with(F, x, gamma, beta, running_mean, running_var, self.epsilon)
        if not self.training and self.layout == "NC":
            return table_standardize(F, x, gamma, beta, self.epsilon)
        y, mean, variance = batch_standardize(F, x, gamma, beta, self.in_channels, self.epsilon)
        if self.training and self.predict == "running":
            if self.unbiased_running_var:
                variance = unbiased_variance(F, x, variance)
            self.update(
                running_mean=moving_average(running_mean, mean, self.momentum),
                running_var=moving_average(running_var, variance, self.momentum),
            )
        return y


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `batch`."""
    yield Norm(
        "batch",
        layer=BatchNorm,
        title="Batch normalization",
        formula="y = gamma (x - mean_B) / sqrt(var_B + epsilon) + beta",
        authors="Ioffe, Szegedy",
        venue="ICML",
        year=2015,
        paper="arXiv:1502.03167",
        paper_title="Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    )
