"""The stored cases of each method, and the parameters with which it follows their conventions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Largest deviation due to rounding, by the type in which a method computes.
TOLERANCES = {"float64": 1e-10, "float32": 3e-6}


#: Methods without a row, with the reasons.
UNPROVED = {
    "none": "it computes nothing",
}


@dataclass(frozen=True, eq=False)
class Row:
    """A method and a stored case.

    Attributes:
        norm: The method's name.
        source: Package, method and name of the case.
        parameters: The constructor's parameters.
        names: The method's names of parameters and states that have other names in the case.
        values: Values of states and parameters that are not in the case.
        dtype: `float64`, or `float32` where MXNet or the package has no float64.
    """

    norm: str
    source: tuple[str, str, str]
    parameters: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float64"

    @property
    def id(self) -> str:
        """The id of the test."""
        package, method, case = self.source
        return f"{self.norm}-{package}-{method}-{case}"

    @property
    def tolerance(self) -> float:
        """The largest deviation allowed."""
        return TOLERANCES[self.dtype]


def _rows(norm: str, file: str, cases: dict[str, dict[str, Any]], **options: Any) -> list[Row]:
    """Return rows of one method; `file` is package/method, `cases` maps cases to parameters."""
    package, method = file.split("/")
    return [Row(norm, (package, method, case), parameters, **options) for case, parameters in cases.items()]


def _same(norm: str, file: str, cases: str, parameters: dict[str, Any], **options: Any) -> list[Row]:
    """Return rows of one method with the same parameters for all cases, given as names separated by spaces."""
    return _rows(norm, file, dict.fromkeys(cases.split(), parameters), **options)


_PLAIN: dict[str, Any] = {"scale": False, "center": False}
_BATCH = {"epsilon": 1e-3, "momentum": 0.7}
#: An epsilon too small to have an effect.
NO_EPSILON = {"epsilon": 1e-40}
_RENORM = {"epsilon": 1e-3, "momentum": 0.7, "r_max": 1.5, "d_max": 0.5}
#: A step at which the bounds of batch renormalization have long been reached.
_RELAXED = {"steps": 1e6}
_EVONORM_B = {"epsilon": 1e-3, "momentum": 0.7}
_EVONORM_S = {"epsilon": 1e-3, "groups": 3}
_ACTIVE = {"activation": "relu"}
_WHITENING = {"group_size": 3, "epsilon": 1e-2, "momentum": 0.7}
_KERAS_GHOSTS = {"strided": True, "follow": "mean", "unbiased_running_var": False}
_GROUP_GHOST = {**_BATCH, "examples": 2}

ROWS: list[Row] = [
    *_same("batch", "torch/batch", "nc nchw ntc", _BATCH),
    *_same("batch", "torch/batch", "plain", _PLAIN),
    *_same("batch", "torch/batch", "untracked", {"epsilon": 1e-3, "predict": "batch"}),
    *_same("batch", "flax/batch", "nc nchw ntc", {**_BATCH, "unbiased_running_var": False}),
    *_same("sync_batch", "torch/batch", "nc nchw ntc", _BATCH),
    *_same("layer", "torch/layer", "nc", {"epsilon": 1e-3}),
    *_same("layer", "torch/layer", "nchw_channels ntc_channels", {"over": "channels", "epsilon": 1e-3}),
    *_same("layer", "torch/layer", "nchw_all ntc_all", {"over": "all", "epsilon": 1e-3}),
    *_same("layer", "timm/layer", "nchw_channels", {"over": "channels", "epsilon": 1e-3}),
    *_same("layer", "timm/layer", "nchw_all", {"over": "all", "epsilon": 1e-3}),
    *_same("layer", "flax/layer", "nc nchw ntc", {"over": "channels", "epsilon": 1e-3}),
    *_same("instance", "torch/instance", "nchw ntc", {"epsilon": 1e-3}),
    *_same("instance", "torch/instance", "plain", _PLAIN),
    *_same("instance", "flax/instance", "nchw ntc", {"epsilon": 1e-3}),
    *_same("group", "torch/group", "nc", {"groups": 2, "epsilon": 1e-3}),
    *_same("group", "torch/group", "nchw", {"groups": 3, "epsilon": 1e-3}),
    *_same("group", "torch/group", "ntc", {"group_size": 2, "epsilon": 1e-3}),
    *_same("group", "flax/group", "nchw ntc", {"groups": 3, "epsilon": 1e-3}),
    *_same("rms", "torch/rms", "nc nchw ntc", {"epsilon": 1e-3}),
    *_same("rms", "torch/rms", "all", {"over": "all", "epsilon": 1e-3, **_PLAIN}),
    *_same("rms", "timm/rms", "nchw ntc", {"epsilon": 1e-3}),
    *_same("rms", "flax/rms", "nc nchw ntc", {"epsilon": 1e-3}),
    *_rows(
        "rms",
        "numpy/rms",
        {
            "epsilon_outside": {"epsilon": 1e-2, "epsilon_inside": False},
            "partial": {"epsilon": 1e-3, "partial": 0.5},
            "shift": {"epsilon": 1e-3, "center": True},
            "zero_centred": {"epsilon": 1e-3, "zero_centered_gamma": True},
        },
    ),
    *_rows(
        "local_response",
        "torch/local_response",
        {
            "size3": {"size": 3, "alpha": 0.5, "power": 0.75, "k": 1.0},
            "size5": {"size": 5, "alpha": 0.9, "power": 0.6, "k": 2.0},
        },
        dtype="float32",
    ),
    *_same("l2", "torch/l2", "nc nchw ntc", {"scale": False, **NO_EPSILON}),
    *_same("l2", "torch/l2", "least", {"scale": False, "epsilon": 0.5}),
    *_same("weight_norm", "torch/weight_norm", "dense conv", NO_EPSILON),
    *_same("spectral_norm", "torch/spectral_norm", "dense conv", {}),
    *_same("spectral_norm", "torch/spectral_norm", "two_iterations", {"iterations": 2}),
    *_same("weight_standardization", "timm/weight_standardization", "conv", {"epsilon": 1e-3}),
    *_same(
        "weight_standardization",
        "numpy/weight_standardization",
        "dense_outside conv_outside",
        {"epsilon": 1e-2, "epsilon_inside": False, "unbiased": True},
    ),
    *_same(
        "weight_standardization", "numpy/weight_standardization", "conv_inside", {"epsilon": 1e-3, "unbiased": True}
    ),
    *_rows("ghost_batch", "pytorch_tabnet/ghost_batch", {"even": {"size": 3, "momentum": 0.7}}),
    *_rows("ghost_batch", "pytorch_tabnet/ghost_batch", {"shorter_last": {"size": 4, "momentum": 0.7}}),
    *_same(
        "ghost_batch",
        "tf_keras/ghost_batch",
        "nc nchw",
        {**_KERAS_GHOSTS, "size": 3, "momentum": 0.75, "epsilon": 1e-3},
    ),
    *_same(
        "batch_renorm",
        "chainer/batch_renorm",
        "nc nchw",
        {**_RENORM, "average": "unbiased_variance"},
        names={"running_var": "running_spread"},
        values=_RELAXED,
    ),
    *_same(
        "batch_renorm",
        "tf_keras/batch_renorm",
        "nc nchw",
        {**_RENORM, "momentum": 0.75, "average": "deviation"},
        names={"running_deviation": "running_spread"},
        values=_RELAXED,
    ),
    *_same(
        "batch_renorm",
        "numpy/batch_renorm",
        "nc nchw",
        {"epsilon": 1e-3, "momentum": 0.7, "relax_from": 1, "r_max_from": 5, "d_max_from": 3},
        names={"running_deviation": "running_spread"},
    ),
    *_same("frn", "numpy/frn", "single maps", {"epsilon": 1e-3, "learned_epsilon": True}),
    *_same("frn", "timm/frn", "nchw", {"epsilon": 1e-3, **_ACTIVE}),
    *_same("frn", "timm/frn", "without_tlu", {"epsilon": 1e-3}, values={"tau": -1e3}),
    *_same("evonorm_b0", "timm/evonorm_b0", "nchw", {**_EVONORM_B, **_ACTIVE}),
    *_same("evonorm_b0", "timm/evonorm_b0", "linear", _EVONORM_B),
    *_same("evonorm_b1", "timm/evonorm_b1", "nchw", {**_EVONORM_B, **_ACTIVE}),
    *_same("evonorm_b1", "timm/evonorm_b1", "linear", _EVONORM_B),
    *_same("evonorm_b2", "timm/evonorm_b2", "nchw", {**_EVONORM_B, **_ACTIVE}),
    *_same("evonorm_b2", "timm/evonorm_b2", "linear", _EVONORM_B),
    *_same("evonorm_s0", "timm/evonorm_s0", "nchw", {**_EVONORM_S, **_ACTIVE}),
    *_same("evonorm_s0", "timm/evonorm_s0", "linear", _EVONORM_S),
    *_same("evonorm_s0a", "timm/evonorm_s0a", "nchw", {**_EVONORM_S, **_ACTIVE}),
    *_same("evonorm_s0a", "timm/evonorm_s0a", "linear", _EVONORM_S),
    *_same("evonorm_s1", "timm/evonorm_s1", "nchw", {**_EVONORM_S, **_ACTIVE}),
    *_same("evonorm_s1", "timm/evonorm_s1", "linear", _EVONORM_S),
    *_same("evonorm_s1a", "timm/evonorm_s1a", "nchw", {**_EVONORM_S, **_ACTIVE}),
    *_same("evonorm_s1a", "timm/evonorm_s1a", "linear", _EVONORM_S),
    *_same("evonorm_s2", "timm/evonorm_s2", "nchw", {**_EVONORM_S, **_ACTIVE}),
    *_same("evonorm_s2", "timm/evonorm_s2", "linear", _EVONORM_S),
    *_same("evonorm_s2a", "timm/evonorm_s2a", "nchw", {**_EVONORM_S, **_ACTIVE}),
    *_same("evonorm_s2a", "timm/evonorm_s2a", "linear", _EVONORM_S),
    *_same("grn", "timm/grn", "nchw", {"epsilon": 1e-3}),
    *_same("dyt", "x_transformers/dyt", "nc nchw ntc", {}),
    # MXNet's derivative of erf has its constant in float32
    *_same("derf", "x_transformers/derf", "nc nchw ntc", {}, dtype="float32"),
    *_same("scale_norm", "x_transformers/scale_norm", "nc nchw ntc", NO_EPSILON),
    *_same("simple_norm", "timm/simple_norm", "nc nchw ntc", {"epsilon": 1e-3}),
    *_same(
        "decorrelated",
        "chainer/decorrelated",
        "nc nchw",
        {**_WHITENING, "epsilon": 1e-3, "unbiased_running_matrix": True, **_PLAIN},
        names={"running_whitening": "running_matrix"},
    ),
    *_same("agc", "timm/agc", "dense conv vector", {"clipping": 0.1, "epsilon": 0.1}),
    *_same("agc", "optax/agc", "dense", {"clipping": 0.1, "epsilon": 0.1}),
    *_same("affine", "numpy/affine", "nc nchw ntc", {}),
    *_same("pixel_norm", "numpy/pixel_norm", "nc nchw ntc", {}),
    *_same("pixel_norm", "numpy/pixel_norm", "epsilon", {"epsilon": 1e-2}),
    *_same("positional", "numpy/positional", "nchw ntc", {"epsilon": 1e-3, **_PLAIN}),
    *_same("positional", "numpy/positional", "biased", {"epsilon": 1e-3, "unbiased": False, **_PLAIN}),
    *_same("switchable", "numpy/switchable", "nc nchw ntc", {**_BATCH, "unbiased": True}),
    *_same("switchable", "numpy/switchable", "nc_biased nchw_biased", _BATCH),
    *_same("virtual_batch", "numpy/virtual_batch", "nc_joined nchw_joined", {"epsilon": 1e-3, "reference": 4}),
    *_same(
        "virtual_batch",
        "numpy/virtual_batch",
        "nc_stored nchw_stored",
        {"epsilon": 1e-3, "reference": 4, "choose": "once"},
        values={"captured": 1.0},
    ),
    *_same("iter_norm", "numpy/iter_norm", "nc nchw", {**_WHITENING, "iterations": 5}),
    *_same("iter_norm", "numpy/iter_norm", "ntc", {**_WHITENING, "iterations": 3}),
    *_same("iter_norm", "numpy/iter_norm", "covariance", {**_WHITENING, "keeps": "covariance"}),
    *_same("decorrelated", "numpy/decorrelated", "nc_zca nchw_zca", {**_WHITENING, "whitening": "zca"}),
    *_same("decorrelated", "numpy/decorrelated", "nc_pca nchw_pca", {**_WHITENING, "whitening": "pca"}),
    *_same("decorrelated", "numpy/decorrelated", "nc_cholesky nchw_cholesky", {**_WHITENING, "whitening": "cholesky"}),
    *_same("batch_instance", "numpy/batch_instance", "nchw ntc", _BATCH),
    *_same("representative_batch", "numpy/representative_batch", "nchw ntc", _BATCH),
    *_same("ie_batch", "numpy/ie_batch", "nchw ntc", _BATCH),
    *_same("attentive", "numpy/attentive", "nchw", {**_BATCH, "kinds": 4, "deviation_epsilon": 1e-2}),
    *_same(
        "batch_channel",
        "numpy/batch_channel",
        "nc nchw",
        {**_BATCH, "groups": 3},
        names={"gamma": "gamma_batch", "beta": "beta_batch", "group_gamma": "gamma", "group_beta": "beta"},
    ),
    *_same("ibn", "numpy/ibn", "half ntc", _BATCH),
    *_same("ibn", "numpy/ibn", "third", {**_BATCH, "ratio": 0.34}),
    *_same("batch_group", "numpy/batch_group", "nchw", {**_BATCH, "groups": 3}),
    *_same("batch_group", "numpy/batch_group", "across_maps", {**_BATCH, "groups": 4, "across_maps": True}),
    *_same("batch_group", "numpy/batch_group", "nc", {**_BATCH, "groups": 2}),
    *_same("group_ghost", "numpy/group_ghost", "nc nchw", {**_GROUP_GHOST, "group_size": 3, "example_weight": 0.25}),
    *_same("group_ghost", "numpy/group_ghost", "ghost uneven", {**_GROUP_GHOST, "groups": 6, "example_weight": 0.0}),
    *_same(
        "group_ghost",
        "numpy/group_ghost",
        "uneven_groups",
        {**_GROUP_GHOST, "examples": 4, "groups": 3, "example_weight": 0.0},
    ),
    *_same("proxy", "numpy/proxy", "layer nc", {"groups": 1, "epsilon": 1e-3, "samples": 32, **_ACTIVE}),
    *_same("proxy", "numpy/proxy", "group", {"groups": 3, "epsilon": 1e-3, "samples": 32, **_ACTIVE}),
    *_same(
        "power_norm",
        "numpy/power_norm",
        "nc ntc",
        {**_BATCH, "backward_momentum": 0.8, "warm_up": 2},
    ),
    *_rows(
        "cross_iteration_batch",
        "numpy/cross_iteration_batch",
        {
            "nc": {**_BATCH, "window": 3, "burn_in": 0},
            "nchw": {**_BATCH, "window": 2, "burn_in": 0},
            "ntc": {**_BATCH, "window": 3, "burn_in": 2},
            "grouped": {**_BATCH, "window": 3, "burn_in": 0, "impossible": "leave_out", "epsilon_inside": False},
        },
    ),
    *_same("mabn", "numpy/mabn", "start later", {**_BATCH, "buffer": 2, "warm_up": 4}),
    *_same("mabn", "numpy/mabn", "weight", {}),
    *_same(
        "online",
        "numpy/online",
        "nc nchw",
        {"epsilon": 1e-3, "momentum": 0.9, "backward_momentum": 0.8},
    ),
]
