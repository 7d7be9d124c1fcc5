"""Fold scales and shifts into adjacent dense and convolutional layers, and fuse convolutions with what follows them.

A layer computes `W x + b`. A scale and shift of its outputs, `s (W x + b) + t`, is a layer with the weight `s W` and
the bias `s b + t`. A scale and shift of the inputs of a dense layer, `W (s x + t) + b`, is a layer with the weight
`W s` and the bias `b + W t`. Folding saves time because weights are small and activations are not.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from normlab.backend.mxnet import mxnet
from normlab.backend.passes.rewriting import Entry, Node, Rewriter

_MATRIX = 2


class _Affine(NamedTuple):
    """`scale x + shift` for each channel.

    Attributes:
        x: The activations.
        scale: `(C,)`.
        shift: `(C,)`.
    """

    x: Entry
    scale: Entry
    shift: Entry


def fold_affine(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Fold all scales and shifts that can be folded.

    Args:
        graph: A symbol that is not differentiated afterwards.
        shapes: The shapes of its variables.

    Returns:
        A symbol with the same outputs up to rounding, of some or all of the same variables.
    """
    rewriter = _FoldingRewriter(graph, shapes)
    for node in list(rewriter.nodes):
        rewriter.fold_into_layer_before(node)
    rewriter.count_uses()
    for node in list(rewriter.nodes):
        rewriter.fold_into_layer_after(node)
    return rewriter.symbol()


class _FoldingRewriter(Rewriter):
    def fold_into_layer_before(self, node: Node) -> None:
        """Fold a scale and shift into the layer before it, in place, if the layer has no other user."""
        affine = self._fixed_affine(node)
        layer = node["inputs"][0][0] if affine else None
        if affine is None or layer is None or not self.is_used_once(layer) or affine.x[1] != 0:
            return
        options = layer.get("attrs", {})
        if layer["op"] == "Convolution":
            ones = (1,) * (len(ast.literal_eval(options["kernel"])) + 1)
        elif layer["op"] == "FullyConnected" and options.get("flatten", "True") == "True":
            ones = (1,)
        else:
            return
        data, weight, *bias = layer["inputs"]
        scale = self.add("Reshape", [affine.scale], shape=str((-1, *ones)))
        shift = affine.shift
        if bias:
            shift = self.add("elemwise_add", [self.add("elemwise_mul", [bias[0], affine.scale]), shift])
        inputs = [data, self.add("broadcast_mul", [weight, scale]), shift]
        node.update(op=layer["op"], inputs=inputs, attrs={**options, "no_bias": "False"})

    def fold_into_layer_after(self, node: Node) -> None:
        """Fold a scale and shift into the dense layer after it, in place, if that is its only user."""
        if node["op"] != "FullyConnected":
            return
        before = node["inputs"][0][0]
        affine = self._fixed_affine(before) or self._computed_affine(before)
        if affine is None or not self.is_used_once(before) or len(self.shape(before) or ()) != _MATRIX:
            return
        _, weight, *bias = node["inputs"]
        options = {"num_hidden": node["attrs"]["num_hidden"]}
        row = self.add("Reshape", [affine.shift], shape="(1, -1)")
        shift = self.add("FullyConnected", [row, weight, *bias], no_bias=str(not bias), **options)
        scaled = self.add("broadcast_mul", [weight, self.add("Reshape", [affine.scale], shape="(1, -1)")])
        inputs = [affine.x, scaled, self.add("Reshape", [shift], shape="(-1,)")]
        node.update(inputs=inputs, attrs={**node["attrs"], "no_bias": "False"})

    def _fixed_affine(self, node: Node) -> _Affine | None:
        """Return the scale and shift of a BatchNorm operator with given statistics, else None."""
        options = node.get("attrs", {})
        if node["op"] != "BatchNorm" or options.get("use_global_stats") != "True" or options.get("axis", "1") != "1":
            return None
        if options.get("fix_gamma", "True") == "True" or options.get("output_mean_var", "False") == "True":
            return None
        x, gamma, beta, *statistics = node["inputs"]
        mean, variance = ([source, output, 0] for source, output, _ in statistics)
        inverse_std = self.add("rsqrt", [self.add("_plus_scalar", [variance], scalar=options.get("eps", "0.001"))])
        scale = self.add("elemwise_mul", [gamma, inverse_std])
        shift = self.add("elemwise_sub", [beta, self.add("elemwise_mul", [mean, scale])])
        return _Affine(x, scale, shift)

    def _computed_affine(self, node: Node) -> _Affine | None:
        """Return the scale and shift of the columns of a table by two broadcast operators, else None."""
        if node["op"] != "broadcast_add" or node["inputs"][0][0]["op"] != "broadcast_mul":
            return None
        times, shift = node["inputs"][0][0], node["inputs"][1]
        x, scale = times["inputs"]
        row = (1, *(self.shape(node) or (0, 0))[1:])
        rows = [self.shape(entry[0]) for entry in (scale, shift)]
        if not self.is_used_once(times) or rows != [row, row] or self.shape(x[0]) == row:
            return None
        return _Affine(x, scale, shift)


#: The name of oneDNN's fusion in MXNet, and of the feature that a build must have for it.
_BACKEND = _FEATURE = "MKLDNN"


def fuse_convolutions(graph: Any) -> Any:
    """Fuse convolutions with the activations and sums that follow them, for a CPU; the values stay the same.

    Networks without convolutions are returned as they are: operators after dense layers are bound by arithmetic, so a
    pass over memory less saves nothing.
    """
    before = _count_operators(graph)
    if not before["Convolution"] or not mxnet().runtime.Features().is_enabled(_FEATURE):
        return graph
    rewritten = graph.optimize_for(_BACKEND)
    # if MXNet was imported without normlab's settings, fusion gives batch norms their running statistics regardless
    return rewritten if _count_operators(rewritten)["BatchNorm"] == before["BatchNorm"] else graph


def _count_operators(graph: Any) -> Counter[str]:
    return Counter(node["op"] for node in json.loads(graph.tojson())["nodes"])
