"""The typed schema of a study file: every setting with its type, bounds, default and what it means."""

from __future__ import annotations

import re
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

from normlab.spec.part import STRICT, AsTuple, matching, mistake
from normlab.spec.scalars import checked_text
from normlab.spec.schema import SPEC_NAME
from normlab.spec.words import shown
from normlab.study.design.grid import Range

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

    seeds: Seeds = Field(default=1, description="Seeds of each trial: how many, or which; none of the final ones.")
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
