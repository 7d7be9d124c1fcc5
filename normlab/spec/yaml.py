"""Read YAML with the position of each value, within limits on size and depth, and explain syntax errors.

Tags, directives, duplicate keys and several documents in one text are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from normlab.errors import SpecError
from normlab.spec.node import Entry, Node, Place
from normlab.spec.values import checked_key, checked_text, resolve
from normlab.spec.words import brief, shown

# (part of a message of PyYAML or libyaml, its explanation); the first match is used
_MEANINGS = (
    ("nesting depth", "lists and mappings nested too deeply; expected at most 20 levels"),
    ("unexpected end of stream", "a quote that is not closed; close it"),
    (
        "mapping values are not allowed",
        "a ':' that is not allowed here; quote text that contains ': ', and indent keys alike",
    ),
    ("sequence entries are not allowed", "a '-' that is not allowed here; begin the list on a new line"),
    ("could not find expected ':'", "a line without ':'; expected 'key: value'"),
    ("tab character", "a tab in the indentation; indent with spaces"),
    ("cannot start any token", "text that begins with a character reserved by YAML; put quotes around it"),
    ("',' or ']'", "a list that is not closed; expected ',' or ']'"),
    ("',' or '}'", "a mapping that is not closed; expected ',' or '}'"),
    ("escape", "an unknown escape in double quotes; use single quotes"),
    ("expected key", "a line that does not match the lines above; indent the keys of a block alike, and quote text"),
    ("<block end>", "a line that does not match the lines above; indent the keys of a block alike, and quote text"),
    ("'-' indicator", "an item of a list without '-'; expected '- ' before each item"),
    ("<document start>", "text after the end; remove it"),
    ("node content", "a missing value; close or remove the brackets, and quote text"),
    ("comment or line break", "text behind '|' or '>'; begin the text on the next line"),
    ("chomping or indentation", "text behind '|' or '>'; begin the text on the next line"),
)


def explain(error: Any, text: str, place: Callable[[int, int], Place]) -> str:
    """Describe a syntax error: where it is, what is wrong and what to do.

    Args:
        error: The error that PyYAML raised.
        text: The text that was read.
        place: Function that returns the place of a line and column, both counted from 0.
    """
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{place(0, 0)}: not valid YAML; expected lines 'key: value'"
    line, column = mark.line, mark.column
    problem = str(error.problem)
    meaning = "a tab; indent with spaces" if _is_tab(text, line, column) else _meaning(problem)
    opened = error.context_mark
    since = f" (opened on line {opened.line + 1})" if opened and "closed" in meaning and opened.line != line else ""
    return f"{place(line, column)}: not valid YAML: {meaning}{since}"


def _is_tab(text: str, line: int, column: int) -> bool:
    lines = text.splitlines()
    return line < len(lines) and lines[line][column : column + 1] == "\t"


def _meaning(problem: str) -> str:
    fitting = (meaning for part, meaning in _MEANINGS if part in problem)
    return next(fitting, problem.replace("\n", " ")[:100])


MAX_BYTES = 256 * 1024
"""Maximum number of bytes in one text."""
MAX_NODES = 10_000
"""Maximum number of keys and values in one text, with aliases expanded."""
MAX_DEPTH = 20
"""Maximum depth of nested lists and mappings."""

# libyaml is 20 times as fast; without it, parsing takes longer, but all limits hold
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NOT_YAML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# libyaml compares each tag directive with all before it, so many of them take quadratic time
_DIRECTIVE = re.compile(r"^%(?!YAML\b)", re.MULTILINE)


def compose(text: str, source: str, *, max_nodes: int = MAX_NODES, lines: bool = True) -> Node:
    """Read one YAML document.

    Args:
        text: The document.
        source: Name of the document in errors.
        max_nodes: Maximum number of keys and values; less than the default if a spec consists of several files.
        lines: Whether places have lines and columns; otherwise, they have only the source.

    Raises:
        SpecError: The text is not valid YAML, or uses features that specs do not support.
    """
    reader = _Reader(text, source, max_nodes, lines)
    try:
        return reader.document()
    except yaml.YAMLError as error:
        raise SpecError(explain(error, text, reader.place)) from None


class _Reader:
    def __init__(self, text: str, source: str, max_nodes: int, lines: bool) -> None:
        self._source, self._lines = source, lines
        self._left = max_nodes
        self._anchors: dict[str, tuple[Place, Node | None]] = {}
        self._check_text(text)
        self._parser = _Parser(text)

    def place(self, line: int, column: int) -> Place:
        """Return the place of a line and column, both counted from 0 as in PyYAML."""
        return Place(self._source, line + 1, column + 1) if self._lines else Place(self._source)

    def document(self) -> Node:
        """Read the only document; an empty text is null."""
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Node(None, self.place(0, 0))
        root = self._node(0)
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "a second document begins; expected one document; put it in a file of its own")
        return root

    def _check_text(self, text: str) -> None:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise SpecError(f"{self._source}: over {MAX_BYTES // 1024} kB; expected a smaller file")
        found = _NOT_YAML.search(text)
        if found:
            what = f"the character U+{ord(found.group()):04X}; expected printable text; remove it"
            raise SpecError(f"{self._position(text, found.start())}: {what}")
        found = _DIRECTIVE.search(text)
        if found:
            what = "a line that begins with '%'; expected no directives; remove it, or indent it if it is text"
            raise SpecError(f"{self._position(text, found.start())}: {what}")

    def _position(self, text: str, index: int) -> Place:
        before = text[:index]
        return self.place(before.count("\n"), index - (before.rfind("\n") + 1))

    def _next(self) -> Any:
        return self._parser.get_event()

    def _at(self, event: Any) -> Place:
        return self.place(event.start_mark.line, event.start_mark.column)

    def _error(self, event: Any, what: str) -> SpecError:
        return SpecError(f"{self._at(event)}: {what}")

    def _count_nodes(self, nodes: int, event: Any) -> None:
        self._left -= nodes
        if self._left < 0:
            raise self._error(event, f"over {MAX_NODES} keys and values in total; expected fewer")

    def _check_depth(self, depth: int, event: Any) -> None:
        if depth > MAX_DEPTH:
            raise self._error(event, f"lists and mappings nested over {MAX_DEPTH} levels deep; expected fewer levels")

    def _node(self, depth: int) -> Node:
        event = self._next()
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count_nodes(1, event)
        if event.tag is not None:
            tag = brief(event.tag.replace("tag:yaml.org,2002:", "!!"))
            what = f"the tag '{tag}'; expected a plain value; remove it, and quote the value if it is text"
            raise self._error(event, what)
        self._declare_anchor(event)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event), self._at(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth + 1)
        else:
            node = self._mapping(event, depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node.place, node)
        return node

    def _declare_anchor(self, event: Any) -> None:
        if event.anchor is None:
            return
        if event.anchor in self._anchors:
            first, _ = self._anchors[event.anchor]
            raise self._error(event, f"duplicate anchor '&{brief(event.anchor)}' (first: {first}); rename one of them")
        self._anchors[event.anchor] = (self._at(event), None)

    def _alias(self, event: Any, depth: int) -> Node:
        name = brief(event.anchor)
        if event.anchor not in self._anchors:
            raise self._error(
                event, f"the alias '*{name}' is not defined; expected '&{name}' before it; quote it if it is text"
            )
        place, node = self._anchors[event.anchor]
        if node is None:
            raise self._error(event, f"the alias '*{name}' refers to a value that contains it ({place}); remove it")
        self._count_nodes(node.size, event)
        self._check_depth(depth + node.height, event)
        return node

    def _scalar(self, event: Any) -> Any:
        plain = event.implicit[0]
        try:
            value = resolve(event.value) if plain else event.value
            return checked_text(value) if isinstance(value, str) else value
        except ValueError as error:
            shows = f"{brief(event.value)}: " if plain else ""
            raise self._error(event, f"{shows}{error}") from None

    def _sequence(self, event: Any, depth: int) -> Node:
        self._check_depth(depth, event)
        nodes = []
        while not self._parser.check_event(yaml.SequenceEndEvent):
            nodes.append(self._node(depth))
        self._next()
        return _make_node(nodes, nodes, self._at(event))

    def _mapping(self, event: Any, depth: int) -> Node:
        self._check_depth(depth, event)
        entries: dict[str, Entry] = {}
        merge: Entry | None = None
        while not self._parser.check_event(yaml.MappingEndEvent):
            key, key_event = self._key()
            entry = Entry(self._at(key_event), self._node(depth))
            merges = key == "<<" and key_event.implicit[0]
            before = merge if merges else entries.get(key)
            if before:
                what = f"duplicate key {shown(key)} (first: {before.key}); expected it once; remove one of them"
                raise self._error(key_event, what)
            if merges:
                merge = entry
            else:
                entries[key] = entry
        self._next()
        if merge:
            self._merge(entries, merge)
        return _make_node(entries, [entry.node for entry in entries.values()], self._at(event))

    def _key(self) -> tuple[str, Any]:
        event = self._next()
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor is not None:
            raise self._error(event, "a key that is not a plain word; expected a name such as learning_rate")
        self._count_nodes(1, event)
        key = self._scalar(event)
        if not isinstance(key, str):
            raise self._error(event, f"the key {shown(key)} is not text; expected a name; put quotes around it")
        try:
            return checked_key(key), event
        except ValueError as error:
            raise self._error(event, str(error)) from None

    def _merge(self, entries: dict[str, Entry], merge: Entry) -> None:
        """Add the mappings that `<<` refers to; keys of the mapping itself take precedence, then earlier mappings."""
        for source in merge.node.items or [merge.node]:
            if not isinstance(source.value, dict):
                raise SpecError(
                    f"{merge.key}: '<<' has {shown(source.plain())}; expected a mapping or a list of mappings"
                )
            for key, entry in source.value.items():
                entries.setdefault(key, entry)


def _make_node(value: Any, children: list[Node], place: Place) -> Node:
    keys = len(children) if isinstance(value, dict) else 0
    size = 1 + keys + sum(child.size for child in children)
    return Node(value, place, size, 1 + max((child.height for child in children), default=0))
