"""Settings with positions: look-up, merging of specs, overrides of the command line."""

from __future__ import annotations

import pytest

from normlab.errors import SpecError
from normlab.spec import Document, Place

PARENT = """\
norm: {name: batch, epsilon: 0.1}
model:
  name: mlp
  hidden: [100, 100]
  weight_initializer: {name: truncated_normal, sigma: 0.1}
optimizer: sgd
training: {steps: 10, batch_size: 100}
"""


def parent():
    return Document.parse(PARENT, "parent.yaml")


def merged(child):
    return parent().merged(Document.parse(child, "child.yaml"))


def test_place_of_a_missing_value_is_that_of_the_enclosing_block():
    document = parent()
    assert str(document.place(("training", "steps"))) == "parent.yaml:7:19"
    assert str(document.place(("training", "epochs"))) == "parent.yaml:7:11"
    assert str(document.place(("nothing", "at", "all"))) == "parent.yaml:1:1"
    assert document.place(("model", "hidden", 7)) == document.place(("model", "hidden"))


def test_place_of_a_key_and_place_of_its_value():
    document = parent()
    assert str(document.key_place(("model", "hidden"))) == "parent.yaml:4:3"
    assert str(document.place(("model", "hidden"))) == "parent.yaml:4:11"
    assert document.key_place(("model", "hidden", 1)) == document.place(("model", "hidden", 1))
    assert document.key_place(("model", "absent")) == document.place(("model",))
    assert document.key_place(()) == document.place(())


def test_place_is_formatted_as_file_line_column():
    assert str(Place("a.yaml", 5, 3)) == "a.yaml:5:3"
    assert str(Place("a.yaml", 5, None)) == "a.yaml:5:1"
    assert str(Place("-s seed=1", None, None)) == "-s seed=1"


@pytest.mark.parametrize(
    ("text", "location", "path"),
    [
        ("norm: batch", ("norm", 0, "parameters", "epsilon"), ("norm",)),
        ("norm: {name: batch, epsilon: 1}", ("norm", 0), ("norm",)),
        ("norm: {name: batch, epsilon: 1}", ("norm", 0, "epsilon"), ("norm", "epsilon")),
        ("norm: {name: batch, epsilon: 1}", ("norm", 0, "parameters", "epsilon"), ("norm", "epsilon")),
        ("norm: [x, {name: batch, epsilon: 1}]", ("norm", 1, "epsilon"), ("norm", 1, "epsilon")),
        ("norm: [x, {name: batch, epsilon: [1]}]", ("norm", 1, "epsilon", 0, "int"), ("norm", 1, "epsilon", 0)),
        ("loss: {name: x, a: {b: 1}}", ("loss", "parameters", "a", "b"), ("loss", "a", "b")),
        ("device: cpu", ("device", 0), ("device",)),
        ("loss: x", ("norm", 0), ()),
    ],
)
def test_location_in_the_models_resolves_to_the_path_in_the_document(text, location, path):
    assert Document.parse(text).resolve(location) == path


def test_mappings_merge_and_the_child_takes_precedence():
    document = merged("training: {steps: 20}\nmodel: {hidden: [5]}\nseed: 3\n")
    assert document.data["training"] == {"steps": 20, "batch_size": 100}
    assert document.data["model"]["hidden"] == [5]
    assert document.data["model"]["name"] == "mlp"
    assert document.data["seed"] == 3


def test_merged_settings_keep_their_places():
    document = merged("training: {steps: 20}\n")
    assert str(document.place(("training", "steps"))) == "child.yaml:1:19"
    assert str(document.key_place(("training", "steps"))) == "child.yaml:1:12"
    assert str(document.place(("training", "batch_size"))) == "parent.yaml:7:35"


def test_merging_does_not_change_the_parent():
    first = parent()
    first.merged(Document.parse("training: {steps: 20}\n"))
    assert first.data == parent().data


@pytest.mark.parametrize(
    ("child", "norm"),
    [
        ("norm: {name: group}", {"name": "group"}),
        ("norm: group", "group"),
        ("norm: batch", "batch"),
        ("norm: {name: batch, predict: batch}", {"name": "batch", "epsilon": 0.1, "predict": "batch"}),
        ("norm: {predict: batch}", {"name": "batch", "epsilon": 0.1, "predict": "batch"}),
        ("norm: [group, batch]", ["group", "batch"]),
        ("norm: ", None),
    ],
)
def test_part_with_another_name_replaces_and_with_the_same_or_no_name_merges(child, norm):
    assert merged(child).data["norm"] == norm


