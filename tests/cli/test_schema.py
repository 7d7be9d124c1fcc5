from __future__ import annotations

import json

from cli_tools import normlab

from normlab.spec import json_schema
from normlab.study.design.study_schema import json_schema as json_schema_of_studies


def test_schema_is_printed_as_json_for_editors(capsys):
    ended = normlab(capsys, "schema")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads(json.dumps(json_schema()))
    assert "json-schema.org" in json.loads(ended.out)["$schema"]


def test_schema_of_study_files_is_printed_when_asked_for(capsys):
    ended = normlab(capsys, "schema", "--study")
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads(json.dumps(json_schema_of_studies()))


def test_schema_is_indented_for_a_person_who_looks_at_it(capsys):
    assert normlab(capsys, "schema").out.startswith('{\n  "')
