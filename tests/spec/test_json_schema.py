"""The JSON Schema of spec files, which editors use, agrees with what normlab accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml as pyyaml
from schema_support import accepts

from normlab.errors import SpecError
from normlab.spec import Spec, json_schema, parse_spec

ROOT = Path(__file__).parents[2]
GOOD = {"dataset": "mnist", "model": "mlp", "optimizer": "sgd", "training": {"steps": 5}}


def valid(data):
    schema = json_schema()
    return accepts(schema, data, schema)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_specs_are_valid(path):
    assert valid(pyyaml.safe_load(path.read_text()))


def test_resolved_spec_is_valid():
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


def test_file_that_extends_another_can_have_incomplete_blocks():
    assert valid({"extends": "base.yaml", "optimizer": {"learning_rate": 0.1}, "training": {"batch_size": 5}})
    assert not valid({"extends": "base.yaml", "training": {"stps": 5}})


def test_every_setting_has_a_description_and_its_default():
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


def test_schema_is_plain_json_and_every_reference_resolves():
    text = json.dumps(json_schema(), allow_nan=False)
    references = set(re.findall(r'"#/\$defs/([A-Za-z]+)"', text))
    assert references == set(json_schema()["$defs"])
