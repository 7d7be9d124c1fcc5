"""Attentive normalization (Li, Sun and Wu, ECCV 2020, arXiv:1908.01259) after batch normalization.

The shares come from each map's mean over its deviation, as in the authors' code, by a matrix, batch normalization and
the hard sigmoid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.archive import Header
from reference.generators.numpy_case import batch_norm, larger, moments, positions, run, scale_shift, store

EPSILON, KEEP, KINDS, OF_DEVIATION = 1e-3, 0.7, 4, 1e-2


def hard_sigmoid(x: Any) -> Any:
    """(x + 3) / 6 between 0 and 1."""
    return -larger(-larger((x + 3) / 6, 0.0), -1.0)


def forward(x: Any, p: Any, s: Any, training: bool) -> Any:
    """sum_k share_k (gamma_k y + beta_k), y = BN(x)."""
    y, new = batch_norm(x, s, training=training, epsilon=EPSILON, keep=KEEP)
    m = np.prod(x.shape[2:])
    mean, variance = moments(x, positions(x))
    described = (mean / np.sqrt(variance * m / (m - 1) + OF_DEVIATION)).reshape(x.shape[:2])
    inner = {"running_mean": s["attention_running_mean"], "running_var": s["attention_running_var"]}
    scores, inner = batch_norm(
        described @ p["attention_weight"].T, inner, training=training, epsilon=EPSILON, keep=KEEP
    )
    shares = hard_sigmoid(scale_shift(scores, {"gamma": p["attention_gamma"], "beta": p["attention_beta"]}))
    gamma, beta = ((shares @ p[name]).reshape(*x.shape[:2], *[1] * (x.ndim - 2)) for name in ("gamma", "beta"))
    return gamma * y + beta, {**new, **{f"attention_{name}": value for name, value in inner.items()}}


if __name__ == "__main__":
    call = (
        "sum_k share_k (gamma_k BN(x) + beta_k), share = hard sigmoid(BN(W mean / sqrt(variance + 0.01))), "
        f"{KINDS} kinds, epsilon {EPSILON}, {KEEP} of the averages kept"
    )
    parameters = {
        "gamma": (KINDS, 6),
        "beta": (KINDS, 6),
        "attention_weight": np.linspace(-1, 1, KINDS * 6).reshape(KINDS, 6)[:, ::-1] ** 3,
        "attention_gamma": (KINDS,),
        "attention_beta": (KINDS,),
    }
    start = {
        "running_mean": np.zeros(6),
        "running_var": np.ones(6),
        "attention_running_mean": np.zeros(KINDS),
        "attention_running_var": np.ones(KINDS),
    }
    store("attentive", [run(Header("nchw", "NCHW", call), forward, parameters, start)])
