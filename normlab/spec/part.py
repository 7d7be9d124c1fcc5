"""Parts: entries of the catalogue, chosen by name, with their parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from normlab.spec.values import plain
from normlab.spec.words import shown

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
"""Configuration of all models of a spec: unknown keys are errors, and only whole numbers are converted to floats."""

PART_NAME = r"^[a-z][a-z0-9_]{0,39}$"
"""What names in the catalogue look like."""


def mistake(message: str) -> PydanticCustomError:
    """Return a validation error whose message `problems` reports unchanged."""
    return PydanticCustomError("normlab", "{message}", {"message": message})


def matching(pattern: str, words: str) -> BeforeValidator:
    """Return a validator for text that matches a pattern; `words` say what is expected."""
    compiled = re.compile(pattern.removesuffix("$") + r"\Z")

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not compiled.match(value):
            raise mistake(f"expected {words}, got {shown(value)}")
        return value

    return BeforeValidator(check)


def _check_parameters(values: dict[str, Any]) -> dict[str, Any]:
    if "name" in values:
        raise mistake("a parameter can't be called 'name'")
    copied: dict[str, Any] = plain(values)
    return copied


class Part(BaseModel):
    """A norm, model, data set, loss, optimizer, schedule or augmentation.

    In a file, a part is a name, `batch`, or a mapping of name and parameters, `{name: batch, epsilon: 0.001}`. Specs
    are read without the catalogue, so at first a part has only the parameters in the file. Resolving the spec adds the
    entry of the catalogue, validates the parameters and fills in defaults (see `normlab.experiment.parts`).

    Attributes:
        entry: The entry of the catalogue; None before the spec is resolved.
    """

    model_config = STRICT

    name: Annotated[str, matching(PART_NAME, "a name of lowercase letters, digits and '_'")] = Field(
        description="Name in the catalogue.", json_schema_extra={"pattern": PART_NAME}
    )
    parameters: Annotated[dict[str, Any], AfterValidator(_check_parameters)] = Field(
        default={}, description="Parameters of the part: text, numbers, true, false, null, lists and mappings."
    )

    _entry: Any = PrivateAttr(default=None)

    @classmethod
    def resolved(cls, entry: Any, parameters: Mapping[str, Any]) -> Part:
        """Return a part with an entry of the catalogue and validated parameters.

        Args:
            entry: An object with a `name`, and with `factories`, the callables that take the parameters.
            parameters: All parameters by name.
        """
        part = cls.model_construct(name=entry.name, parameters=dict(parameters))
        part._entry = entry  # noqa: SLF001 - an attribute of this class
        return part

    @property
    def entry(self) -> Any:
        """The entry of the catalogue; None before the spec is resolved."""
        return self._entry

    def dump(self) -> dict[str, Any]:
        """Return the mapping that a spec file would contain."""
        return {"name": self.name, **{name: plain(_to_plain(value)) for name, value in self.parameters.items()}}


def _to_plain(value: Any) -> Any:
    """Convert parts and models inside of a parameter to plain data."""
    if isinstance(value, Part):
        return value.dump()
    if isinstance(value, BaseModel):
        return {name: _to_plain(item) for name, item in value}
    if isinstance(value, Mapping):
        return {name: _to_plain(item) for name, item in value.items()}
    return [_to_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _from_file(value: Any) -> Any:
    """Convert both forms in a file to the fields of `Part`."""
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
"""A part in the form of a spec file."""
SeveralParts = Annotated[tuple[OnePart, ...], BeforeValidator(_several_from_file)]
"""One part, or a list of parts."""
AsTuple = BeforeValidator(_as_tuple)
"""Accept a list where the model has a tuple."""
