"""What layers share in which batch normalization is one part among others."""

from __future__ import annotations

from typing import Any

from normlab.norms.ways import NormLayer
from normlab.ops.channelwise import batch_standardize, moving_average, standardize_with, unbiased_variance


class BatchLayer(NormLayer):
    """A layer that standardizes by the batch in training, and by running statistics in prediction.

    The running variance follows the unbiased estimate, m / (m - 1) var_B for m values, as in PyTorch, in which the
    authors of these methods wrote their code.

    Args:
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        **site: What the site tells.
    """

    depends_on_batch = True
    minimum_batch = 2

    def __init__(self, epsilon: float, momentum: float, **site: Any) -> None:
        super().__init__(**site)
        self.epsilon = epsilon
        self.momentum = momentum

    def standardized(self, F: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, which: str = "") -> Any:
        """Standardize each channel, scale and shift; in training move the states that are given.

        Args:
            F: `mx.nd` or `mx.sym`.
            x: `(N, C, ...)`.
            gamma: `(C,)`; it may be computed.
            beta: `(C,)`, likewise.
            mean: `(C,)`, the state `running_mean` as it is.
            variance: `(C,)`, the state `running_var` as it is.
            which: What comes before `running_mean` and `running_var` in the states' names.

        Returns:
            gamma (x - mean) / sqrt(variance + epsilon) + beta, of x's shape.
        """
        if not self.training:
            return standardize_with(F, x, gamma, beta, mean, variance, self.epsilon)
        # the number of channels matters to the scratch vectors of the operator only
        channels = self.declared[f"{which}running_mean"].shape(self.in_channels)[0]
        y, of_batch, variance_of_batch = batch_standardize(F, x, gamma, beta, channels, self.epsilon)
        new = {"running_mean": (mean, of_batch), "running_var": (variance, unbiased_variance(F, x, variance_of_batch))}
        self.update(**{f"{which}{name}": moving_average(*pair, self.momentum) for name, pair in new.items()})
        return y
