"""A graph as a list of nodes that can be edited and turned back into a symbol."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from normlab.backend.mxnet import mxnet

mx = mxnet()

#: A node in MXNet's JSON: op, name, attrs, inputs.
Node = dict[str, Any]
#: One output of a node: the node, the index of the output, a version.
Entry = list[Any]


class Rewriter:
    """The nodes of a graph, with references to each other in place of indices.

    Args:
        graph: A symbol.
        shapes: The shapes of its variables.

    Attributes:
        nodes: All nodes of the original graph, each after its inputs.
        heads: The outputs of the graph.
    """

    def __init__(self, graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
        written = json.loads(graph.tojson())
        self.nodes: list[Node] = written["nodes"]
        for node in self.nodes:
            node["inputs"] = [[self.nodes[index], *rest] for index, *rest in node["inputs"]]
        self.heads: list[Entry] = [[self.nodes[index], *rest] for index, *rest in written["heads"]]
        self._attributes = written["attrs"]
        self._shapes = _infer_shapes(graph, shapes)
        self._taken = {node["name"] for node in self.nodes}
        self._added = 0
        self.count_uses()

    def count_uses(self) -> None:
        """Count the uses of each node in the graph as it is now."""
        self._uses = Counter(id(entry[0]) for node in self._reachable() for entry in node["inputs"])
        self._uses.update(id(entry[0]) for entry in self.heads)

    def is_used_once(self, node: Node) -> bool:
        """Return whether a node has one user only: one input of one node, or one output of the graph."""
        return self._uses[id(node)] == 1

    def users(self, node: Node) -> list[tuple[Node | None, int]]:
        """Return the users of a node, each with the index of its input; None for the outputs of the graph."""
        found: list[tuple[Node | None, int]] = [
            (user, index)
            for user in self._reachable()
            for index, entry in enumerate(user["inputs"])
            if entry[0] is node
        ]
        return found + [(None, index) for index, entry in enumerate(self.heads) if entry[0] is node]

    def shape(self, node: Node) -> tuple[int, ...] | None:
        """Return the shape of a node of the original graph, or None if unknown or if it has several outputs."""
        return self._shapes.get(node["name"])

    def add(self, op: str, inputs: list[Entry], **options: str) -> Entry:
        """Add a node and return its output."""
        name = None
        while name is None or name in self._taken:
            self._added += 1
            name = f"normlab_added{self._added}"
        return [{"op": op, "name": name, "attrs": options, "inputs": inputs}, 0, 0]

    def variable(self, name: str) -> Entry:
        """Return the variable of this name; add it if the graph has none."""
        found = next((node for node in self.nodes if node["op"] == "null" and node["name"] == name), None)
        if found is None:
            found = {"op": "null", "name": name, "inputs": []}
            self.nodes.append(found)
        return [found, 0, 0]

    def replace(self, node: Node, entry: Entry) -> None:
        """Make all users of a node use another entry."""
        for user in [*self._reachable(), {"inputs": self.heads}]:
            user["inputs"][:] = [entry if used[0] is node else used for used in user["inputs"]]

    def symbol(self) -> Any:
        """Return the edited graph as a symbol."""
        nodes = self._reachable()
        index = {id(node): number for number, node in enumerate(nodes)}

        def indexed(entries: list[Entry]) -> list[list[int]]:
            return [[index[id(node)], *rest] for node, *rest in entries]

        written = {
            "nodes": [{**node, "inputs": indexed(node["inputs"])} for node in nodes],
            "arg_nodes": [number for number, node in enumerate(nodes) if node["op"] == "null"],
            "heads": indexed(self.heads),
            "attrs": self._attributes,
        }
        return mx.sym.load_json(json.dumps(written))

    def _reachable(self) -> list[Node]:
        """Return all nodes that the outputs need, each after its inputs."""
        found: dict[int, Node] = {}
        pending = [entry[0] for entry in reversed(self.heads)]
        while pending:
            node = pending[-1]
            missing = [entry[0] for entry in node["inputs"] if id(entry[0]) not in found]
            if missing and id(node) not in found:
                pending += reversed(missing)
            else:
                found.setdefault(id(node), pending.pop())
        return list(found.values())


def _infer_shapes(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of nodes with one output, by name; names that occur twice are left out."""
    inner = graph.get_internals()
    names = inner.list_outputs()
    _, found, _ = inner.infer_shape(**shapes)
    occurrences = Counter(names)
    return {name.removesuffix("_output"): shape for name, shape in zip(names, found) if occurrences[name] == 1}