def test_parameters_merged_into_a_part_that_is_a_name_keep_the_name():
    assert merged("optimizer: {learning_rate: 0.1}").data["optimizer"] == {"name": "sgd", "learning_rate": 0.1}
    assert merged("optimizer: {name: adam, beta1: 0.9}").data["optimizer"] == {"name": "adam", "beta1": 0.9}


def test_parts_inside_parts_are_replaced_in_the_same_way():
    child = "model: {weight_initializer: {name: xavier}}"
    assert merged(child).data["model"]["weight_initializer"] == {"name": "xavier"}
    child = "model: {weight_initializer: {sigma: 0.2}}"
    assert merged(child).data["model"]["weight_initializer"] == {"name": "truncated_normal", "sigma": 0.2}


def test_specs_with_different_names_merge():
    first = Document.parse("name: one\nseed: 1\n")
    assert first.merged(Document.parse("name: two\n")).data == {"name": "two", "seed": 1}


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.steps=20", ("training", "steps"), 20),
        (" training.steps = 20 ", ("training", "steps"), 20),
        ("training.steps=null", ("training", "steps"), None),
        ("training.epochs=1e-1", ("training", "epochs"), 0.1),
        ("training={epochs: 2}", ("training",), {"epochs": 2}),
        ("norm=my_norm", ("norm",), "my_norm"),
        ("norm={name: batch}", ("norm",), {"name": "batch"}),
        ("norm=[a, b]", ("norm",), ["a", "b"]),
        ("norm.predict=batch", ("norm",), {"name": "batch", "epsilon": 0.1, "predict": "batch"}),
        ("norm.name=group", ("norm",), {"name": "group", "epsilon": 0.1}),
        ("optimizer.learning_rate=0.1", ("optimizer",), {"name": "sgd", "learning_rate": 0.1}),
        ("model.hidden.1=7", ("model", "hidden"), [100, 7]),
        ("evaluation.every=20", ("evaluation",), {"every": 20}),
        ("loss.a.b=x", ("loss",), {"a": {"b": "x"}}),
        ("description=a=b", ("description",), "a=b"),
        ('description="a: b # c"', ("description",), "a: b # c"),
        ("hybridize=off", ("hybridize",), "off"),
    ],
)
def test_override_is_parsed_as_yaml(override, path, value):
    data = parent().with_override(override).data
    for step in path:
        data = data[step]
    assert data == value


def test_place_of_an_override_is_the_option():
    document = parent().with_override("optimizer.learning_rate=0.1")
    assert str(document.place(("optimizer", "learning_rate"))) == "-s optimizer.learning_rate=0.1"
    assert str(document.key_place(("optimizer", "learning_rate"))) == "-s optimizer.learning_rate=0.1"
    assert str(document.place(("optimizer", "name"))) == "parent.yaml:6:12"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.steps", "not a setting; expected key=value"),
        ("=5", "not a setting; expected key=value"),
        ("a b=5", "not a setting; expected key=value"),
        ("training..steps=5", "not a setting; expected key=value"),
        ("training.steps=", "write training.steps=null"),
        ("training.steps=  ", "no value after '='"),
        ("training.steps=[1", "not valid YAML: a list that is not closed"),
        ("training.steps=012", "012: a whole number can't begin with 0"),
        ("norm=!x y", "the tag '!x'"),
        ("training.steps.x=1", "training.steps is 10; expected a block with 'x'"),
        ("training.0=1", "training is a mapping, not a list; expected no index; remove '0'"),
        ("model.hidden.2=1", "model.hidden is a list of 2; expected an index; write model.hidden.0 or model.hidden.1"),
        ("model.hidden.x=1", "model.hidden is a list of 2"),
        ("a" * 101 + "=1", "not a setting; expected key=value"),
        (".".join("a" * 5000) + "=1", "blocks nested over 20 levels deep"),
    ],
)
def test_invalid_override_is_reported_with_the_option(override, says):
    with pytest.raises(SpecError) as caught:
        parent().with_override(override)
    message = str(caught.value)
    assert message.startswith("-s ")
    assert says in message
    assert "\n" not in message


def test_long_and_unprintable_overrides_are_reported_on_one_short_line():
    with pytest.raises(SpecError) as caught:
        parent().with_override("x\n\x1b[31m" + "y" * 1000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_place_of_plain_data_is_its_source():
    document = Document.of({"norm": [{"name": "batch"}], "device": ("cpu",)}, "made in Python")
    assert document.data == {"norm": [{"name": "batch"}], "device": ["cpu"]}
    assert str(document.place(("norm", 0, "name"))) == "made in Python"
