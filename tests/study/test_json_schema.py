"""The JSON Schema that editors check study files with agrees with what normlab accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml as pyyaml
from schema_support import accepts
from study_support import SPEC, written

from normlab.errors import SpecError
from normlab.study import storage as stored
from normlab.study.design.study_file import load_study
from normlab.study.design.study_schema import StudyFile, json_schema

ROOT = Path(__file__).parents[2]
GOOD = {"spec": "small.yaml", "scientific": {"norm": ["none", "batch"]}}
ONE_ARM = {"norm": "batch"}
GRID = {"from": 0.01, "to": 1, "scale": "log", "count": 3}


def valid(data):
    schema = json_schema()
    return accepts(schema, data, schema)


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_fit(path):
    assert valid(pyyaml.safe_load(path.read_text()))


def test_a_study_written_out_fits(tmp_path):
    design = load_study(written(tmp_path, pyyaml.safe_dump({**GOOD, "nuisance": {"optimizer.learning_rate": GRID}})))
    assert valid(json.loads(json.dumps(stored.as_file(design))))


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"name": "a/b"}, False),
        ({"spec": 5}, False),
        ({"spec": pyyaml.safe_load(SPEC)}, True),
        ({"spec": {**pyyaml.safe_load(SPEC), "trainig": {}}}, False),
        ({"scientific": {"norm": {"plain": "none", "ours": {"name": "group", "groups": 4}}}}, True),
        ({"scientific": {"norm": []}}, False),
        ({"scientific": {"norm": "batch"}}, False),
        ({"scientific": {"seed": [1, 2]}}, False),
        ({"scientific": {"model..hidden": [1, 2]}}, False),
        ({"scientific": None}, False),
        ({"arms": {"one": ONE_ARM, "two": {"norm": "none", "optimizer.learning_rate": 0.2}}}, False),
        ({"nuisance": {"optimizer.learning_rate": GRID}}, True),
        ({"nuisance": {"optimizer.learning_rate": [0.1, 0.2]}}, True),
        ({"nuisance": {"optimizer.learning_rate": [0.1, 0.1]}}, False),
        ({"nuisance": {"optimizer.learning_rate": {**GRID, "count": 1}}}, False),
        ({"nuisance": {"optimizer.learning_rate": {**GRID, "scale": "cubic"}}}, False),
        ({"nuisance": {"device": ["cpu"]}}, False),
        ({"seeds": 3}, True),
        ({"seeds": [4, 7]}, True),
        ({"seeds": 0}, False),
        ({"seeds": [1, 1]}, False),
        ({"seeds": [-1]}, False),
        ({"seeds": "3"}, False),
        ({"tuning": {"steps": 5}}, True),
        ({"tuning": {"steps": 0}}, False),
        ({"tuning": {"seeds": 0}}, False),
        ({"tuning": {"step": 5}}, False),
        ({"baseline": "batch"}, True),
        ({"split": "tests"}, False),
        ({"thresholds": [0.5, 0.9]}, True),
        ({"thresholds": [1.5]}, False),
        ({"margin": 1}, False),
        ({"level": 0}, False),
        ({"allow": ["optimizer.momentum"]}, True),
        ({"unknown": 1}, False),
    ],
)
def test_schema_and_loader_agree(tmp_path, changes, fits):
    data = {**GOOD, **changes}
    assert valid(data) is fits
    path = written(tmp_path, pyyaml.safe_dump(data))
    if fits:
        load_study(path)
    else:
        with pytest.raises(SpecError):
            load_study(path)


def test_arms_may_be_named_instead_of_combined():
    assert valid({"spec": "a.yaml", "arms": {"one": ONE_ARM}})
    assert not valid({"spec": "a.yaml", "arms": {}})
    assert not valid({"spec": "a.yaml", "arms": {"one": {"seed": 3}}})
    assert not valid({"spec": "a.yaml"})
    assert not valid({"arms": {"one": ONE_ARM}})


def test_every_setting_is_described():
    schema = json_schema()
    assert list(schema["properties"]) == list(StudyFile.model_fields)
    for block in (schema, schema["$defs"]["Tuning"], schema["$defs"]["Range"]):
        for key, setting in block["properties"].items():
            assert len(setting["description"]) > 10, key


def test_schema_is_plain_json_and_every_reference_leads_somewhere():
    text = json.dumps(json_schema(), allow_nan=False)
    assert set(re.findall(r'"#/\$defs/([A-Za-z]+)"', text)) == set(json_schema()["$defs"])
