"""Augmentation: pixels against plain indexing, draws keyed by seed and step, evaluation unaffected."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.api import run
from normlab.backend.graph import Graph
from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.datasets.base import Dataset, Split
from normlab.errors import SpecError
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import parse_spec
from normlab.training.augmentation import AUGMENTATIONS, crop, flip, standardize
from normlab.training.augmenter import Augmenter
from normlab.training.randomness import generator

mx = mxnet()
CPU = mx.cpu(0)

SPEC = """
name: augmented
dataset: {name: synthetic, shape: [2, 6, 7], classes: 4, train: 128, test: 60}
model: {name: mlp, hidden: [16]}
norm: batch
optimizer: {name: sgd, learning_rate: 0.1}
augmentation: [{name: crop, padding: 2}, {name: flip, force: true}, standardize]
training: {steps: 10, batch_size: 16}
evaluation: {every: 5}
device: cpu
"""
SEED, BATCH = 7, 12


def spec_of(*overrides, seed=None):
    return parse_spec(SPEC, "augmented.yaml", overrides, seed=seed)


def dataset(shape=(3, 6, 8), *, flips=True, images=None):
    rng = np.random.default_rng(0)
    if images is None:
        images = rng.integers(0, 256, (40, *shape), dtype=np.uint8)
    labels = np.zeros(len(images), np.int32)
    splits = {"train": Split(images, labels), "test": Split(images[:10], labels[:10])}
    return Dataset("made", splits, 2, ("a", "b"), "digest", flips=flips)


def augmenter(*transforms, data=None, seed=SEED, devices=None):
    return Augmenter(transforms, data or dataset(), seed, BATCH, devices or [mx.cpu()])


def augmented(batch, made, step=0):
    (inputs,) = made.inputs(step)
    return made(mx.nd, mx.nd.array(batch), *inputs).asnumpy()


def images(shape=(3, 6, 8)):
    return np.random.default_rng(1).random((BATCH, *shape), dtype=np.float32)


def cropped(image, down, right, padding, outside=0.0):
    """Crop by padding and slicing, unlike the code under test."""
    channels, height, width = image.shape
    wide = np.empty((channels, height + 2 * padding, width + 2 * padding), np.float32)
    wide[:] = np.reshape(outside, (-1, 1, 1))
    wide[:, padding:-padding, padding:-padding] = image
    return wide[:, padding + down :, padding + right :][:, :height, :width]


def shifts(step, padding):
    return generator(SEED, "augment", step).integers(-padding, padding, (2, BATCH, 1), endpoint=True)[..., 0]


@pytest.mark.parametrize("step", [0, 3])
def test_a_crop_is_part_of_the_padded_image(step):
    batch = images()
    found = augmented(batch, augmenter(crop(padding=2)), step)
    assert found.shape == batch.shape
    for image, made, down, right in zip(batch, found, *shifts(step, 2)):
        assert (made == cropped(image, down, right, 2)).all()


def test_all_shifts_are_about_equally_frequent():
    made = augmenter(crop(padding=1))
    rows = np.concatenate([made.draw_maps(step)[0][:, 1] for step in range(200)])
    counts = np.bincount(rows, minlength=3)
    assert abs(counts / len(rows) - 1 / 3).max() < 0.04


def test_some_or_all_images_are_flipped_left_to_right():
    batch = images()
    assert (augmented(batch, augmenter(flip(probability=1.0))) == batch[..., ::-1]).all()
    found = augmented(batch, augmenter(flip(probability=0.5)))
    flipped = [(made == image[..., ::-1]).all() for image, made in zip(batch, found)]
    kept = [(made == image).all() for image, made in zip(batch, found)]
    assert all(a != b for a, b in zip(flipped, kept))
    assert 0 < sum(flipped) < BATCH


def test_transforms_are_applied_in_order():
    batch = images()
    crop_first = augmented(batch, augmenter(crop(padding=2), flip(probability=1.0)))
    for image, made, down, right in zip(batch, crop_first, *shifts(0, 2)):
        assert (made == cropped(image, down, right, 2)[..., ::-1]).all()


@pytest.mark.parametrize("hybridize", [True, False])
def test_a_graph_gathers_the_same_pixels_as_single_operators(hybridize):
    batch = images()
    made = augmenter(crop(padding=3), flip())
    (inputs,) = made.inputs(4)
    (found,) = Graph(made, [], training=True, hybridize=hybridize)(mx.nd.array(batch), *inputs)
    assert (found.asnumpy() == augmented(batch, made, 4)).all()


def test_several_devices_augment_as_one_device():
    batch = images()
    alone = augmented(batch, augmenter(crop(padding=2), flip()), 5)
    devices = [mx.cpu(0), mx.cpu(1)]
    made = augmenter(crop(padding=2), flip(), devices=devices)
    halves = [
        made(mx.nd, mx.nd.array(half, ctx=device), *inputs).asnumpy()
        for half, device, inputs in zip(np.split(batch, 2), devices, made.inputs(5))
    ]
    assert (np.concatenate(halves) == alone).all()


def test_draws_depend_only_on_seed_and_step():
    whole = [augmented(images(), augmenter(crop(), flip()), step) for step in range(8)]
    again = augmenter(crop(), flip())
    assert all((augmented(images(), again, step) == whole[step]).all() for step in (7, 2))
    assert (whole[0] != whole[1]).any()
    assert (augmented(images(), augmenter(crop(), flip(), seed=SEED + 1)) != whole[0]).any()


def test_the_digest_distinguishes_seeds_steps_and_transforms():
    made = {
        augmenter(*transforms, seed=seed).digest(steps)
        for transforms in ([crop()], [crop(), flip()], [crop(padding=1)])
        for seed in (0, 1)
        for steps in (1, 5)
    }
    assert len(made) == 12
    assert augmenter(crop(), seed=0).digest(5) in made


def test_without_transforms_nothing_is_changed():
    batch = mx.nd.array(images())
    made = augmenter()
    assert made.inputs(0) == [()]
    assert made(mx.nd, batch) is batch
    split = dataset().splits["train"]
    stored = made.store(split, CPU)
    assert stored.dtype == np.uint8
    assert (stored.asnumpy() == split.images).all()
    assert (made.prepare(split, CPU).asnumpy() == split.pixels()).all()
    assert (made.pixels(mx.nd, stored).asnumpy() == split.pixels()).all()


def test_standardization_gives_channels_of_the_train_split_mean_0_and_deviation_1():
    data = dataset()
    made = augmenter(standardize(), data=data)
    train, test = (made.prepare(data.splits[name], CPU).asnumpy() for name in ("train", "test"))
    np.testing.assert_allclose(train.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=(0, 2, 3)), 1, atol=1e-6)
    pixels = data.splits["train"].pixels().astype(float)
    mean, deviation = (getattr(pixels, what)(axis=(0, 2, 3), keepdims=True)[0] for what in ("mean", "std"))
    np.testing.assert_allclose(test, (data.splits["test"].pixels() - mean) / deviation, atol=1e-6)
    assert made.inputs(3) == [()]


def test_standardization_treats_features_as_channels_and_copies_the_data():
    values = np.random.default_rng(2).normal(5, 3, (2500, 4)).astype(np.float32)
    data = dataset(images=values.copy())
    standard = augmenter(standardize(), data=data).prepare(data.splits["train"], CPU).asnumpy()
    np.testing.assert_allclose(standard, (values - values.mean(0)) / values.std(0), atol=1e-5)
    assert (data.splits["train"].images == values).all()


def test_a_constant_channel_is_only_centered():
    values = np.random.default_rng(3).random((50, 2, 3, 3), dtype=np.float32)
    values[:, 1] = 0.1
    data = dataset(images=values)
    standard = augmenter(standardize(), data=data).prepare(data.splits["train"], CPU).asnumpy()
    assert abs(standard[:, 1]).max() < 1e-6
    assert standard[:, 0].std() == pytest.approx(1, abs=1e-4)


def test_the_border_is_black_before_standardization_and_the_mean_after_it():
    data = dataset()
    before, after = (
        augmenter(*transforms, data=data)
        for transforms in ([crop(padding=2), standardize()], [standardize(), crop(padding=2)])
    )
    black = before.prepare(Split(np.zeros((1, 3, 6, 8), np.uint8), np.zeros(1, np.int32)), CPU).asnumpy()[0, :, 0, 0]
    batch = images()
    for made, outside in ((before, black), (after, np.zeros(3))):
        for image, found, down, right in zip(batch, augmented(batch, made), *shifts(0, 2)):
            assert (found == cropped(image, down, right, 2, outside)).all()


def assembled(spec, devices=None, steps=10):
    spec = resolve(spec, catalog())
    data = spec.dataset.entry.load(**spec.dataset.parameters)
    return data, assemble(spec, data, devices or [mx.cpu()], steps)


def test_evaluation_data_are_standardized_but_not_cropped_or_flipped():
    data, (_, _, evaluator, _) = assembled(spec_of())
    for name in ("train", "test"):
        pixels = data.splits[name].pixels()
        train = data.splits["train"].pixels().astype(float)
        mean, deviation = (getattr(train, what)(axis=(0, 2, 3), keepdims=True) for what in ("mean", "std"))
        np.testing.assert_allclose(evaluator._splits[name][0].asnumpy(), (pixels - mean) / deviation, atol=1e-5)


def test_norms_with_the_same_seed_see_the_same_augmented_batches(tmp_path):
    batch, none = (run(spec_of(f"norm={norm}"), out=tmp_path).result.digests for norm in ("batch", "none"))
    assert batch == none
    assert "augmentation" in batch
    other = run(spec_of("norm=none", seed=1), out=tmp_path).result.digests
    assert other["augmentation"] != none["augmentation"]
    plain = run(spec_of("augmentation=[]"), out=tmp_path).result.digests
    assert "augmentation" not in plain


def test_each_augmentation_changes_the_result_reproducibly(tmp_path):
    lists = ["[]", "standardize", "[{name: crop, padding: 2}]", "[{name: flip, force: true}]", "[crop, standardize]"]
    results = {run(spec_of(f"augmentation={some}"), out=tmp_path).result.parameters_digest for some in lists}
    assert len(results) == len(lists)
    again = run(spec_of("augmentation=standardize"), out=tmp_path / "again").result.parameters_digest
    assert again in results


def test_the_last_steps_alone_equal_the_last_steps_of_a_whole_run():
    # plain gradient descent has no state; the rate follows a schedule
    spec = spec_of("schedule=cosine", "norm=none")
    _, (whole, trainer, _, _) = assembled(spec)
    trainer.steps(0, 5, lambda _: None)
    mx.nd.waitall()
    half = {name: parameter.data().asnumpy() for name, parameter in whole.parameters.items()}
    trainer.steps(5, 10, lambda _: None)
    _, (late, trainer, _, _) = assembled(spec)
    for name, parameter in late.parameters.items():
        parameter.set_data(mx.nd.array(half[name]))
    trainer.steps(5, 10, lambda _: None)
    assert late.digest() == whole.digest()


def test_two_devices_train_on_augmented_data_like_one():
    spec = spec_of("norm=none")
    networks = []
    for devices in ([mx.cpu(0)], [mx.cpu(0), mx.cpu(1)]):
        _, (network, trainer, _, _) = assembled(spec, devices)
        trainer.steps(0, 10, lambda _: None)
        networks.append({name: p.list_data()[0].asnumpy() for name, p in network.parameters.items()})
    for name, value in networks[0].items():
        np.testing.assert_allclose(networks[1][name], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["augmentation=[crop, flip]"], "augmentation.1: .*synthetic.*does not keep its label.*force: true"),
        (["augmentation=[{name: crop, padding: 6}]"], "augmentation.0: padding 6; expected less than the 6 pixels"),
        (["augmentation=crop", "dataset.shape=[9]"], r"augmentation: the examples of synthetic have shape \(9,\)"),
        (["augmentation=[crop, {name: crop, padding: 1}]"], "augmentation.1: 'crop' is listed twice; expected it once"),
        (["augmentation=[crp]"], "augmentation.0.*did you mean 'crop'"),
        (["augmentation=[{name: flip, probability: 0}]"], "augmentation.0.probability"),
        (["augmentation=[{name: standardize, mean: 0}]"], "augmentation.0.mean: unknown"),
    ],
)
def test_an_invalid_augmentation_is_refused_with_its_place(tmp_path, overrides, message):
    with pytest.raises(SpecError, match=message):
        run(spec_of(*overrides), out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_stored_spec_reproduces_the_run_bit_for_bit(tmp_path):
    first = run(spec_of("schedule={name: step, milestones: [4, 8]}"), out=tmp_path / "a")
    text = (first.directory / "spec.yaml").read_text()
    assert run(parse_spec(text), out=tmp_path / "b").result.parameters_digest == first.result.parameters_digest


def test_every_augmentation_has_a_docstring():
    assert set(AUGMENTATIONS) == {"crop", "flip", "standardize"}
    assert all(function.__doc__ for function in AUGMENTATIONS.values())
