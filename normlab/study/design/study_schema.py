"""The schema of study files: every setting with its type, bounds, default and meaning; also as JSON Schema."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    model_validator,
)

from normlab.spec import json_schema as json_schema_of_specs
from normlab.spec.part import STRICT, AsTuple, matching, mistake
from normlab.spec.schema import SPEC_NAME
from normlab.spec.values import checked_text
from normlab.spec.words import shown

MOST_POINTS = 1000
"""Points of the largest grid."""

#: Digits of a value computed: the same on every machine, and short in tables.
_DIGITS = 4


class Range(BaseModel):
    """Values from one bound to the other, both included, evenly apart."""

    model_config = STRICT

    start: float = Field(alias="from", description="The first value.")
    stop: float = Field(alias="to", description="The last value.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="Even steps: linear, the same difference; log, the same factor."
    )
    count: int = Field(ge=2, le=MOST_POINTS, description="How many values.")

    @model_validator(mode="after")
    def _sound(self) -> Range:
        if self.start >= self.stop:
            raise mistake(f"from {self.start:g} to {self.stop:g}; expected from below to")
        if self.scale == "log" and self.start <= 0:
            raise mistake(f"from {self.start:g} on a log scale; expected from above 0")
        if len(set(self.values())) < self.count:
            raise mistake(f"{self.count} values from {self.start:g} to {self.stop:g} are too close; expected fewer")
        return self

    def values(self) -> tuple[float, ...]:
        """The values, rising; those between the bounds rounded to 4 digits."""
        inner = [self._at(index / (self.count - 1)) for index in range(1, self.count - 1)]
        return (_whole(self.start), *(_whole(float(f"{value:.{_DIGITS}g}")) for value in inner), _whole(self.stop))

    def _at(self, part: float) -> float:
        if self.scale == "linear":
            return self.start + part * (self.stop - self.start)
        return math.exp(math.log(self.start) + part * (math.log(self.stop) - math.log(self.start)))


def points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of the values of all keys, the last key's running fastest; one empty point without keys."""
    return [dict(zip(grid, values)) for values in product(*grid.values())]


def _whole(value: float) -> float:
    """A whole number as such, for settings that take no other; settings that take any take it too."""
    return int(value) if value.is_integer() and abs(value) < 1 / math.ulp(1.0) else value


MOST_SEEDS = 10_000
"""Seeds of the largest study."""

KEY = "[A-Za-z][A-Za-z0-9_]*([.][A-Za-z0-9_]+)*"
"""A dotted key of a spec."""
OWN = ("seed", "name", "description", "plugins", "device")
"""What a study decides itself, run by run."""

_Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
_Part = Annotated[float, Field(gt=0, lt=1)]


def _as_seeds(value: Any) -> Any:
    """A number of seeds stays a number; a list becomes a tuple."""
    if isinstance(value, bool) or not isinstance(value, (int, list, tuple)):
        raise mistake(f"expected a number of seeds or a list of them, got {shown(value)}")
    if isinstance(value, int):
        if not 1 <= value <= MOST_SEEDS:
            raise mistake(f"expected 1 to {MOST_SEEDS} seeds, got {value}")
        return value
    return _distinct_seeds(tuple(value))


