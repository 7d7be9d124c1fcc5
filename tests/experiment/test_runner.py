"""Complete runs on small synthetic data."""

from __future__ import annotations

import numpy as np
import pytest

from normlab import experiment
from normlab.api import run
from normlab.errors import DataError, SpecError, StorageError
from normlab.experiment.observer import Observer
from normlab.runs import checkpoint
from normlab.runs.history import History
from normlab.spec import parse_spec

SPEC = """
name: small
dataset: {name: synthetic, shape: [1, 6, 6], classes: 4, train: 256, test: 100, validation: 50}
model: {name: mlp, hidden: [16, 16]}
norm: batch
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 30, batch_size: 32}
evaluation: {every: 10, splits: [train, validation, test]}
device: cpu
"""


def spec_of(*overrides, seed=None):
    return parse_spec(SPEC, "small.yaml", overrides, seed=seed)


def parameters(history):
    return checkpoint.load(history.directory / "checkpoint")


class EventRecorder(Observer):
    def __init__(self):
        self.events = []

    def started(self, plan):
        self.events.append(("started", plan.steps))

    def evaluated(self, record):
        self.events.append(("evaluated", record.step))

    def finished(self, history):
        self.events.append(("finished", history.result.status))

    def reused(self, history):
        self.events.append(("reused", history.result.status))


def test_two_runs_of_one_spec_are_bit_identical(tmp_path):
    first, second = (run(spec_of(), out=tmp_path / name) for name in "ab")
    assert first.same_as(second)
    assert first.result.parameters_digest == second.result.parameters_digest
    for name, value in parameters(first).items():
        assert (value == parameters(second)[name]).all(), name


def test_norms_with_one_seed_share_initial_weights_and_batches(tmp_path):
    batch, none = (run(spec_of(f"norm={norm}"), out=tmp_path).result for norm in ("batch", "none"))
    assert batch.digests == none.digests
    assert batch.parameters_digest != none.parameters_digest
    other = run(spec_of("norm=none", seed=1), out=tmp_path).result
    assert other.digests["initialization"] != none.digests["initialization"]
    assert other.digests["batches"] != none.digests["batches"]


def test_accuracy_rises_and_records_are_uniform(tmp_path):
    history = run(spec_of("training.steps=60"), out=tmp_path)
    assert history.steps == [10, 20, 30, 40, 50, 60]
    assert [record.examples for record in history] == [32 * step for step in history.steps]
    assert history[-1].epoch == 60 * 32 / 256
    assert history.accuracy("test")[-1] > 0.8
    assert history.loss("train")[-1] < history.loss("train")[0]
    assert set(history.as_dict()) == {"batch"}


def test_stored_run_is_reused_unless_again(tmp_path):
    stored = run(spec_of(), out=tmp_path)
    recorder = EventRecorder()
    assert run(spec_of(), out=tmp_path, observer=recorder) == stored
    assert recorder.events == [("reused", "completed")]
    recorder = EventRecorder()
    again = run(spec_of(), out=tmp_path, again=True, observer=recorder)
    assert again.directory == stored.directory
    assert again.same_as(stored)
    assert recorder.events[0] == ("started", 30)
    assert recorder.events[-1] == ("finished", "completed")


def test_directory_depends_on_the_settings_that_change_the_result(tmp_path):
    base = run(spec_of(), out=tmp_path).directory
    assert run(spec_of("description=words"), out=tmp_path).directory == base
    others = {run(spec_of(change), out=tmp_path).directory for change in ("seed=1", "norm.epsilon=0.1")}
    assert base not in others
    assert len(others) == 2


def test_stored_spec_reproduces_the_run(tmp_path):
    first = run(spec_of(), out=tmp_path / "a")
    text = (first.directory / "spec.yaml").read_text()
    assert run(parse_spec(text), out=tmp_path / "b").result.parameters_digest == first.result.parameters_digest


def test_run_directory_has_the_documented_files(tmp_path):
    directory = run(spec_of(), out=tmp_path).directory
    assert sorted(path.name for path in directory.iterdir()) == [
        "accuracy.svg",
        "checkpoint",
        "environment.json",
        "history.jsonl",
        "result.json",
        "spec.yaml",
    ]


def test_graph_and_imperative_runs_agree_to_rounding(tmp_path):
    graph, imperative = (run(spec_of(f"hybridize={value}"), out=tmp_path) for value in ("true", "false"))
    for name, value in parameters(graph).items():
        np.testing.assert_allclose(parameters(imperative)[name], value, atol=1e-5, err_msg=name)


def test_two_devices_train_like_one(tmp_path):
    one, two = (run(spec_of(f"device={device}", "norm=none"), out=tmp_path) for device in ("cpu", "[cpu:0, cpu:1]"))
    for name, value in parameters(one).items():
        np.testing.assert_allclose(parameters(two)[name], value, atol=1e-5, err_msg=name)


def test_diverged_run_names_the_layer_and_has_no_accuracy(tmp_path):
    history = run(spec_of("norm=none", "optimizer.learning_rate=1e30"), out=tmp_path)
    result = history.result
    assert result.status == "diverged"
    assert result.diverged_step == 10
    assert result.diverged_layer.startswith("dense")
    assert history.accuracy("test")[-1] is None
    assert "learning_rate" in result.message
    assert isinstance(History.load(history.directory), History)


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        (["norm=bach"], "norm.*did you mean 'batch'"),
        (["norm.epsilon=-1"], "epsilon"),
        (["norm.epsilom=0.1"], "epsilom.*did you mean 'epsilon'"),
        (["model.hidden=wide"], "hidden"),
        (["model.activation=tahn"], "did you mean 'tanh'"),
        (["model.norm_sites=[5]"], "small.yaml:4.*no hidden layer 5"),
        (["model.weight_initializer=xavir"], "did you mean 'xavier'"),
        (["optimizer=sdg"], "did you mean 'sgd'"),
        (["loss=hinge"], "unknown loss"),
        (["training.batch_size=1000"], "batch_size.*at most the 256"),
        (["device=[cpu:0, cpu:1, cpu:2]"], "expected a multiple of 3, the number of devices"),
    ],
)
def test_invalid_spec_is_refused_with_its_place_and_leaves_no_files(tmp_path, overrides, where):
    with pytest.raises(SpecError, match=where):
        run(spec_of(*overrides), out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_several_mistakes_are_reported_together():
    with pytest.raises(SpecError) as caught:
        experiment.run(spec_of("norm=bach", "optimizer.lerning_rate=1", "model.hidden=2"))
    lines = str(caught.value).splitlines()
    assert len(lines) >= 3
    assert all(": " in line for line in lines)


def test_missing_split_is_refused(tmp_path):
    with pytest.raises(DataError, match="validation"):
        run(spec_of("dataset.validation=0"), out=tmp_path)


def test_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        run(spec_of(), out=tmp_path / "file")


def test_edited_plugin_gives_another_run(tmp_path):
    source = (
        "from normlab import Norm, NormLayer, hookimpl\n"
        "class Own(NormLayer):\n"
        "    def hybrid_forward(self, F, x): return x * FACTOR\n"
        "@hookimpl\n"
        "def normlab_norms(): yield Norm('own', layer=Own)\n"
    )
    file = tmp_path / "own.py"
    found = []
    for factor in ("1", "2", "1"):
        file.write_text(source.replace("FACTOR", factor), encoding="utf-8")
        found.append(run(spec_of("norm=own", f"plugins=[{file}]"), out=tmp_path / "runs"))
    assert found[0].directory == found[2].directory != found[1].directory
    assert found[0].final() != found[1].final()
