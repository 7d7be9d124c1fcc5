"""Values of YAML text in a spec, and positions of errors."""

from __future__ import annotations

import math

import pytest
import yaml as pyyaml

from normlab.errors import SpecError
from normlab.spec import Document, Place
from normlab.spec import yaml as reader
from normlab.spec.values import resolve
from normlab.spec.yaml import explain


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def _each_parser(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(reader, "_Parser", pyyaml.SafeLoader)
    elif not pyyaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")


def value_of(text):
    return Document.parse(f"a: {text}\n").data["a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("FALSE", False),
        ("null", None),
        ("Null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("-12", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1e-3", 1e-3),
        ("1E+2", 100.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("0.001", 0.001),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("5e-324", 5e-324),
    ],
)
def test_constants_and_numbers_of_yaml_1_2(text, value):
    got = value_of(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "No", "NO", "yes", "on", "off", "y", "n"),
        *("12:30:45", "1:30", "2026-11-24", "2026-11-24T12:31:20Z"),
        *("1_000", "0b11", "0o8", "0xG", "1e", "e1", "1.2.3", "+", ".", "nan", "inf", "tRue", "=", "cpu:0"),
    ],
)
def test_everything_else_is_text(text):
    assert value_of(text) == text


@pytest.mark.parametrize("text", ["012", "true", "1e-3", ".nan", "null", "", "99999999999999999999"])
def test_quoted_text_stays_text(text):
    assert value_of(f'"{text}"') == text
    assert value_of(f"'{text}'") == text


@pytest.mark.parametrize("text", ["012", "-01", "00", "1e309", "-.inf", ".NaN", "9" * 5000])
def test_ambiguous_numbers_are_rejected(text):
    with pytest.raises(ValueError, match="number"):
        resolve(text)


def test_block_and_flow_give_the_same_data():
    block = "model:\n  name: mlp\n  hidden:\n  - 100\n  - 50\n  text: >\n    a\n    b\n"
    flow = '{"model": {name: mlp, hidden: [100, 50], text: "a b\\n"}}'
    assert Document.parse(block).data == Document.parse(flow).data
    assert Document.parse(block).data == {"model": {"name": "mlp", "hidden": [100, 50], "text": "a b\n"}}


def test_lines_and_columns_count_from_one():
    document = Document.parse("a: 1\nb:\n  c: [x, {d: y}]\n", "f.yaml")
    assert document.places == {
        (): Place("f.yaml", 1, 1),
        ("a",): Place("f.yaml", 1, 4),
        ("b",): Place("f.yaml", 3, 3),
        ("b", "c"): Place("f.yaml", 3, 6),
        ("b", "c", 0): Place("f.yaml", 3, 7),
        ("b", "c", 1): Place("f.yaml", 3, 10),
        ("b", "c", 1, "d"): Place("f.yaml", 3, 14),
    }
    assert str(document.key_place(("b", "c"))) == "f.yaml:3:3"
    assert str(document.key_place(("b", "c", 1, "d"))) == "f.yaml:3:11"


def test_columns_count_characters_not_bytes():
    document = Document.parse("a: {ключ: 1, b: 2}\n", "f.yaml")
    assert document.place(("a", "b")) == Place("f.yaml", 1, 17)


def test_windows_line_endings_are_read():
    document = Document.parse("a: 1\r\nb:\r\n  - x\r\n", "f.yaml")
    assert document.data == {"a": 1, "b": ["x"]}
    assert document.place(("b", 0)) == Place("f.yaml", 3, 5)


def test_aliases_and_merge_keys_are_expanded():
    document = Document.parse(
        "base: &base {x: 1, y: 2}\n"
        "other: &other {y: 3, z: 4}\n"
        "same: *base\n"
        "one: {<<: *base, x: 5}\n"
        "two: {w: 0, <<: [*base, *other]}\n"
        "quoted: {'<<': 1}\n",
        "f.yaml",
    )
    assert document.data["same"] == {"x": 1, "y": 2}
    assert document.data["one"] == {"x": 5, "y": 2}
    assert document.data["two"] == {"w": 0, "x": 1, "y": 2, "z": 4}
    assert document.data["quoted"] == {"<<": 1}
    assert document.place(("two", "z")) == Place("f.yaml", 2, 25)


def test_merged_aliases_do_not_share_data():
    data = Document.parse("a: &a {x: [1]}\nb: *a\n").data
    data["a"]["x"].append(2)
    assert data["b"] == {"x": [1]}


def test_documents_within_the_limits_are_read():
    assert value_of("[" * 19 + "]" * 19)
    assert len(value_of("[" + "1, " * 9_990 + "]")) == 9_990
    assert len(value_of("x" * 250_000)) == 250_000
    assert Document.parse("%YAML 1.2\n---\na: 1\n...\n").data == {"a": 1}


def test_aliases_count_as_the_nodes_they_refer_to():
    thousand = "a: &a [" + "1, " * 1_000 + "]\n"
    assert Document.parse(thousand + "b: [" + "*a, " * 8 + "]\n").data
    with pytest.raises(SpecError, match="over 10000 keys and values"):
        Document.parse(thousand + "b: [" + "*a, " * 10 + "]\n")


def test_depth_of_aliases_adds_to_their_own_depth():
    deep = "a: &a " + "[" * 15 + "]" * 15 + "\n"
    assert Document.parse(deep + "b: [[[*a]]]\n").data
    with pytest.raises(SpecError, match="nested over 20 levels deep"):
        Document.parse(deep + "b: [[[[[*a]]]]]\n")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: \x07\n", "f.yaml:2:4"),
        ("a: 1\n  b: 2\n", "f.yaml:2:4"),
        ("a: 1\nb: [*x]\n", "f.yaml:2:5"),
        ("a: 1\nb: {c: 012}\n", "f.yaml:2:8"),
        ("a: 1\n\nb: 1\na: 2\n", "f.yaml:4:1"),
    ],
)
def test_errors_point_at_the_character(text, place):
    with pytest.raises(SpecError) as caught:
        Document.parse(text, "f.yaml")
    assert str(caught.value).startswith(f"{place}: ")


def test_error_of_an_open_bracket_names_the_line_of_the_bracket():
    with pytest.raises(SpecError, match="opened on line 2"):
        Document.parse("a: 1\nb: [1,\n  2\nc: 3\n")


def test_text_over_256_kb_is_rejected():
    with pytest.raises(SpecError, match="over 256 kB"):
        Document.parse("# " + "é" * 140_000 + "\na: 1\n")


def test_error_without_a_position_is_reported_at_the_beginning():
    error = pyyaml.reader.ReaderError("f.yaml", 3, "x", "utf-8", "reason")
    assert explain(error, "", lambda line, column: Place("f.yaml", line + 1, column + 1)).startswith("f.yaml:1:1: ")


def test_surrogates_in_text_are_rejected():
    with pytest.raises(SpecError, match=r"U\+D800"):
        Document.parse("a: \ud800\n")
    with pytest.raises(SpecError):
        Document.parse('a: "\\ud800"\n')


def test_infinite_numbers_are_rejected():
    for text in ("1e309", "-1e309", "1" * 400 + ".0"):
        with pytest.raises(ValueError, match="not a finite number"):
            resolve(text)
    assert math.isfinite(resolve("1e308"))