def _distinct_seeds(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise mistake("expected at least one seed, got an empty list")
    again = [value for index, value in enumerate(values) if value in values[:index]]
    if again:
        raise mistake(f"{shown(again[0])} twice; expected each seed once")
    return values


def _keys(value: dict[str, Any]) -> dict[str, Any]:
    for key in value:
        check_key(key)
    return value


def check_key(key: str) -> None:
    """Refuse what is no dotted key of a spec, or one that a study sets itself.

    Raises:
        PydanticCustomError: It says which.
    """
    if not re.fullmatch(KEY, key):
        raise mistake(f"{shown(key)}: no key of a spec; expected one such as optimizer.learning_rate")
    if key.split(".", maxsplit=1)[0] in OWN:
        raise mistake(f"{shown(key)} can't differ between arms; expected what decides how a run learns, such as norm")


def _values(value: Any) -> Any:
    """A list of values, or a mapping of labels and values; at least one."""
    if not isinstance(value, (list, tuple, dict)) or not value:
        raise mistake(f"expected a list of values, or a mapping of labels and values, got {shown(value)}")
    return tuple(value) if isinstance(value, list) else value


def _grid(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        if not value:
            raise mistake("expected at least one value, got an empty list")
        again = [item for index, item in enumerate(value) if item in value[:index]]
        if again:
            raise mistake(f"{shown(again[0])} twice; expected each value once")
        return tuple(value)
    if isinstance(value, dict):
        return value
    raise mistake(f"expected a list of values or from, to, scale and count, got {shown(value)}")


def _form(value: Any) -> str:
    return type(value).__name__


Seeds = Annotated[
    Union[Annotated[int, Tag("int")], Annotated[tuple[_Seed, ...], Tag("tuple")]],
    Discriminator(_form),
    BeforeValidator(_as_seeds),
]
"""How many seeds, or which."""
Grid = Annotated[
    Union[Annotated[Range, Tag("dict")], Annotated[tuple[Any, ...], Tag("tuple")]],
    Discriminator(_form),
    BeforeValidator(_grid),
]
"""The values of a nuisance factor."""


class Tuning(BaseModel):
    """How nuisance factors are chosen for each arm."""

    model_config = STRICT

    repeats: Union[PositiveInt, None] = Field(
        default=None,
        description="Tunings of each arm, each with trial seeds, a choice and final seeds of its own; null for 5, "
        "or as many as there are final seeds.",
    )
    seeds: Seeds = Field(
        default=1,
        description="Seeds of each trial: how many, or which, shared out over the repeats; none of the final ones.",
    )
    steps: Union[PositiveInt, None] = Field(default=None, description="Steps of a trial; null for those of the spec.")


class StudyFile(BaseModel):
    """One study: what differs between arms, what is tuned for each, and how sure the answer is to be."""

    model_config = STRICT

    name: Annotated[str, matching(SPEC_NAME, "a name of letters, digits, '_', '-' and '.', at most 64")] = Field(
        description="What the study is called; by default what its file is called.",
        json_schema_extra={"pattern": SPEC_NAME},
    )
    description: Annotated[str, AfterValidator(checked_text)] = Field(default="", description="What it is for.")
    spec: Union[str, dict[str, Any]] = Field(
        description="The spec that all arms share: a file relative to this one, or a block.", examples=["../spec.yaml"]
    )
    scientific: Annotated[dict[str, Annotated[Any, BeforeValidator(_values)]], AfterValidator(_keys)] = Field(
        default={}, description="What is compared: values by dotted key; each combination is an arm."
    )
    arms: Annotated[dict[str, dict[str, Any]], Field(min_length=1)] = Field(
        default={}, description="Instead of scientific: settings by dotted key of each arm, by its label."
    )
    nuisance: Annotated[dict[str, Grid], AfterValidator(_keys)] = Field(
        default={}, description="What is tuned for each arm on the validation split: grids by dotted key."
    )
    seeds: Seeds = Field(default=5, description="Seeds of the final runs: how many, or which.")
    tuning: Tuning = Field(default=Tuning(), description="How nuisance factors are chosen.")
    baseline: Union[str, None] = Field(
        default=None, description="Label of the arm that others are compared with; by default none, or else the first."
    )
    split: Literal["train", "validation", "test"] = Field(default="test", description="Where arms are compared.")
    thresholds: Annotated[tuple[_Part, ...], AsTuple] = Field(
        default=(), description="Accuracies; the steps until each is reached are told."
    )
    margin: float = Field(default=0.005, ge=0, lt=1, description="Differences of accuracy below this count as none.")
    level: _Part = Field(default=0.05, description="Chance of a false alarm over all arms.")
    allow: Annotated[tuple[str, ...], AsTuple] = Field(
        default=(), description="Keys in which runs may differ beside those above."
    )

    @model_validator(mode="after")
    def _one_question(self) -> StudyFile:
        if bool(self.scientific) == bool(self.arms):
            got = "got both" if self.arms else "got neither"
            raise mistake(f"expected either scientific or arms, {got}; write e.g. scientific: {{norm: [none, batch]}}")
        for settings in self.arms.values():
            _keys(settings)
        return self


_SETTINGS = ("scientific", "arms", "nuisance")


def json_schema() -> dict[str, Any]:
    """Describe study files in JSON Schema (draft 2020-12).

    What the models can't say is added: what keys of settings look like, that lists are not empty, that a study names
    its arms in one of two ways, and that its spec may stand in it as a block.
    """
    schema, spec = StudyFile.model_json_schema(), json_schema_of_specs()
    definitions = {**schema["$defs"], **spec.pop("$defs"), "Spec": _block(spec)}
    definitions["Tuning"]["properties"]["seeds"].update(_seeds())
    properties = schema["properties"]
    properties["spec"]["anyOf"] = [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/Spec"}]
    properties["seeds"].update(_seeds())
    for field in _SETTINGS:
        del properties[field]["default"]  # one of them is never left out, the other never written
    properties["scientific"].update(_by_key({"anyOf": [_several(), {"type": "object", "minProperties": 1}]}))
    properties["arms"]["additionalProperties"] = _by_key({})
    properties["nuisance"].update(_by_key({"anyOf": [{"$ref": "#/$defs/Range"}, {**_several(), "uniqueItems": True}]}))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "normlab study",
        "description": schema["description"],
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": ["spec"],
        "oneOf": [{"required": ["scientific"]}, {"required": ["arms"]}],
        "$defs": definitions,
    }


def _block(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec within a study."""
    return {name: value for name, value in spec.items() if name != "$schema"}


def _by_key(value: dict[str, Any]) -> dict[str, Any]:
    """A mapping by dotted keys of a spec that a study does not set itself."""
    own = f"^({'|'.join(OWN)})([.]|$)"
    keys = {"pattern": f"^{KEY}$", "not": {"pattern": own}}
    return {"type": "object", "propertyNames": keys, "additionalProperties": value}


def _several() -> dict[str, Any]:
    return {"type": "array", "minItems": 1}


def _seeds() -> dict[str, Any]:
    seed = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
    count = {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS}
    return {"oneOf": [count, {**_several(), "items": seed, "uniqueItems": True}]}
