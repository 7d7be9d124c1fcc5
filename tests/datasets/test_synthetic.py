from __future__ import annotations

import inspect
from typing import get_type_hints

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from normlab.datasets.plugin import SHIPPED
from normlab.datasets.synthetic import synthetic


def test_the_same_seed_gives_the_same_bytes_on_every_machine():
    """Computed once. If it changes, runs can no longer be compared with earlier ones or those of other machines."""
    assert synthetic().digest == "5c32fcc5147c0a34c49f5b467b3593292ea0c08ff8e99800c941fe6fd83112a6"


def test_each_seed_gives_a_different_task():
    assert len({synthetic(seed=seed).digest for seed in range(5)}) == 5


def test_a_split_does_not_depend_on_the_sizes_of_the_others():
    one, other = synthetic(train=10, test=20), synthetic(train=300, validation=0, test=20)
    assert np.array_equal(one.splits["test"].images, other.splits["test"].images)
    assert "validation" not in other.splits


@pytest.mark.parametrize("shape", [(5,), (3, 4, 6)])
def test_examples_can_have_any_shape(shape):
    data = synthetic(shape=shape, classes=3, train=7, validation=2, test=4)
    assert {name: split.images.shape for name, split in data.splits.items()} == {
        "train": (7, *shape),
        "validation": (2, *shape),
        "test": (4, *shape),
    }
    assert data.shape == shape


def test_values_are_floats_from_0_to_1_and_classes_are_balanced():
    split = synthetic(classes=4, train=102, noise=2.0).splits["train"]
    assert split.images.dtype == np.float32
    assert split.images.min() == 0
    assert split.images.max() == 1
    assert sorted(np.bincount(split.labels)) == [25, 25, 26, 26]
    assert split.labels[:20].tolist() != sorted(split.labels[:20])


def test_the_task_can_be_learned_but_not_guessed():
    """The nearest class mean of the training examples predicts the class of nearly every test example."""
    data = synthetic()
    train, test = data.splits["train"], data.splits["test"]
    means = np.stack([train.images[train.labels == label].mean(axis=0).ravel() for label in range(10)])
    distance = ((test.images.reshape(len(test), 1, -1) - means) ** 2).sum(axis=2)
    assert (distance.argmin(axis=1) == test.labels).mean() > 0.9
    shuffled = np.roll(test.labels, 1)
    assert (distance.argmin(axis=1) == shuffled).mean() < 0.2


def test_noise_has_the_requested_deviation():
    split = synthetic(shape=(2000,), classes=2, train=40, noise=0.01).splits["train"]
    rest = split.images - np.stack([split.images[split.labels == k].mean(axis=0) for k in (0, 1)])[split.labels]
    inner = rest[(split.images > 0.05) & (split.images < 0.95)]
    assert abs(inner.std() / 0.01 - 1) < 0.05
    still = synthetic(classes=2, noise=0.0).splits["train"]
    assert len(np.unique(still.images.reshape(len(still), -1), axis=0)) == 2


@pytest.mark.parametrize(
    ("parameter", "wrong"),
    [
        ("shape", (8, 8)),
        ("shape", ()),
        ("shape", (1, 0, 8)),
        ("classes", 1),
        ("train", 0),
        ("validation", -1),
        ("test", 0),
        ("noise", -0.1),
        ("noise", float("nan")),
        ("seed", -1),
    ],
)
def test_the_signature_refuses_invalid_values(parameter, wrong):
    hints = get_type_hints(synthetic, include_extras=True)
    with pytest.raises(ValidationError):
        TypeAdapter(hints[parameter]).validate_python(wrong)


def test_every_signature_is_a_schema_with_valid_defaults():
    for name, shipped in SHIPPED.items():
        build = shipped.build
        hints = get_type_hints(build, include_extras=True)
        assert hints.pop("return").__name__ == "Dataset", name
        for parameter in inspect.signature(build).parameters.values():
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert f"{parameter.name}:" in inspect.getdoc(build)
            if parameter.default is not parameter.empty:
                adapter = TypeAdapter(hints[parameter.name])
                assert adapter.validate_python(parameter.default) == parameter.default
