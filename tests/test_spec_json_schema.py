"""The JSON Schema that editors check spec files with agrees with what normlab accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml as pyyaml

from normlab.errors import SpecError
from normlab.spec import Spec, json_schema, parse_spec

ROOT = Path(__file__).parents[1]
GOOD = {"dataset": "mnist", "model": "mlp", "optimizer": "sgd", "training": {"steps": 5}}
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


def valid(data):
    schema = json_schema()
    return accepts(schema, data, schema)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_specs_fit(path):
    assert valid(pyyaml.safe_load(path.read_text()))


def test_a_resolved_spec_fits():
    for norm in ("batch", ["none", {"name": "batch", "epsilon": 0.1}]):
        spec = Spec(**GOOD, name="x", norm=norm, device=["gpu:0", "gpu:1"], augmentation=["flip"])
        assert valid(json.loads(json.dumps(spec.dump())))


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"norm": "batch"}, True),
        ({"norm": {"name": "batch", "epsilon": 0.1}}, True),
        ({"norm": ["none", {"name": "batch"}]}, True),
        ({"norm": 5}, False),
        ({"norm": "Batch"}, False),
        ({"optimizer": {"learning_rate": 0.1}}, False),
        ({"device": "gpu:1"}, True),
        ({"device": ["gpu:0", "gpu:1"]}, True),
        ({"device": "gpux"}, False),
        ({"training": {"epochs": 0.5}}, True),
        ({"training": {"steps": 5, "batch_size": 1, "checkpoint_every": None}}, True),
        ({"training": {"steps": 5, "epochs": 1}}, False),
        ({"training": {}}, False),
        ({"training": {"stps": 5}}, False),
        ({"training": {"steps": 0}}, False),
        ({"evaluation": {"batch_size": "all", "splits": ["validation"]}}, True),
        ({"evaluation": {"batch_size": "some"}}, False),
        ({"evaluation": {"splits": ["tests"]}}, False),
        ({"seed": 2**32}, False),
        ({"seed": "1"}, False),
        ({"hybridize": "no"}, False),
        ({"name": "a/b"}, False),
        ({"plugins": ["a.py"]}, True),
        ({"plugins": [""]}, False),
        ({"unknown": 1}, False),
        ({"description": 5}, False),
    ],
)
def test_schema_and_loader_agree(changes, fits):
    data = {**GOOD, **changes}
    assert valid(data) is fits
    if fits:
        parse_spec(pyyaml.safe_dump(data))
    else:
        with pytest.raises(SpecError):
            parse_spec(pyyaml.safe_dump(data))


@pytest.mark.parametrize("key", GOOD)
def test_required_settings_are_required_unless_another_file_is_extended(key):
    data = {name: value for name, value in GOOD.items() if name != key}
    assert not valid(data)
    assert valid({**data, "extends": "base.yaml"})
    assert valid({**data, "extends": ["base.yaml", "more.yaml"]})


def test_a_file_that_extends_may_give_parts_of_blocks():
    assert valid({"extends": "base.yaml", "optimizer": {"learning_rate": 0.1}, "training": {"batch_size": 5}})
    assert not valid({"extends": "base.yaml", "training": {"stps": 5}})


def test_every_setting_is_described_with_its_default():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == ["extends", *Spec.model_fields]
    for block in (schema, schema["$defs"]["Training"], schema["$defs"]["Evaluation"]):
        for key, setting in block["properties"].items():
            described = setting.get("description") or schema["$defs"][setting["$ref"].rsplit("/", 1)[-1]]["description"]
            assert len(described) > 10, key
    assert schema["properties"]["norm"]["default"] == ["none"]
    assert schema["properties"]["loss"]["default"] == "softmax_cross_entropy"
    assert schema["properties"]["device"]["default"] == "auto"


def test_schema_is_plain_json_and_every_reference_leads_somewhere():
    text = json.dumps(json_schema(), allow_nan=False)
    references = set(re.findall(r'"#/\$defs/([A-Za-z]+)"', text))
    assert references == set(json_schema()["$defs"])
