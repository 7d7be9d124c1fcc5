"""Errors in specs and in parameters of parts."""

from __future__ import annotations

from typing import Annotated, List, Literal, Optional, Tuple, Union  # noqa: UP035 - as plugins of Python 3.9 write them

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
)

from normlab.spec import Document
from normlab.spec.problems import phrase, problems
from normlab.spec.words import brief, listed, nearest, shown


class Batch(BaseModel):
    """Parameters like those the catalogue reads from a constructor."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    epsilon: PositiveFloat = 1e-5
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    predict: Literal["running", "batch"] = "running"
    groups: Optional[PositiveInt] = None
    sizes: List[PositiveInt] = []  # noqa: UP006 - evaluated by pydantic
    axis: Union[int, Literal["all"]] = 1
    even: int = 2

    @field_validator("even")
    @classmethod
    def _even(cls, value):
        if value % 2:
            raise ValueError("expected an even number")
        return value


def report(text, parameters, prefix, model=Batch, *, schema=True):
    document = Document.parse(text, "a.yaml")
    with pytest.raises(ValidationError) as caught:
        model.model_validate(parameters)
    return problems(caught.value, document, prefix, model.model_json_schema() if schema else None)


@pytest.mark.parametrize(
    ("text", "prefix", "line"),
    [
        ("norm: {name: batch, epsilon: fast}", ("norm", 0), "a.yaml:1:30: norm.epsilon: "),
        ("norm: [{name: batch, epsilon: fast}]", ("norm", 0), "a.yaml:1:31: norm.0.epsilon: "),
        ("norm:\n- none\n- name: batch\n  epsilon: fast", ("norm", 1), "a.yaml:4:12: norm.1.epsilon: "),
        ("loss: {name: batch, epsilon: fast}", ("loss",), "a.yaml:1:30: loss.epsilon: "),
    ],
)
def test_errors_of_parameters_have_their_place_in_the_document(text, prefix, line):
    assert report(text, {"epsilon": "fast"}, prefix) == [f"{line}expected a number above 0, got 'fast'"]


@pytest.mark.parametrize(
    ("key", "written", "value", "says"),
    [
        ("epsilon", "0", 0, "expected a number above 0, got 0"),
        ("epsilon", "'0.1'", "0.1", "expected a number above 0, got '0.1'; write it without quotes"),
        ("epsilon", "true", True, "expected a number above 0, got true"),
        ("epsilon", "[1, 2]", [1, 2], "expected a number above 0, got a list of 2"),
        ("epsilon", "{a: 1}", {"a": 1}, "expected a number above 0, got a mapping"),
        ("epsilon", "", None, "expected a number above 0, got null"),
        ("momentum", "1", 1, "expected a number of at least 0 and below 1, got 1"),
        ("predict", "runing", "runing", "expected 'running' or 'batch', got 'runing'"),
        ("groups", "x", "x", "expected a whole number above 0, got 'x'"),
        ("groups", "8.0", 8.0, "expected a whole number above 0, got 8.0; write 8"),
        ("sizes", "3", 3, "expected a list (each a whole number above 0), got 3"),
        ("axis", "some", "some", "expected a whole number or 'all', got 'some'"),
        ("even", "3", 3, "expected an even number, got 3"),
    ],
)
def test_expected_values_are_described(key, written, value, says):
    assert report(f"norm: {{name: batch, {key}: {written}}}", {key: value}, ("norm", 0)) == [
        f"a.yaml:1:{23 + len(key)}: norm.{key}: {says}",
    ]


def test_error_in_a_list_has_the_place_of_the_item():
    lines = report("norm: {name: batch, sizes: [1, x, 0]}", {"sizes": [1, "x", 0]}, ("norm", 0))
    assert lines == [
        "a.yaml:1:32: norm.sizes.1: expected a whole number above 0, got 'x'",
        "a.yaml:1:35: norm.sizes.2: expected a whole number above 0, got 0",
    ]


def test_unknown_key_is_reported_at_the_key_with_a_suggestion():
    lines = report("norm: {name: batch, epsilonn: 1}", {"epsilonn": 1}, ("norm", 0))
    assert lines == ["a.yaml:1:21: norm.epsilonn: unknown key; did you mean 'epsilon'?"]


def test_unknown_key_without_a_similar_one_lists_all_keys():
    lines = report("norm: {name: batch, zzz: 1}", {"zzz": 1}, ("norm", 0))
    expected = "epsilon, momentum, predict, groups, sizes, axis or even"
    assert lines == [f"a.yaml:1:21: norm.zzz: unknown key; expected {expected}"]


def test_unknown_key_of_a_part_without_parameters():
    model = create_model("Nothing", __config__=ConfigDict(extra="forbid"))
    lines = report("norm: {name: none, x: 1}", {"x": 1}, ("norm", 0), model)
    assert lines == ["a.yaml:1:20: norm.x: unknown key; expected none; remove it"]


def test_missing_parameter_is_reported_at_the_part():
    model = create_model("Group", groups=(PositiveInt, Field(examples=[8])), size=(int, ...))
    assert report("norm: group", {}, ("norm", 0), model) == [
        "a.yaml:1:7: norm.groups: missing; add 'groups: 8'",
        "a.yaml:1:7: norm.size: missing; add 'size: ...'",
    ]


def test_parameters_checked_by_a_signature_are_reported_in_the_same_way():
    def layer(*, groups: PositiveInt, epsilon: float = 0.1) -> None: ...

    adapter = TypeAdapter(layer)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({"epsilonn": 0.1})
    document = Document.parse("norm: {name: group, epsilonn: 0.1}", "a.yaml")
    assert problems(caught.value, document, ("norm", 0), adapter.json_schema()) == [
        "a.yaml:1:7: norm.groups: missing; add 'groups: ...'",
        "a.yaml:1:21: norm.epsilonn: unknown key; did you mean 'epsilon'?",
    ]


def test_errors_are_in_the_order_of_the_document():
    text = "norm:\n  even: 3\n  epsilon: 0\n  x: 1\n"
    lines = report(text, {"x": 1, "epsilon": 0, "even": 3}, ("norm", 0))
    assert [line.split(":")[1] for line in lines] == ["2", "3", "4"]


def test_at_most_twenty_errors_are_reported_and_the_rest_counted():
    keys = {f"key{n}": n for n in range(50)}
    text = "norm:\n" + "".join(f"  {key}: 1\n" for key in keys)
    lines = report(text, keys, ("norm", 0))
    assert len(lines) == 21
    assert lines[-1] == "... and 30 more"


def test_earlier_lines_come_first_and_are_counted():
    document = Document.parse("norm: {x: 1}", "a.yaml")
    with pytest.raises(ValidationError) as caught:
        Batch.model_validate({"x": 1})
    lines = problems(caught.value, document, ("norm", 0), earlier=["before"] * 20)
    assert lines == ["before"] * 20 + ["... and 1 more"]


def test_without_a_schema_the_messages_are_those_of_pydantic():
    lines = report("norm: {epsilon: 0, even: 3}", {"epsilon": 0, "even": 3}, ("norm", 0), schema=False)
    assert lines == [
        "a.yaml:1:17: norm.epsilon: expected greater than 0, got 0",
        "a.yaml:1:26: norm.even: expected an even number, got 3",
    ]


def test_hostile_keys_and_values_give_short_printable_lines():
    key, value = "k" * 100, "\x1b[31m\n" * 100
    document = Document.of({"norm": {key: value}}, "a.yaml")
    with pytest.raises(ValidationError) as caught:
        Batch.model_validate({key: value})
    (line,) = problems(caught.value, document, ("norm", 0), Batch.model_json_schema())
    assert line.isprintable()
    assert len(line) < 200


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "a whole number"),
        (bool, "true or false"),
        (str, "text"),
        (Annotated[str, Field(min_length=1)], "text that is not empty"),
        (Annotated[str, Field(max_length=3)], "text of 0 to 3 characters"),
        (Annotated[str, Field(pattern="^a$")], "text of the form ^a$"),
        (Annotated[int, Field(ge=1, le=5)], "a whole number from 1 to 5"),
        (Annotated[float, Field(lt=1)], "a number below 1"),
        (Annotated[float, Field(ge=0.5, le=1.0)], "a number from 0.5 to 1"),
        (Annotated[float, Field(le=1)], "a number of at most 1"),
        (Optional[int], "a whole number"),
        (dict, "a mapping"),
        (Literal["all"], "'all'"),
        (Literal[1, 2, 3], "1, 2 or 3"),
        (Annotated[List[int], Field(min_length=2)], "a list of at least 2 (each a whole number)"),  # noqa: UP006 - for 3.9
        (Annotated[List[int], Field(min_length=2, max_length=4)], "a list of 2 to 4 (each a whole number)"),  # noqa: UP006 - for 3.9
        (Tuple[int, int], "a list of 2"),  # noqa: UP006 - for 3.9
        (Union[float, List[float]], "a number or a list (each a number)"),  # noqa: UP006 - for 3.9
        (Batch, "a mapping"),
        (object, ""),
    ],
)
def test_phrases(kind, words):
    model = create_model("Model", x=(kind, ...))
    assert phrase(model.model_json_schema(), ("x",)) == words


def test_phrases_inside_tuples_mappings_and_models():
    model = create_model("Model", pair=(Tuple[int, str], ...), table=(dict[str, bool], ...), part=(Batch, ...))  # noqa: UP006 - for 3.9
    schema = model.model_json_schema()
    assert phrase(schema, ("pair", 0)) == "a whole number"
    assert phrase(schema, ("pair", 1)) == "text"
    assert phrase(schema, ("table", "any")) == "true or false"
    assert phrase(schema, ("part", "epsilon")) == "a number above 0"


def test_formatting_of_words_and_values():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], "and") == "a, b and c"
    assert nearest("epsilonn", ["momentum", "epsilon"]) == "epsilon"
    assert nearest("Batch", ["batch", "none"]) == "batch"
    assert nearest("zzz", ["momentum"]) is None
    assert brief("a\nb\u202e") == "a\\nb\\u202e"
    assert len(brief("x" * 1000)) == 40
    assert [shown(value) for value in (None, True, 0.1, "x", [1], {}, object())] == [
        *("null", "true", "0.1", "'x'", "a list of 1", "a mapping", "an object of type object"),
    ]
