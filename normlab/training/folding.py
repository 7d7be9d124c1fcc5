"""Fold the scales and shifts of a prediction graph into the dense and convolutional layers beside them.

A layer computes `W x + b`. A scale and shift of its outputs, `s (W x + b) + t`, is a layer with the weight `s W` and
the bias `s b + t`; a scale and shift of the inputs of a dense layer, `W (s x + t) + b`, is one with the weight `W s`
and the bias `b + W t`. Weights are small, activations are not. Values change by rounding only.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from normlab.compat import mxnet

if TYPE_CHECKING:
    from collections.abc import Mapping

mx = mxnet()

#: What MXNet's JSON has for a node: op, name, attrs, inputs.
Node = dict[str, Any]
#: One output of a node: the node, the number of the output, a version.
Entry = list[Any]

_MATRIX = 2


class _Affine(NamedTuple):
    """`scale x + shift` by channel.

    Attributes:
        x: What is scaled.
        scale: `(C,)`.
        shift: `(C,)`.
    """

    x: Entry
    scale: Entry
    shift: Entry


def folded(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Fold what can be folded.

    Args:
        graph: A symbol that is not differentiated afterwards.
        shapes: The shapes of its variables.

    Returns:
        A symbol with the same outputs, from some or all of the same variables.
    """
    folding = _Folding(graph, shapes)
    for node in list(folding.nodes):
        folding.into_layer_before(node)
    folding.count()
    for node in list(folding.nodes):
        folding.into_layer_after(node)
    return folding.symbol()


class _Folding:
    """A graph as a list of nodes that refer to each other."""

    def __init__(self, graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
        written = json.loads(graph.tojson())
        self.nodes: list[Node] = written["nodes"]
        for node in self.nodes:
            node["inputs"] = [[self.nodes[index], *rest] for index, *rest in node["inputs"]]
        self._heads: list[Entry] = [[self.nodes[index], *rest] for index, *rest in written["heads"]]
        self._about = written["attrs"]
        self._shapes = _shapes(graph, shapes)
        self._added = 0
        self.count()

    def count(self) -> None:
        """Count by how many each node is used."""
        used = [entry[0] for node in self._reached() for entry in node["inputs"]] + [entry[0] for entry in self._heads]
        self._uses = Counter(map(id, used))

    def into_layer_before(self, node: Node) -> None:
        """Fold a scale and shift that only a layer feeds into the layer, in place."""
        affine = self._fixed_affine(node)
        layer = node["inputs"][0][0] if affine else None
        if affine is None or layer is None or not self._alone(layer) or affine.x[1] != 0:
            return
        options = layer.get("attrs", {})
        if layer["op"] == "Convolution":
            ones = (1,) * (len(ast.literal_eval(options["kernel"])) + 1)
        elif layer["op"] == "FullyConnected" and options.get("flatten", "True") == "True":
            ones = (1,)
        else:
            return
        data, weight, *bias = layer["inputs"]
        scale = self._add("Reshape", [affine.scale], shape=str((-1, *ones)))
        shift = affine.shift
        if bias:
            shift = self._add("elemwise_add", [self._add("elemwise_mul", [bias[0], affine.scale]), shift])
        inputs = [data, self._add("broadcast_mul", [weight, scale]), shift]
        node.update(op=layer["op"], inputs=inputs, attrs={**options, "no_bias": "False"})

    def into_layer_after(self, node: Node) -> None:
        """Fold a scale and shift that only a dense layer uses into that layer, in place."""
        if node["op"] != "FullyConnected":
            return
        before = node["inputs"][0][0]
        affine = self._fixed_affine(before) or self._computed_affine(before)
        if affine is None or not self._alone(before) or len(self._shapes.get(before["name"], ())) != _MATRIX:
            return
        _, weight, *bias = node["inputs"]
        options = {"num_hidden": node["attrs"]["num_hidden"]}
        row = self._add("Reshape", [affine.shift], shape="(1, -1)")
        shift = self._add("FullyConnected", [row, weight, *bias], no_bias=str(not bias), **options)
        scaled = self._add("broadcast_mul", [weight, self._add("Reshape", [affine.scale], shape="(1, -1)")])
        inputs = [affine.x, scaled, self._add("Reshape", [shift], shape="(-1,)")]
        node.update(inputs=inputs, attrs={**node["attrs"], "no_bias": "False"})

    def symbol(self) -> Any:
        """The graph as a symbol again."""
        nodes = self._reached()
        index = {id(node): number for number, node in enumerate(nodes)}

        def entries(them: list[Entry]) -> list[list[int]]:
            return [[index[id(node)], *rest] for node, *rest in them]

        written = {
            "nodes": [{**node, "inputs": entries(node["inputs"])} for node in nodes],
            "arg_nodes": [number for number, node in enumerate(nodes) if node["op"] == "null"],
            "heads": entries(self._heads),
            "attrs": self._about,
        }
        return mx.sym.load_json(json.dumps(written))

    def _fixed_affine(self, node: Node) -> _Affine | None:
        """The scale and shift that a BatchNorm operator is which takes its statistics from outside."""
        options = node.get("attrs", {})
        if node["op"] != "BatchNorm" or options.get("use_global_stats") != "True" or options.get("axis", "1") != "1":
            return None
        if options.get("fix_gamma", "True") == "True" or options.get("output_mean_var", "False") == "True":
            return None
        x, gamma, beta, *statistics = node["inputs"]
        mean, variance = ([source, output, 0] for source, output, _ in statistics)
        spread = self._add("rsqrt", [self._add("_plus_scalar", [variance], scalar=options.get("eps", "0.001"))])
        scale = self._add("elemwise_mul", [gamma, spread])
        shift = self._add("elemwise_sub", [beta, self._add("elemwise_mul", [mean, scale])])
        return _Affine(x, scale, shift)

    def _computed_affine(self, node: Node) -> _Affine | None:
        """The scale and shift of the columns of a table that two operators make."""
        if node["op"] != "broadcast_add" or node["inputs"][0][0]["op"] != "broadcast_mul":
            return None
        times, shift = node["inputs"][0][0], node["inputs"][1]
        x, scale = times["inputs"]
        row = (1, *self._shapes.get(node["name"], (0, 0))[1:])
        rows = [self._shapes.get(entry[0]["name"]) for entry in (scale, shift)]
        if not self._alone(times) or rows != [row, row] or self._shapes.get(x[0]["name"]) == row:
            return None
        return _Affine(x, scale, shift)

    def _alone(self, node: Node) -> bool:
        return self._uses[id(node)] == 1

    def _add(self, op: str, inputs: list[Entry], **options: str) -> Entry:
        self._added += 1
        node = {"op": op, "name": f"normlab_folding{self._added}", "attrs": options, "inputs": inputs}
        return [node, 0, 0]

    def _reached(self) -> list[Node]:
        """All nodes that the outputs need, each after those that it uses."""
        found: dict[int, Node] = {}
        waiting = [entry[0] for entry in reversed(self._heads)]
        while waiting:
            node = waiting[-1]
            missing = [entry[0] for entry in node["inputs"] if id(entry[0]) not in found]
            if missing and id(node) not in found:
                waiting += reversed(missing)
            else:
                found.setdefault(id(node), waiting.pop())
        return list(found.values())


def _shapes(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shape of the only output of each node by the node's name, without names that are there twice."""
    inner = graph.get_internals()
    names = inner.list_outputs()
    _, found, _ = inner.infer_shape(**shapes)
    often = Counter(names)
    return {name.removesuffix("_output"): shape for name, shape in zip(names, found) if often[name] == 1}
