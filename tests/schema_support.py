"""Check a document against a JSON Schema."""

from __future__ import annotations

import json
import re

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
CHECKED = {"type", "properties", "additionalProperties", "required", "items", "anyOf", "oneOf", "not", "if", "then"}
CHECKED |= {"$ref", "enum", "const", "pattern", "minLength", "minimum", "maximum", "exclusiveMinimum"}
CHECKED |= {"exclusiveMaximum", "minItems", "uniqueItems", "minProperties", "propertyNames"}
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "examples"}


def accepts(schema, value, root):
    """Evaluate the keywords that our schema uses, by the rules of draft 2020-12."""
    assert schema.keys() <= CHECKED | ANNOTATIONS, schema.keys() - CHECKED - ANNOTATIONS
    inner = lambda part, item=value: accepts(part, item, root)  # noqa: E731 - short
    kinds = TYPES[schema["type"]] if "type" in schema else object
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds not in (bool, object)):
        return False
    checks = [
        "$ref" not in schema or inner(root["$defs"][schema.get("$ref", "").rsplit("/", 1)[-1]]),
        "enum" not in schema or value in schema["enum"],
        "const" not in schema or value == schema["const"],
        "anyOf" not in schema or any(inner(part) for part in schema["anyOf"]),
        "oneOf" not in schema or sum(inner(part) for part in schema["oneOf"]) == 1,
        "not" not in schema or not inner(schema["not"]),
        "if" not in schema or not inner(schema["if"]) or inner(schema["then"]),
    ]
    if isinstance(value, str):
        checks += [
            re.search(schema.get("pattern", ""), value) is not None,
            len(value) >= schema.get("minLength", 0),
        ]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        checks += [
            value >= schema.get("minimum", value),
            value <= schema.get("maximum", value),
            "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"],
            "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"],
        ]
    if isinstance(value, list):
        checks += [inner(schema.get("items", {}), item) for item in value]
        checks.append(len(value) >= schema.get("minItems", 0))
        checks.append("uniqueItems" not in schema or len({json.dumps(item) for item in value}) == len(value))
    if isinstance(value, dict):
        checks += [key in value for key in schema.get("required", [])]
        checks += [inner(schema.get("propertyNames", {}), key) for key in value]
        checks.append(len(value) >= schema.get("minProperties", 0))
        for key, item in value.items():
            known = schema.get("properties", {})
            other = schema.get("additionalProperties", True)
            checks.append(other if key not in known and isinstance(other, bool) else inner(known.get(key, other), item))
    return all(checks)
