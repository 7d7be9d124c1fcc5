"""What the command line says of a study, as the settings of a study file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from normlab.errors import SpecError
from normlab.spec import Place
from normlab.spec.words import brief
from normlab.spec.yaml import compose

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RANGE = re.compile(r"(?P<start>[^.,\s]\S*?)\.\.(?P<stop>[^:\s]+):(?:(?P<scale>log|linear):)?(?P<count>[0-9]+)")
_OPEN, _CLOSE = "[{", "]}"
_LONGEST = 60

Option = tuple[Any, Place]
"""A value and where it was written."""


def norms(text: str) -> Option:
    """Arms by their norms: `none,batch,group:groups=10;epsilon=1e-3,ibn+agc`.

    Names are separated by `,`; `+` joins norms that act together; behind `:` stand parameters, separated by `;`.

    Returns:
        The setting `scientific`.

    Raises:
        SpecError: It is not of this form.
    """
    place = _place("--norms", text)
    return {"norm": [_norm(word, place) for word in _split(text, ",", place)]}, place


def sweeps(texts: Iterable[str]) -> Option:
    """Grids: `optimizer.learning_rate=1e-4..1:log:9`, `=0..1:5` for even differences, or `=0.1,0.5`.

    Returns:
        The setting `nuisance`.

    Raises:
        SpecError: One is not of this form.
    """
    grid: dict[str, Any] = {}
    place = Place("--sweep")
    for text in texts:
        place = _place("--sweep", text)
        key, equals, values = text.partition("=")
        if not equals or not key.strip() or not values.strip():
            raise SpecError(f"{place}: no grid; expected KEY=FROM..TO:log:COUNT or KEY=VALUE,VALUE")
        grid[key.strip()] = _grid(values.strip(), place)
    return grid, place


def seeds(text: str, option: str = "--seeds") -> Option:
    """How many seeds, `5`, or which, `0,1,7`; `3,` is the seed 3 alone.

    Raises:
        SpecError: It is not of this form.
    """
    place = _place(option, text)
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words if word) or not any(words):
        raise SpecError(f"{place}: no seeds; expected how many, such as 5, or which, such as 0,1,7")
    return (int(text) if len(words) == 1 else [int(word) for word in words if word]), place


def _norm(word: str, place: Place) -> Any:
    parts = [_part(each, place) for each in re.split(r"\+(?=[a-z])", word)]
    return parts[0] if len(parts) == 1 else parts


def _part(word: str, place: Place) -> Any:
    name, colon, rest = (piece.strip() for piece in word.partition(":"))
    if not _NAME.fullmatch(name) or (colon and not rest):
        raise SpecError(f"{place}: {brief(word)!r} is no norm; expected a name such as batch or group:groups=10")
    if not colon:
        return name
    parameters = {}
    for setting in _split(rest, ";", place):
        key, equals, value = (piece.strip() for piece in setting.partition("="))
        if not equals or not value:
            raise SpecError(f"{place}: {brief(setting)!r} is no parameter; expected NAME=VALUE, such as groups=10")
        parameters[key] = compose(value, place.source, lines=False).plain()
    return {"name": name, **parameters}


def _grid(text: str, place: Place) -> Any:
    found = _RANGE.fullmatch(text)
    if found is None:
        return [compose(word, place.source, lines=False).plain() for word in _split(text, ",", place)]
    bounds = {"from": found["start"], "to": found["stop"]}
    values = {key: compose(word, place.source, lines=False).plain() for key, word in bounds.items()}
    return {**values, "scale": found["scale"] or "linear", "count": int(found["count"])}


def _split(text: str, separator: str, place: Place) -> list[str]:
    """Split at a separator outside of brackets."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in _OPEN) - (character in _CLOSE)
        if character == separator and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    words = [piece.strip() for piece in pieces]
    if not all(words):
        raise SpecError(f"{place}: nothing between two {separator!r}; expected a value there")
    return words


def _place(option: str, text: str) -> Place:
    return Place(f"{option} {brief(text, _LONGEST)}")
