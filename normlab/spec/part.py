"""A part: something chosen from the catalogue by name, with its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
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

    A file writes it as its name, `batch`, or as a mapping of name and parameters, `{name: batch, epsilon: 0.001}`. A
    spec is read before its parts are known, so a part has the parameters that were written. Resolving the spec gives
    it its entry and all parameters, validated, with defaults (see `normlab.experiment.parts`).

    Attributes:
        entry: What the catalogue has under the name; None before the spec is resolved.
    """

    model_config = STRICT

    name: Annotated[str, matching(PART_NAME, "a name of small letters, digits and '_'")] = Field(
        description="The name in the catalogue.", json_schema_extra={"pattern": PART_NAME}
    )
    parameters: Annotated[dict[str, Any], AfterValidator(_parameters)] = Field(
        default={}, description="What the part is called with: text, numbers, true, false, null, lists and mappings."
    )

    _entry: Any = PrivateAttr(default=None)

    @classmethod
    def resolved(cls, entry: Any, parameters: Mapping[str, Any]) -> Part:
        """Make a part of an entry of the catalogue and its validated parameters.

        Args:
            entry: It has a `name`, and in `factories` the callables that take the parameters.
            parameters: All parameters by name.
        """
        part = cls.model_construct(name=entry.name, parameters=dict(parameters))
        part._entry = entry  # noqa: SLF001 - its own attribute
        return part

    @property
    def entry(self) -> Any:
        """What the catalogue has under the name; None before the spec is resolved."""
        return self._entry

    def dump(self) -> dict[str, Any]:
        """Return the mapping that a file would hold."""
        return {"name": self.name, **{name: plain(_dumped(value)) for name, value in self.parameters.items()}}


def _dumped(value: Any) -> Any:
    """Replace parts and models inside of a parameter by plain data."""
    if isinstance(value, Part):
        return value.dump()
    if isinstance(value, BaseModel):
        return {name: _dumped(item) for name, item in value}
    if isinstance(value, Mapping):
        return {name: _dumped(item) for name, item in value.items()}
    return [_dumped(item) for item in value] if isinstance(value, (tuple, list)) else value


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
