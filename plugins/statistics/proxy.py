"""Proxy normalization (Labatie, Masters, Eaton-Rosen and Luschi, NeurIPS 2021, arXiv:2106.03743).

    z = (f(gamma y + beta) - mean_Y) / sqrt(var_Y + epsilon_Y),   y = (x - mean_G) / sqrt(var_G + epsilon)
    mean_Y, var_Y: those of f(gamma Y + beta) for a proxy Y ~ N(proxy_beta, (1 + proxy_gamma)^2)

y is layer or group normalization: mean_G and the biased var_G are taken over a group of adjacent channels and all
positions, for each example. f is the activation of the site. After it, each channel is normalized as if y had the
distribution of the proxy, whose mean and deviation, one of each a channel, are learned as differences from 0 and 1. No
example depends on another; prediction is the same as training; there is no state.

Conventions, as in the authors' code: mean_Y and the biased var_Y are those of f at evenly spaced quantiles of Y, 200 of
them; epsilon_Y is 0.03; proxy_beta and proxy_gamma start at 0 and are the ones that get weight decay, while gamma and
beta get none. One group, which is layer normalization over channels and positions, is the default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from normlab import Norm, NormLayer, SpecError, hookimpl
from normlab.ops import constant, group_standardize, make_activation, scale_shift


class ProxyNorm(NormLayer):
    """Layer or group normalization, and after the activation what makes it one of each channel.

    Shapes: x and y `(N, C)`, `(N, C, H, W)` or `(N, T, C)`. Parameters: gamma `(C,)` from 1, beta `(C,)` from 0,
    proxy_gamma and proxy_beta `(C,)` from 0. No state; prediction is the same as training.

    Args:
        groups: Number of groups that the channels are normalized in before; 1 for layer normalization.
        epsilon: Added to the variance of a group, inside the root.
        proxy_epsilon: Added to the variance of the proxy's activation, inside the root.
        samples: Number of quantiles of the proxy.
        scale: Whether gamma is learned.
        center: Whether beta is learned.
    """

    needs_activation = True

    def __init__(
        self,
        groups: PositiveInt = 1,
        epsilon: PositiveFloat = 1e-5,
        proxy_epsilon: PositiveFloat = 0.03,
        samples: PositiveInt = 200,
        scale: bool = True,
        center: bool = True,
        **site: Any,
    ) -> None:
        super().__init__(scale=scale, center=center, **site)
        self.groups = groups
        self.epsilon = epsilon
        self.proxy_epsilon = proxy_epsilon
        self.samples = samples
        self.affine()
        self.parameter("proxy_gamma", "zeros")
        self.parameter("proxy_beta", "zeros")

    def prepare(self) -> None:
        """See that the groups divide the channels, and find what the activation computes.

        Raises:
            SpecError: They do not, or leave a single value to standardize.
        """
        least = 2 if self.layout == "NC" else 1
        if self.in_channels % self.groups or self.in_channels // self.groups < least:
            raise SpecError(
                f"proxy: groups {self.groups} does not suit the {self.in_channels} channels of a site in layout "
                f"{self.layout}; expected a divisor that leaves groups of at least {least}"
            )
        self._block = make_activation(self.activation or "identity")

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any, proxy_gamma: Any, proxy_beta: Any) -> Any:
        """Standardize, scale, shift, activate, and normalize by the proxy."""
        y = group_standardize(F, x, self.groups, self.epsilon)
        activated = self._activated(F, scale_shift(F, y, gamma, beta, self.in_channels))
        proxies = F.broadcast_mul(_column(F, proxy_gamma + 1), self._quantiles(F, x))
        proxies = F.broadcast_add(proxies, _column(F, proxy_beta))
        proxies = F.broadcast_add(F.broadcast_mul(proxies, _column(F, gamma)), _column(F, beta))
        proxies = self._activated(F, proxies)
        mean = F.mean(proxies, axis=1, keepdims=True)
        variance = F.mean(F.square(F.broadcast_sub(proxies, mean)), axis=1)
        inverse_root = F.rsqrt(variance + self.proxy_epsilon)
        shift = -F.reshape(mean, shape=(-1,)) * inverse_root
        return scale_shift(F, activated, inverse_root, shift, self.in_channels)

    def _activated(self, F: Any, y: Any) -> Any:
        # the fast relu of the block makes 0 of NaN
        return F.relu(y) if self.activation == "relu" else self._block(y)

    def _quantiles(self, F: Any, like: Any) -> Any:
        """Evenly spaced quantiles of the normal distribution, `(1, samples)`."""
        ones = F.reshape(constant(F, like, 1.0, self.samples), shape=(1, -1))
        shares = (2 * F.contrib.arange_like(ones, axis=1) + 1) / self.samples - 1
        return F.expand_dims(math.sqrt(2) * F.erfinv(shares), axis=0)


def _column(F: Any, values: Any) -> Any:
    return F.expand_dims(values, axis=1)


@hookimpl
def normlab_norms() -> Iterator[Norm]:
    """Register `proxy`."""
    yield Norm(
        "proxy",
        layer=ProxyNorm,
        title="Proxy normalization",
        formula="z = (f(gamma y + beta) - mean_Y) / sqrt(var_Y + epsilon_Y), y of layer or group normalization",
        authors="Labatie, Masters, Eaton-Rosen, Luschi",
        venue="NeurIPS",
        year=2021,
        paper="arXiv:2106.03743",
        paper_title="Proxy-Normalizing Activations to Match Batch Normalization while Removing Batch Dependence",
    )
