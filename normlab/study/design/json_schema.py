"""JSON Schema of study files, so that editors complete and check them as they are typed."""

from __future__ import annotations

from typing import Any

from normlab.spec import json_schema as json_schema_of_specs
from normlab.study.design.study_schema import KEY, MOST_SEEDS, OWN, StudyFile

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
