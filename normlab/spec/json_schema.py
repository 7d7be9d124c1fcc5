"""JSON Schema of spec files, with which editors complete and check them."""

from __future__ import annotations

from typing import Any

from normlab.spec.part import PART_NAME, Part
from normlab.spec.schema import Spec

_PARTS = ("dataset", "model", "norm", "loss", "optimizer", "schedule", "augmentation")
_LISTS = ("norm", "augmentation", "device")
_REQUIRED = ("dataset", "model", "optimizer", "training")
_PART = {"$ref": "#/$defs/Part"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of spec files (draft 2020-12).

    The schema of the pydantic models is extended by three rules: a part can be written as a name alone, a list of one
    item can be written as the item, and a file that extends another does not need to repeat its settings.
    """
    schema = Spec.model_json_schema()
    definitions = schema["$defs"]
    definitions["Part"] = _part(definitions["Part"])
    properties = schema["properties"]
    for field in _LISTS:
        properties[field] = _one_or_list(properties[field])
    for field in _PARTS:
        default = Spec.model_fields[field].get_default()
        if isinstance(default, Part):
            properties[field]["default"] = default.name
        elif isinstance(default, tuple):
            properties[field]["default"] = [part.name for part in default]
    properties["device"]["default"] = "auto"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "normlab spec",
        "description": schema["description"],
        "type": "object",
        "additionalProperties": False,
        "properties": {"extends": _extends(), **properties},
        **_complete(),
        "$defs": definitions,
    }


def _part(model: dict[str, Any]) -> dict[str, Any]:
    name = {"type": "string", "pattern": PART_NAME, "description": "Name in the catalogue."}
    block = {"type": "object", "properties": {"name": name}, "additionalProperties": True}
    return {"title": "Part", "description": model["description"], "anyOf": [name, block]}


def _one_or_list(field: dict[str, Any]) -> dict[str, Any]:
    several = {"type": "array", "items": field.pop("items")}
    del field["type"]
    return {**field, "anyOf": [several["items"], several]}


def _extends() -> dict[str, Any]:
    file = {"type": "string", "minLength": 1}
    return {
        "description": "One or more spec files whose settings apply where this file has none; relative to this file.",
        "anyOf": [file, {"type": "array", "items": file}],
    }


def _complete() -> dict[str, Any]:
    """Return the rules that require all settings in a file that does not extend another."""
    named = {"if": {"type": "object"}, "then": {"required": ["name"]}}
    budget = {"oneOf": [{"required": ["steps"]}, {"required": ["epochs"]}]}
    parts: dict[str, Any] = {field: named for field in _PARTS if field not in _LISTS}
    return {
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": list(_REQUIRED), "properties": {**parts, "training": budget}},
    }
