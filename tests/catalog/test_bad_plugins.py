"""Each error in a plugin gives one line, and affects only that plugin."""

from __future__ import annotations

import json

import pytest
from cli_tools import ROOT, normlab, process
from plugin_support import BAD, GOOD, distribution, method, site, write

from normlab.catalog import catalog
from normlab.errors import (
    ExitStatus,
    PluginBroken,
    PluginDuplicate,
    PluginError,
    PluginIncompatible,
    PluginMissing,
    SpecError,
)

__all__ = ["site"]  # a fixture, which is used by name

ERRORS = {"broken": PluginBroken, "duplicate": PluginDuplicate, "incompatible": PluginIncompatible}

each_bad_plugin = pytest.mark.parametrize("label", BAD)


def only_record(found, **attributes):
    """Return the only record with these attributes."""
    (record,) = [each for each in found.plugins if attributes.items() <= vars(each).items()]
    return record


@each_bad_plugin
def test_bad_file_is_rejected_with_its_reason_and_others_still_load(label, tmp_path, site):
    bad, file = BAD[label], write(tmp_path / f"{label}.py", BAD[label].text)
    distribution(site, "fine", {"fine_norm": method("fine")})
    found = catalog([file])
    record = only_record(found, explicit=True)
    assert record.status == bad.status
    with pytest.raises(ERRORS[bad.status], match=bad.reason) as refused:
        found.require_explicit()
    assert str(refused.value) == f"plugin {file}: {record.reason}"
    assert str(refused.value).isprintable()
    assert {"none", "batch", "fine"} <= set(found.norms.entries)
    assert "wanted" not in found.norms.entries
    assert not {"net", "data"} & {*found.models.entries, *found.datasets.entries}


@each_bad_plugin
def test_bad_distribution_is_reported_on_one_line_and_others_still_load(label, site):
    bad, module = BAD[label], f"bad_{label}"
    distribution(site, "normlab-bad", {module: bad.text})
    distribution(site, "fine", {"fine_norm": method("fine")})
    found = catalog()
    record = only_record(found, name=module)
    assert (record.distribution, record.version, record.status) == ("normlab-bad", "1.0", bad.status)
    assert record.file == str(site / f"{module}.py")
    assert found.warnings == [f"plugin {module} (normlab-bad 1.0): {record.reason}"]
    found.require_explicit()
    assert {"none", "batch", "fine"} <= set(found.norms.entries)
    assert "wanted" not in found.norms.entries


@pytest.mark.parametrize("label", [label for label, bad in BAD.items() if bad.brings])
def test_naming_an_entry_of_a_bad_distribution_is_an_error_with_the_reason(label, site):
    bad = BAD[label]
    distribution(site, "normlab-bad", {f"bad_{label}": bad.text})
    with pytest.raises(ERRORS[bad.status], match=bad.reason) as refused:
        catalog().norms.get("wanted")
    assert refused.value.status == ExitStatus.PLUGIN
    assert str(refused.value).startswith(f"norm 'wanted' can't be used; plugin bad_{label} (normlab-bad 1.0): ")


def test_bad_distributions_do_not_change_the_output_of_commands(site, tmp_path):
    for label, bad in BAD.items():
        distribution(site, f"bad-{label}", {f"bad_{label}": bad.text})
    before = process("norms", cwd=tmp_path, NORMLAB_PLUGINS="")
    after = process("norms", cwd=tmp_path, PYTHONPATH=f"{ROOT}:{site}")
    assert (after.status, after.out) == (0, before.out)
    lines = after.err.splitlines()
    assert len(lines) == len(BAD)
    assert all(line.startswith("warning: plugin bad_") for line in lines)
    listed = process("plugins", "--json", cwd=tmp_path, PYTHONPATH=f"{ROOT}:{site}")
    assert (listed.status, listed.err) == (0, "")
    found = {each["name"]: each["status"] for each in json.loads(listed.out)["plugins"]}
    assert {label: found[f"bad_{label}"] for label in BAD} == {label: bad.status for label, bad in BAD.items()}


