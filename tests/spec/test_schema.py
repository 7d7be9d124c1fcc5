"""The typed schema: defaults, strict types, and round trips through YAML."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from normlab.spec import Document, Evaluation, Part, Spec, Training, parse_spec
from normlab.spec.schema import name_of
from normlab.spec.values import plain

NEEDED = {"name": "test", "dataset": "mnist", "model": "mlp", "optimizer": "sgd", "training": {"steps": 5}}


def build(**settings_):
    return Spec(**{**NEEDED, **settings_})


def reject(**settings_):
    with pytest.raises(ValidationError) as caught:
        build(**settings_)
    return caught.value.errors()[0]


def test_defaults():
    spec = build()
    assert spec.norm == (Part(name="none"),)
    assert spec.loss == Part(name="softmax_cross_entropy")
    assert spec.schedule == Part(name="constant")
    assert spec.augmentation == ()
    assert spec.training == Training(steps=5, batch_size=100)
    assert spec.evaluation == Evaluation(every=100, splits=("train", "test"), batch_size=1000)
    assert (spec.seed, spec.device, spec.hybridize, spec.plugins, spec.description) == (0, ("auto",), True, (), "")


@pytest.mark.parametrize(
    "written",
    ["batch", {"name": "batch"}, ["batch"], [{"name": "batch"}], (Part(name="batch"),), Part(name="batch")],
)
def test_single_part_can_be_written_in_every_form(written):
    assert build(norm=written).norm == (Part(name="batch"),)


def test_all_keys_of_a_part_except_its_name_are_parameters():
    part = build(optimizer={"learning_rate": 1, "name": "sgd", "clip": None}).optimizer
    assert part == Part(name="sgd", parameters={"learning_rate": 1, "clip": None})
    assert part.dump() == {"name": "sgd", "learning_rate": 1, "clip": None}
    assert next(iter(part.dump())) == "name"


@pytest.mark.parametrize(
    "name", ["", "Batch", "9x", "a-b", "a b", "a/b", "..", "batch\n", "x" * 41, "bätch", "_x", 5, None]
)
def test_invalid_names_of_parts(name):
    assert reject(norm={"name": name})["loc"] == ("norm", 0, "name")


@pytest.mark.parametrize("name", ["", ".x", "-x", "a/b", "a\\b", "a b", "x" * 65, "a\n", "é", "a:b", "~"])
def test_invalid_names_of_specs(name):
    assert reject(name=name)["loc"] == ("name",)


@pytest.mark.parametrize("name", ["a", "mnist_bn", "A.b-c_9", "9", "x" * 64])
def test_valid_names_of_specs(name):
    assert build(name=name).name == name


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**63, b"x", {1: 2}, {"": 1}, object(), "\x00", "\ud800", {"a": {"b": math.nan}}, {1, 2}],
)
def test_parameters_that_yaml_can_not_express_are_rejected(value):
    reject(norm={"name": "x", "a": value})
    with pytest.raises(ValueError, match=r"expected|over|control"):
        plain(value)


def test_parameters_that_contain_themselves_are_rejected():
    endless = []
    endless.append(endless)
    reject(norm={"name": "x", "a": endless})


def test_parameters_are_copied_to_plain_types():
    class Rate(float):
        pass

    hidden = [100, 50]
    part = Part(name="mlp", parameters={"hidden": hidden, "shape": (1, 2), "rate": Rate(0.5)})
    hidden.append(7)
    assert part.parameters == {"hidden": [100, 50], "shape": [1, 2], "rate": 0.5}
    assert type(part.parameters["rate"]) is float


def test_a_parameter_can_not_be_called_name():
    with pytest.raises(ValidationError, match="name"):
        Part(name="x", parameters={"name": "y"})


@pytest.mark.parametrize(
    ("training", "valid"),
    [
        ({"steps": 1}, True),
        ({"epochs": 1}, True),
        ({"epochs": 0.5, "steps": None}, True),
        ({"steps": 1, "checkpoint_every": 5}, True),
        ({}, False),
        ({"steps": None}, False),
        ({"steps": 1, "epochs": 1}, False),
        ({"steps": 0}, False),
        ({"steps": 1.0}, False),
        ({"steps": True}, False),
        ({"steps": "1"}, False),
        ({"epochs": "1"}, False),
        ({"epochs": True}, False),
        ({"epochs": 0}, False),
        ({"epochs": math.inf}, False),
        ({"epochs": math.nan}, False),
        ({"steps": 1, "batch_size": 0}, False),
        ({"steps": 1, "checkpoint_every": -1}, False),
        ({"stps": 1}, False),
        (5, False),
    ],
)
def test_training_budget(training, valid):
    if valid:
        build(training=training)
    else:
        assert reject(training=training)["loc"][0] == "training"


@pytest.mark.parametrize(
    ("evaluation", "valid"),
    [
        ({}, True),
        ({"splits": ["validation"]}, True),
        ({"splits": ("test", "train", "validation")}, True),
        ({"batch_size": "all"}, True),
        ({"batch_size": 1}, True),
        ({"every": 0}, False),
        ({"splits": []}, False),
        ({"splits": ["train", "train"]}, False),
        ({"splits": ["tests"]}, False),
        ({"splits": "train"}, False),
        ({"batch_size": "ALL"}, False),
        ({"batch_size": 0}, False),
        ({"batch_size": True}, False),
        ({"batch_size": 1.5}, False),
        ({"batch_size": None}, False),
    ],
)
def test_evaluation(evaluation, valid):
    if valid:
        build(evaluation=evaluation)
    else:
        assert reject(evaluation=evaluation)["loc"][0] == "evaluation"


@pytest.mark.parametrize(
    ("device", "devices"),
    [
        ("auto", ("auto",)),
        ("cpu", ("cpu",)),
        ("gpu:1", ("gpu:1",)),
        (["gpu:0", "gpu:12"], ("gpu:0", "gpu:12")),
        (("cpu:0", "cpu:1"), ("cpu:0", "cpu:1")),
        ("", None),
        ("GPU", None),
        ("gpu:", None),
        ("gpu:01", None),
        ("gpu:-1", None),
        ("auto:0", None),
        ("cpu\n", None),
        (["auto", "cpu"], None),
        (["gpu", "gpu:0"], None),
        ([], None),
        (5, None),
        ([None], None),
    ],
)
def test_devices(device, devices):
    if devices:
        assert build(device=device).device == devices
    else:
        assert reject(device=device)["loc"][0] == "device"


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "0", None])
def test_seeds_are_whole_numbers_of_32_bits(seed):
    assert reject(seed=seed)["loc"] == ("seed",)
    assert build(seed=2**32 - 1).seed == 2**32 - 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("hybridize", "no"), ("hybridize", 1), ("plugins", "a.py"), ("plugins", [""]), ("norm", []), ("lr", 1)],
)
def test_wrong_types_and_unknown_keys(key, value):
    assert reject(**{key: value})["loc"][0] == key


def test_specs_can_not_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        build().seed = 5


def test_dump_is_in_the_order_of_the_schema_and_in_short_form():
    data = build(norm="batch", device="cpu").dump()
    assert list(data) == list(Spec.model_fields)
    assert data["norm"] == {"name": "batch"}
    assert data["device"] == "cpu"
    assert data["training"] == {"steps": 5, "batch_size": 100}
    data = build(norm=["batch", "group"], device=["gpu:0", "gpu:1"]).dump()
    assert data["norm"] == [{"name": "batch"}, {"name": "group"}]
    assert data["device"] == ["gpu:0", "gpu:1"]


def test_equality_compares_settings_not_places():
    text = "dataset: mnist\nmodel: mlp\noptimizer: sgd\ntraining: {steps: 5}\n"
    assert parse_spec(text, "test") == parse_spec("# moved\n" + text, "test") == build()
    assert build() != build(seed=1)
    assert build() != "test"


def test_spec_built_in_python_has_a_document():
    assert build(norm="batch").document.data["norm"] == {"name": "batch"}
    assert build().document.place(("seed",)) == Document.of({}, "test").place(())


def test_spec_can_be_pickled():
    spec = parse_spec("dataset: mnist\nmodel: mlp\noptimizer: sgd\ntraining: {steps: 5}\n", "a.yaml")
    copy = pickle.loads(pickle.dumps(spec))  # noqa: S301 - pickled one line above
    assert copy == spec
    assert copy.document.places == spec.document.places


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("configs/mnist_bn.yaml", "mnist_bn"),
        ("mnist.v2.yaml", "mnist.v2"),
        ("C:\\specs\\a b.yml", "a-b"),
        (".hidden.yaml", "hidden"),
        ("<text>", "text"),
        ("/dev/fd/63", "63"),
        ("試験.yaml", "spec"),
        ("x" * 100 + ".yaml", "x" * 64),
    ],
)
def test_default_name_is_the_name_of_the_file(source, name):
    assert name_of(source) == name
    assert build(name=name).name == name


NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,39}\Z")
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t:#'\"-"), max_size=40)
TRAPS = st.sampled_from(
    ["no", "null", "~", "012", "1e-3", ".nan", "true", "", "12:30", "<<", "=", "*a", "a: b", "- a", "%"]
)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS
KEY_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(str.isprintable)
VALUES = st.recursive(
    SCALARS | TEXT | TRAPS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY_TEXT, inner, max_size=3),
    max_leaves=12,
)
PARTS = st.builds(
    Part, name=NAMES, parameters=st.dictionaries(KEY_TEXT.filter(lambda key: key != "name"), VALUES, max_size=4)
)
BUDGETS = st.one_of(
    st.builds(Training, steps=st.integers(1), batch_size=st.integers(1, 10_000)),
    st.builds(Training, epochs=st.floats(1e-3, 1e6), checkpoint_every=st.none() | st.integers(1, 100)),
)
SPLITS = st.lists(st.sampled_from(["train", "validation", "test"]), min_size=1, unique=True).map(tuple)
SPECS = st.builds(
    Spec,
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z"),
    description=TEXT | TRAPS,
    dataset=PARTS,
    model=PARTS,
    norm=st.lists(PARTS, min_size=1, max_size=3),
    loss=PARTS,
    optimizer=PARTS,
    schedule=PARTS,
    augmentation=st.lists(PARTS, max_size=2),
    training=BUDGETS.filter(lambda training: (training.steps or 1) < 2**63),
    evaluation=st.builds(
        Evaluation, every=st.integers(1, 1000), splits=SPLITS, batch_size=st.just("all") | st.integers(1, 9)
    ),
    seed=st.integers(0, 2**32 - 1),
    device=st.sampled_from(["auto", "cpu", ["gpu:0", "gpu:1"], ["cpu:0", "cpu:1"]]),
    hybridize=st.booleans(),
    plugins=st.lists(TEXT.filter(bool).map(lambda text: "/plugins/a" + text.replace("/", "")), max_size=2).map(tuple),
)


@settings(deadline=None, derandomize=True)
@given(spec=SPECS)
def test_spec_written_as_yaml_loads_to_an_equal_spec(spec):
    text = spec.to_yaml()
    again = parse_spec(text, "again.yaml")
    assert again == spec
    assert again.to_yaml() == text


def test_importing_spec_imports_neither_mxnet_nor_numpy():
    code = "import sys, normlab.spec; print(sorted({'mxnet', 'numpy', 'rich', 'click'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
