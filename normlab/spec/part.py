"""A part: something chosen from the catalogue by name, with its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from normlab.spec.values import plain
from normlab.spec.words import shown

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
"""How every model of a spec is checked: nothing unknown, nothing converted but whole numbers to floats."""

PART_NAME = r"^[a-z][a-z0-9_]{0,39}$"
"""The form of every name in the catalogue."""


def mistake(message: str) -> PydanticCustomError:
    """Make an error whose message `problems` tells as it is."""
    return PydanticCustomError("normlab", "{message}", {"message": message})


def matching(pattern: str, words: str) -> BeforeValidator:
    """Check that a value is text of a pattern, and say in words what was expected."""
    compiled = re.compile(pattern.removesuffix("$") + r"\Z")

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not compiled.match(value):
            raise mistake(f"expected {words}, got {shown(value)}")
        return value

    return BeforeValidator(check)


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    if "name" in values:
        raise mistake("a parameter can't be called 'name'")
    copied: dict[str, Any] = plain(values)
    return copied


class Part(BaseModel):
    """A norm, model, data set, loss, optimizer, schedule or augmentation.

    A file writes it as its name, `batch`, or as a mapping of name and parameters, `{name: batch, epsilon: 0.001}`.
    Which parameters there are, and of what type, the part itself says when the catalogue makes it.
    """

    model_config = STRICT

    name: Annotated[str, matching(PART_NAME, "a name of small letters, digits and '_'")] = Field(
        description="The name in the catalogue.", json_schema_extra={"pattern": PART_NAME}
    )
    parameters: Annotated[dict[str, Any], AfterValidator(_parameters)] = Field(
        default={}, description="What the part is called with: text, numbers, true, false, null, lists and mappings."
    )

    def dump(self) -> dict[str, Any]:
        """Give the mapping that a file would hold."""
        return {"name": self.name, **plain(self.parameters)}


def _from_file(value: Any) -> Any:
    """Turn the two written forms into the fields of `Part`."""
    if isinstance(value, Part):
        return value
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping):
        parameters = {key: item for key, item in value.items() if key != "name"}
        return {**({"name": value["name"]} if "name" in value else {}), "parameters": parameters}
    raise mistake(f"expected a name, or a mapping with 'name', got {shown(value)}")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _several_from_file(value: Any) -> Any:
    return _as_tuple(value) if isinstance(value, (list, tuple)) else (value,)


OnePart = Annotated[Part, BeforeValidator(_from_file)]
"""A part as a file writes it."""
SeveralParts = Annotated[tuple[OnePart, ...], BeforeValidator(_several_from_file)]
"""One part, or a list of parts."""
AsTuple = BeforeValidator(_as_tuple)
"""Lets a list stand where the model has a tuple."""
