"""A compiled graph as a list of nodes that can be changed, and then compiled again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from normlab.backend.mxnet import mxnet

mx = mxnet()

#: What MXNet's JSON has for a node: op, name, attrs, inputs.
Node = dict[str, Any]
#: One output of a node: the node, the number of the output, a version.
Entry = list[Any]


class Rewriting:
    """The nodes of a graph, which refer to each other.

    Args:
        graph: A symbol.
        shapes: The shapes of its variables.

    Attributes:
        nodes: All nodes of the graph as it came, each after those that it uses.
        heads: The outputs of the graph.
    """

    def __init__(self, graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
        written = json.loads(graph.tojson())
        self.nodes: list[Node] = written["nodes"]
        for node in self.nodes:
            node["inputs"] = [[self.nodes[index], *rest] for index, *rest in node["inputs"]]
        self.heads: list[Entry] = [[self.nodes[index], *rest] for index, *rest in written["heads"]]
        self._about = written["attrs"]
        self._shapes = _shapes(graph, shapes)
        self._taken = {node["name"] for node in self.nodes}
        self._added = 0
        self.count()

    def count(self) -> None:
        """Count by how many each node is used, as the graph is now."""
        self._uses = Counter(id(entry[0]) for node in self._reached() for entry in node["inputs"])
        self._uses.update(id(entry[0]) for entry in self.heads)

    def alone(self, node: Node) -> bool:
        """Whether one input of one node, or one output of the graph, is all that uses a node."""
        return self._uses[id(node)] == 1

    def users(self, node: Node) -> list[tuple[Node | None, int]]:
        """What uses a node, and as which of its inputs; None for the outputs of the graph."""
        them: list[tuple[Node | None, int]] = [
            (user, index) for user in self._reached() for index, entry in enumerate(user["inputs"]) if entry[0] is node
        ]
        return them + [(None, index) for index, entry in enumerate(self.heads) if entry[0] is node]

    def shape(self, node: Node) -> tuple[int, ...] | None:
        """The shape of a node of the graph as it came; None if that can't be told, as of one with several outputs."""
        return self._shapes.get(node["name"])

    def add(self, op: str, inputs: list[Entry], **options: str) -> Entry:
        """A new node; its output."""
        name = None
        while name is None or name in self._taken:
            self._added += 1
            name = f"normlab_added{self._added}"
        node = {"op": op, "name": name, "attrs": options, "inputs": inputs}
        return [node, 0, 0]

    def variable(self, name: str) -> Entry:
        """The variable of this name, a new one if the graph has none."""
        found = next((node for node in self.nodes if node["op"] == "null" and node["name"] == name), None)
        if found is None:
            found = {"op": "null", "name": name, "inputs": []}
            self.nodes.append(found)
        return [found, 0, 0]

    def put(self, node: Node, entry: Entry) -> None:
        """Let everything that uses a node use an output of another one."""
        for user in [*self._reached(), {"inputs": self.heads}]:
            user["inputs"][:] = [entry if used[0] is node else used for used in user["inputs"]]

    def symbol(self) -> Any:
        """The graph as a symbol again."""
        nodes = self._reached()
        index = {id(node): number for number, node in enumerate(nodes)}

        def entries(them: list[Entry]) -> list[list[int]]:
            return [[index[id(node)], *rest] for node, *rest in them]

        written = {
            "nodes": [{**node, "inputs": entries(node["inputs"])} for node in nodes],
            "arg_nodes": [number for number, node in enumerate(nodes) if node["op"] == "null"],
            "heads": entries(self.heads),
            "attrs": self._about,
        }
        return mx.sym.load_json(json.dumps(written))

    def _reached(self) -> list[Node]:
        """All nodes that the outputs need, each after those that it uses."""
        found: dict[int, Node] = {}
        waiting = [entry[0] for entry in reversed(self.heads)]
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
