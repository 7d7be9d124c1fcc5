"""Only runs that differ in nothing but what is studied may be compared."""

from __future__ import annotations

import json

import pytest
from study_support import SPEC, history

from normlab.errors import NotComparable, StorageError
from normlab.spec import parse_spec
from normlab.study.analysis.gate import differences, gate

ENVIRONMENT = {
    "threads": 1,
    "versions": {"normlab": "1.0", "mxnet": "1.9.1", "numpy": "1.26"},
    "plugins": [{"file": "mine.py", "sha256": "a"}],
}


def run(folder, name, *overrides, environment=ENVIRONMENT, data="d"):
    """A run directory with what the gate reads."""
    directory = folder / name
    directory.mkdir()
    (directory / "spec.yaml").write_text(parse_spec(SPEC, "small.yaml", overrides).to_yaml(), encoding="utf-8")
    (directory / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return history(name, digests={"data": data, "initialization": "i", "batches": "b"}, directory=directory)


def refused(runs, studied=("norm",), allowed=()):
    with pytest.raises(NotComparable) as error:
        gate(runs, studied, allowed)
    assert error.value.status == 5
    return str(error.value)


def test_runs_that_differ_in_what_is_studied_and_in_seed_pass(tmp_path):
    runs = [run(tmp_path, "a", "norm=none"), run(tmp_path, "b", "seed=3"), run(tmp_path, "c", "name=c", "device=auto")]
    assert gate(runs, ("norm",)) == []


def test_another_key_is_refused_with_its_values_files_and_lines(tmp_path):
    runs = [run(tmp_path, "a"), run(tmp_path, "b", "norm=none", "training.batch_size=64")]
    lines = refused(runs).splitlines()
    assert lines[0] == "2 runs: not comparable: they differ in 1 key beside norm:"
    place = tmp_path / "a" / "spec.yaml"
    written = place.read_text(encoding="utf-8").splitlines()
    ((line, column),) = [(row, text.find("32")) for row, text in enumerate(written, 1) if "batch_size: 32" in text]
    assert f"training.batch_size: 32 ({place}:{line}:{column + 1}), 64 ({tmp_path / 'b' / 'spec.yaml'}:" in lines[1]
    assert lines[-1].endswith("--allow training.batch_size")


def test_an_allowed_key_passes_and_is_told_for_the_report(tmp_path):
    runs = [run(tmp_path, "a"), run(tmp_path, "b", "training.batch_size=64")]
    (told,) = gate(runs, ("norm",), ("training",))
    assert told.startswith("by leave, runs differ in training.batch_size: 32 (")


def test_a_key_that_is_nearly_studied_is_not(tmp_path):
    runs = [run(tmp_path, "a"), run(tmp_path, "b", "optimizer.learning_rate=0.5")]
    assert gate(runs, ("optimizer.learning_rate",)) == []
    assert "optimizer.learning_rate" in refused(runs, ("optimizer.learning",))


def test_two_parts_of_other_names_differ_in_one_key(tmp_path):
    runs = [run(tmp_path, "a"), run(tmp_path, "b", "optimizer={name: adam, beta1: 0.8}")]
    (found,) = differences(runs, ("norm",))
    assert found.key == "optimizer.name"
    assert [value for value, _ in found.values] == ["sgd", "adam"]


def test_a_setting_that_only_some_runs_have_differs(tmp_path):
    runs = [run(tmp_path, "a"), run(tmp_path, "b", "optimizer.momentum=0.9")]
    (found,) = differences(runs)
    assert [value for value, _ in found.values] == ["absent", "0.9"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"threads": 2}, "environment.threads"),
        ({"versions": {"normlab": "2.0", "mxnet": "1.9.1"}}, "environment.versions.normlab"),
        ({"plugins": [{"file": "mine.py", "sha256": "b"}]}, "environment.plugins.mine.py"),
    ],
)
def test_other_threads_versions_or_plugin_files_are_refused(tmp_path, change, key):
    runs = [run(tmp_path, "a"), run(tmp_path, "b", "norm=none", environment={**ENVIRONMENT, **change})]
    assert key in refused(runs)
    assert gate(runs, ("norm",), (key,))


def test_other_data_are_refused(tmp_path):
    assert "data: d (" in refused([run(tmp_path, "a"), run(tmp_path, "b", data="e")])


def test_plugins_that_only_one_arm_needs_do_not_differ(tmp_path):
    other = {**ENVIRONMENT, "plugins": [{"file": "other.py", "sha256": "b"}]}
    assert gate([run(tmp_path, "a"), run(tmp_path, "b", environment=other)], ("norm",)) == []


def test_many_keys_are_counted(tmp_path):
    changes = ["training.batch_size=64", "training.steps=9", "evaluation.every=7", "hybridize=false"]
    lines = refused([run(tmp_path, "a"), run(tmp_path, "b", *changes)]).splitlines()
    assert lines[0].endswith("4 keys beside norm:")
    assert len(lines) == 6


def test_a_run_without_its_spec_is_told(tmp_path):
    found = run(tmp_path, "a")
    (tmp_path / "a" / "spec.yaml").unlink()
    with pytest.raises(StorageError, match=r"spec\.yaml"):
        gate([found, found], ("norm",))
