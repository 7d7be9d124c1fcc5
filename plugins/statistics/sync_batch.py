"""Synchronized batch normalization (Peng et al., "MegDet", CVPR 2018, arXiv:1711.07240).

    y = gamma (x - mean_B) / sqrt(var_B + epsilon) + beta

Batch normalization whose batch is that of all devices together: mean_B and the biased var_B are taken over all of their
examples and all positions, for each channel. In prediction the running statistics stand for them.

On one device that is batch normalization, and this is what is computed. On several it would need each device to wait
for the others in the middle of its forward pass. MXNet has an operator for that, contrib.SyncBatchNorm, which never
returns where the devices are CPUs, and takes the variance as mean(x^2) - mean(x)^2, which is wrong by 0.7 for a mean of
1000 and a deviation of 1. So training on more than one device is refused; `batch` allows it, with statistics of each
device's part of the batch.

Conventions: those of `batch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from normlab import BatchNorm, Norm, NormGradient, SpecError, hookimpl


class SyncBatchNorm(BatchNorm):
    """Standardize each channel over the whole batch and all positions.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0.
    State: running_mean `(C,)` from 0, running_var `(C,)` from 1.

    Args:
        epsilon: Added to the variance, inside the root.
        momentum: Share of the running statistics that each training step keeps.
        unbiased_running_var: Whether running_var follows the unbiased estimate, m / (m - 1) var_B for m values.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    def __init__(
        self,
        epsilon: PositiveFloat = 1e-5,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.9,
        unbiased_running_var: bool = True,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(
            epsilon, momentum, unbiased_running_var=unbiased_running_var, scale=scale, center=center, **site
        )


class OneDevice(NormGradient):
    """See before training that there is one device; gradients stay as they are."""

    def prepare(self, network: Any) -> None:
        """Refuse several devices.

        Raises:
            SpecError: The network is on more than one.
        """
        devices = max(len(parameter.list_ctx()) for parameter in network.parameters.values())
        if devices > 1:
            raise SpecError(
                f"sync_batch: {devices} devices can't share statistics within a step; expected one device; "
                "choose norm batch for statistics of each device's own examples"
            )

    def __call__(self, F: Any, name: str, weight: Any, gradient: Any) -> Any:
        """Leave the gradient."""
        return gradient


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `sync_batch`."""
    yield Norm(
        "sync_batch",
        layer=SyncBatchNorm,
        gradient=OneDevice,
        title="Synchronized batch normalization",
        formula="y = gamma (x - mean_B) / sqrt(var_B + epsilon) + beta, B the batch of all devices",
        authors="Peng, Xiao, Li, Jiang, Zhang, Jia, Yu, Sun",
        venue="CVPR",
        year=2018,
        paper="arXiv:1711.07240",
        paper_title="MegDet: A Large Mini-Batch Object Detector",
        expected_failures={"step_acts": "it looks at the devices before the first step, and leaves gradients alone"},
    )
