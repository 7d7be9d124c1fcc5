"""What a syntax error of YAML means, in words that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from normlab.spec.place import Place

# (part of what PyYAML or libyaml says, what it means); the first that fits is told
_MEANINGS = (
    ("nesting depth", "too many lists and mappings inside each other; expected at most 20"),
    ("unexpected end of stream", "a quote that is not closed; close it"),
    ("mapping values are not allowed", "a ':' where none can stand; quote text that holds ': ', and indent keys alike"),
    ("sequence entries are not allowed", "a '-' where none can stand; begin the list on a line of its own"),
    ("could not find expected ':'", "a line without ':'; expected 'key: value'"),
    ("tab character", "a tab in the indentation; indent with spaces"),
    ("cannot start any token", "text that begins with a character of YAML's own; put quotes around it"),
    ("',' or ']'", "a list that is not closed; expected ',' or ']'"),
    ("',' or '}'", "a mapping that is not closed; expected ',' or '}'"),
    ("escape", "an escape in double quotes that YAML has not; use single quotes"),
    ("expected key", "a line that does not fit those above; indent the keys of a block alike, and quote text"),
    ("<block end>", "a line that does not fit those above; indent the keys of a block alike, and quote text"),
    ("'-' indicator", "a list that goes on without '-'; expected '- ' before each entry"),
    ("<document start>", "text after the end; remove it"),
    ("node content", "a value that does not begin; close or remove the brackets, and quote text"),
    ("comment or line break", "text behind '|' or '>'; begin the text on the next line"),
    ("chomping or indentation", "text behind '|' or '>'; begin the text on the next line"),
)


def explain(error: Any, text: str, place: Callable[[int, int], Place]) -> str:
    """Tell where a text stops being YAML, and why.

    Args:
        error: PyYAML's error.
        text: What was read.
        place: Names a position, line and column counted from 0.
    """
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{place(0, 0)}: not valid YAML; expected 'key: value' lines"
    line, column = mark.line, mark.column
    problem = str(error.problem)
    meaning = "a tab; indent with spaces" if _is_tab(text, line, column) else _meaning(problem)
    opened = error.context_mark
    since = f" (opened in line {opened.line + 1})" if opened and "closed" in meaning and opened.line != line else ""
    return f"{place(line, column)}: not valid YAML: {meaning}{since}"


def _is_tab(text: str, line: int, column: int) -> bool:
    lines = text.splitlines()
    return line < len(lines) and lines[line][column : column + 1] == "\t"


def _meaning(problem: str) -> str:
    fitting = (meaning for part, meaning in _MEANINGS if part in problem)
    return next(fitting, problem.replace("\n", " ")[:100])