def test_missing_file_is_rejected(tmp_path):
    found = catalog([str(tmp_path / "nothing.py")])
    with pytest.raises(PluginMissing, match=r"nothing\.py: no such file; check the path"):
        found.require_explicit()


@pytest.mark.parametrize("name", ["folder.py", "text.txt"])
def test_other_than_python_files_are_rejected(name, tmp_path):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text.txt").touch()
    with pytest.raises(PluginBroken, match="not a Python file; expected a name that ends in"):
        catalog([str(tmp_path / name)]).require_explicit()


def test_several_bad_files_are_reported_together(tmp_path):
    files = [write(tmp_path / f"{name}.py", f"raise ValueError('{name}')") for name in ("one", "two")]
    with pytest.raises(PluginError) as refused:
        catalog(files).require_explicit()
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [f"plugin {file}" for file in files]


def test_unknown_name_may_come_from_a_missing_module(site):
    distribution(site, "lost", {}, {"lost": "lost_module"})
    found = catalog()
    with pytest.raises(
        PluginBroken, match=r"unknown norm 'wanted'; .*may provide it:\nplugin lost_module \(lost 1\.0\)"
    ):
        found.norms.get("wanted")
    with pytest.raises(SpecError, match="did you mean 'batch'"):
        found.norms.get("bacth")


def test_broken_plugin_with_readable_source_is_not_blamed_for_other_names(site):
    distribution(site, "bad", {"bad_module": "raise ValueError\n" + GOOD})
    with pytest.raises(SpecError, match="unknown norm 'something_else'; `normlab norms` lists them"):
        catalog().norms.get("something_else")


def test_similar_name_does_not_hide_a_broken_plugin(site):
    distribution(site, "bad", {"bad_module": "raise ValueError\n" + method("batch2")})
    with pytest.raises(PluginBroken, match="norm 'batch2' can't be used; plugin bad_module"):
        catalog().norms.get("batch2")


def test_names_of_a_broken_package_are_searched_in_all_its_files(site):
    distribution(site, "bad", {"bad_pkg/__init__": "1 / 0", "bad_pkg/inner": GOOD}, {"bad": "bad_pkg"})
    with pytest.raises(PluginBroken, match=r"norm 'wanted' can't be used; plugin bad_pkg \(bad 1\.0\): .*ZeroDivision"):
        catalog().norms.get("wanted")


def test_run_with_a_norm_of_a_broken_plugin_exits_with_4_before_it_writes_anything(capsys, site, tmp_path):
    distribution(site, "bad", {"bad_module": BAD["hook_raises"].text})
    spec = write(tmp_path / "a.yaml", SPEC + "norm: wanted\n")
    ended = normlab(capsys, "run", spec, "--out", str(tmp_path / "runs"))
    assert (ended.status, ended.out) == (4, "")
    reason = "norm 'wanted' can't be used; plugin bad_module (bad 1.0): normlab_norms fails: "
    assert ended.err.splitlines()[-1].startswith(reason)
    assert not (tmp_path / "runs").exists()


def test_run_is_unaffected_by_bad_plugins_and_warns_about_each(capsys, site, tmp_path):
    spec = write(tmp_path / "a.yaml", SPEC)
    alone = json.loads(normlab(capsys, "run", spec, "--out", str(tmp_path / "alone"), "--json").out)
    for label in ("exits", "misspelt_hook", "no_type"):
        distribution(site, f"bad-{label}", {f"bad_{label}": BAD[label].text})
    ended = normlab(capsys, "run", spec, "--out", str(tmp_path / "beside"), "--json")
    assert ended.status == 0
    assert json.loads(ended.out)["parameters_digest"] == alone["parameters_digest"]
    assert len(ended.err.splitlines()) == 3
    assert all(line.startswith("warning: plugin bad_") for line in ended.err.splitlines())


def test_interrupt_during_the_import_of_a_plugin_is_passed_on(tmp_path):
    file = write(tmp_path / "slow.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        catalog([file])


SPEC = """
dataset: {name: synthetic, shape: [4], train: 32, validation: 8, test: 8}
model: {name: mlp, hidden: [4]}
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 2, batch_size: 8}
"""
