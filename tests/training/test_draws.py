"""Networks that draw random numbers in training: the draws depend only on seed and step."""

from __future__ import annotations

import numpy as np
import pytest
from drawing_plugin import PLUGIN

from normlab.backend.mxnet import mxnet
from normlab.catalog import catalog
from normlab.experiment.assembly import assemble
from normlab.experiment.parts import resolve
from normlab.spec import parse_spec

mx = mxnet()


SPEC = """
name: drawn
dataset: {name: synthetic, shape: [8], classes: 3, train: 64, test: 30}
model: dropping
norm: none
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 10, batch_size: 16}
device: cpu
"""


@pytest.fixture
def assembled(tmp_path):
    file = tmp_path / "drawing.py"
    file.write_text(PLUGIN)
    known = catalog(files=[file])

    def make(*overrides, seed=0):
        spec = resolve(parse_spec(SPEC, "drawn.yaml", overrides, seed=seed), known)
        data = spec.dataset.entry.load(**spec.dataset.parameters)
        network, trainer, evaluator, _ = assemble(spec, data, [mx.cpu()], 10)
        return network, trainer, evaluator

    return make


def ignored(_):
    pass


def trained(made, first=0, last=10, values=None):
    network, trainer, _ = made
    for name, value in (values or {}).items():
        network.parameters[name].set_data(mx.nd.array(value))
    trainer.steps(first, last, ignored)
    mx.nd.waitall()
    return {name: parameter.data().asnumpy() for name, parameter in network.parameters.items()}


def same(first, second):
    return all((first[name] == second[name]).all() for name in first)


DRAWING = pytest.mark.parametrize("overrides", [[], ["norm=noise", "model.rate=0.0"]], ids=["dropout", "method"])


@DRAWING
@pytest.mark.parametrize("hybridize", ["true", "false"])
def test_runs_are_reproducible_whatever_was_drawn_before(assembled, overrides, hybridize):
    overrides = [*overrides, f"hybridize={hybridize}"]
    first = trained(assembled(*overrides))
    mx.random.seed(99)
    mx.nd.random.uniform(shape=(5,)).wait_to_read()
    assert same(first, trained(assembled(*overrides)))
    assert not same(first, trained(assembled(*overrides, seed=1)))


@DRAWING
def test_the_last_steps_alone_draw_the_same_as_in_a_whole_run(assembled, overrides):
    made = assembled(*overrides)
    half = trained(made, 0, 5)
    whole = trained(made, 5, 10)
    assert same(trained(assembled(*overrides), 5, 10, half), whole)
    assert not same(trained(assembled(*overrides), 4, 9, half), whole)


def test_evaluations_between_steps_do_not_affect_training(assembled):
    network, trainer, evaluator = assembled()
    assert evaluator("test") == evaluator("test")
    for step in range(10):
        trainer.steps(step, step + 1, ignored)
        evaluator("train")
    mx.nd.waitall()
    found = {name: parameter.data().asnumpy() for name, parameter in network.parameters.items()}
    assert same(found, trained(assembled()))


def test_each_step_draws_different_dropout(assembled):
    network, trainer, _ = assembled("optimizer.learning_rate=1.0e-30")
    norms = []
    for step in range(4):
        trainer.steps(step, step + 1, ignored)
        norms.append(float(np.abs(network.parameters["dense1.weight"].grad().asnumpy()).sum()))
    assert len(set(norms)) == 4


def test_mxnet_is_seeded_only_for_networks_that_draw(assembled, monkeypatch):
    seeds = []
    monkeypatch.setattr("normlab.training.loop.seed_mxnet", lambda *key: seeds.append(key))
    trained(assembled("model.rate=0.0"), 0, 2)
    assert seeds == []
    trained(assembled(), 0, 2)
    assert seeds == [(0, "step", 0), (0, "step", 1)]


@pytest.fixture
def masks(monkeypatch):
    """Record the mask of each call of dropout, as the operator draws it."""
    kept, drop = [], mx.nd.Dropout

    def dropped(x, **keywords):
        mask = drop(mx.nd.ones_like(x), **keywords)
        kept.append(mask.asnumpy() > 0)
        return x * mask

    monkeypatch.setattr(mx.nd, "Dropout", dropped)
    return kept


def drawn(assembled, masks, *overrides, seed=0):
    """Train, and return the digest of draws and the masks that were drawn."""
    masks.clear()
    made = assembled("hybridize=false", *overrides, seed=seed)
    trained(made)
    return made[1].digests(10)["draws"], np.array(masks)


def test_digests_of_draws_are_equal_if_and_only_if_dropout_masks_are(assembled, masks):
    digest, kept = drawn(assembled, masks)
    assert kept.shape == (10, 16, 12)
    for alike in (["norm=batch"], ["optimizer.learning_rate=0.5"]):
        same_digest, same_masks = drawn(assembled, masks, *alike)
        assert same_digest == digest
        assert (same_masks == kept).all()
    for other in (["norm=noise"], ["model.rate=0.4"], ["training.batch_size=8"]):
        other_digest, other_masks = drawn(assembled, masks, *other)
        assert other_digest != digest
        assert other_masks.shape != kept.shape or (other_masks != kept).any()
    assert drawn(assembled, masks, seed=1)[0] != digest


def test_the_digest_of_draws_covers_the_steps_taken_and_is_absent_without_dropout(assembled):
    _, trainer, _ = assembled()
    assert trainer.digests(9)["draws"] != trainer.digests(10)["draws"]
    assert trainer.digests(10)["draws"] == assembled("hybridize=false")[1].digests(10)["draws"]
    for overrides in (["model.rate=0.0"], ["norm=noise", "model.rate=0.0"]):
        assert "draws" not in assembled(*overrides)[1].digests(10)
