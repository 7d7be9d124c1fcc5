"""Where plugins come from, in which order, and how to disable each source."""

from __future__ import annotations

import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest
from cli_tools import ROOT
from plugin_support import GOOD, HEAD, distribution, hook, method, site, write

from normlab import load_spec
from normlab.catalog import catalog
from normlab.catalog.discovery import BUILT_IN, _entry_points
from normlab.catalog.loading import HOOKS
from normlab.errors import PluginBroken, PluginDuplicate, SpecError

__all__ = ["site"]  # a fixture, which is used by name


def record_of(found, name):
    (record,) = [each for each in found.plugins if each.name == name]
    return record


def test_built_in_plugins_come_first_and_use_the_same_hooks():
    found = catalog()
    assert tuple(record.name for record in found.plugins)[: len(BUILT_IN)] == BUILT_IN
    batch = record_of(found, "normlab.norms.batch")
    assert (batch.hooks, batch.brings) == (("normlab_norms",), {"normlab_norms": ("batch",)})
    assert found.norms.get("batch").source == (batch.distribution, batch.version, batch.file)
    assert batch.file == str(ROOT / "normlab" / "norms" / "batch.py")


def test_every_built_in_plugin_is_usable():
    assert [(record.name, record.status, record.remark) for record in catalog().plugins if record.name in BUILT_IN] == [
        (name, "ok", "") for name in BUILT_IN
    ]


def test_every_hook_is_implemented_by_a_built_in_plugin():
    assert {hook for record in catalog().plugins for hook in record.hooks} == set(HOOKS)


def test_every_hook_of_one_plugin_is_called(site):
    more = """
def build(sites, shape, classes, *, depth: int = 1): ...
def load(*, folder: str): ...

@hookimpl
def normlab_models():
    yield Model("net", build)

@hookimpl
def normlab_datasets():
    yield DataSource("data", load)
"""
    distribution(site, "all", {"all_hooks": GOOD + more})
    found = catalog()
    brings = {"normlab_norms": ("wanted",), "normlab_models": ("net",), "normlab_datasets": ("data",)}
    assert record_of(found, "all_hooks").brings == brings
    source = ("all", "1.0", str(site / "all_hooks.py"))
    for shelf, name in ((found.norms, "wanted"), (found.models, "net"), (found.datasets, "data")):
        assert shelf.get(name).source == source


def test_installed_plugin_has_its_distribution_and_file(site):
    distribution(site, "normlab-mine", {"mine": GOOD}, version="2.3")
    found = catalog()
    assert found.norms.get("wanted").source == ("normlab-mine", "2.3", str(site / "mine.py"))
    assert record_of(found, "mine").status == "ok"
    assert found.pluggy.has_plugin("mine")


def test_package_without_hooks_is_loaded_as_separate_modules(site):
    modules = {
        "family/__init__": "'''A family.'''",
        "family/one": method("one"),
        "family/two": method("two"),
        "family/broken": "1 / 0",
        "family/helper": "ANSWER = 42",
        "family/_private": "1 / 0",
        "family/tests/__init__": "1 / 0",
    }
    distribution(site, "family", modules, {"family": "family"})
    found = catalog()
    mine = {record.name: record.status for record in found.plugins if record.distribution == "family"}
    assert mine == {"family.broken": "broken", "family.one": "ok", "family.two": "ok"}
    assert {"one", "two"} <= set(found.norms.entries)


def test_package_with_a_hook_is_one_plugin_and_its_modules_are_not_loaded(site):
    distribution(site, "package", {"package/__init__": GOOD, "package/script": "1 / 0"}, {"package": "package"})
    found = catalog()
    assert [record.name for record in found.plugins if record.distribution == "package"] == ["package"]
    assert "package.script" not in sys.modules


def test_empty_package_has_no_hook(site):
    distribution(site, "empty", {"empty/__init__": ""}, {"empty": "empty"})
    assert "has no hook" in record_of(catalog(), "empty").reason


@pytest.mark.parametrize("value", ["mine:hooks", "mine.", "../mine", "mine one"])
def test_entry_point_that_names_no_module_is_rejected(value, site):
    distribution(site, "mine", {"mine": GOOD}, {"mine": value})
    assert "not a module name; expected an entry point" in record_of(catalog(), value).reason


def test_damaged_entry_points_affect_only_their_distribution(site):
    distribution(site, "damaged", {}, "[normlab]\nno equals sign here\n")
    distribution(site, "unreadable", {}, "[normlab]\n")
    (site / "unreadable-1.0.dist-info" / "entry_points.txt").write_bytes(b"[normlab]\n\xff\xfe = x\n")
    distribution(site, "fine", {"fine_norm": method("fine")})
    found = catalog()
    assert "fine" in found.norms.entries
    assert [record.name for record in found.plugins if record.distribution == "damaged"] == [
        "entry_points.txt that can't be read"
    ]


def test_distribution_without_metadata_is_loaded(site):
    distribution(site, "bare", {"bare_norm": method("bare")})
    (site / "bare-1.0.dist-info" / "METADATA").unlink()
    assert catalog().norms.get("bare").source.file == str(site / "bare_norm.py")


def test_distribution_that_is_found_twice_is_loaded_once(site, tmp_path, monkeypatch):
    distribution(site, "mine", {"mine": GOOD}, version="1.0")
    old = tmp_path / "old"
    distribution(old, "mine", {"mine_of_old": GOOD}, version="0.9")
    monkeypatch.setattr(sys, "path", [*sys.path, str(old)])
    assert [record.version for record in catalog().plugins if record.distribution == "mine"] == ["1.0"]


def test_module_with_two_entry_points_is_loaded_once(site):
    distribution(site, "mine", {"mine": GOOD}, {"a": "mine", "b": "mine"})
    found = catalog()
    assert [record.status for record in found.plugins if record.distribution == "mine"] == ["ok", "duplicate"]
    assert found.norms.get("wanted").name == "wanted"


def test_name_that_two_distributions_register_is_an_error(site):
    for letter in "ab":
        distribution(site, f"dist-{letter}", {f"module_{letter}": GOOD + f"# {letter}"})
    found = catalog()
    taken = record_of(found, "module_b")
    assert taken.status == "duplicate"
    assert taken.reason == (
        f"norm 'wanted' is taken by dist-a 1.0 ({site / 'module_a.py'}); "
        "rename it, or disable the other in NORMLAB_PLUGINS"
    )
    with pytest.raises(
        PluginDuplicate, match=r"'wanted' is registered by two plugins, dist-a 1\.0 and dist-b 1\.0; un"
    ):
        found.norms.get("wanted")


def test_switch_decides_between_two_distributions_with_the_same_name(site, monkeypatch):
    for letter in "ab":
        distribution(site, f"dist-{letter}", {f"module_{letter}": GOOD + f"# {letter}"})
    monkeypatch.setenv("NORMLAB_PLUGINS", "dist-b")
    assert catalog().norms.get("wanted").source.distribution == "dist-b"


def test_plugin_with_one_taken_name_registers_nothing(site):
    distribution(site, "mine", {"mine": hook('yield from (Norm(name, layer=Wanted) for name in ("other", "none"))')})
    found = catalog()
    assert not {"other", "wanted"} & set(found.norms.entries)
    assert not found.pluggy.has_plugin("mine")
    with pytest.raises(PluginDuplicate, match=r"norm 'other' can't be used; plugin mine .*norm 'none' is taken"):
        found.norms.get("other")
    assert found.norms.get("none").source.distribution == "normlab"


@pytest.mark.parametrize("names", ["dist-one", "Dist_One", " dist.one , nothing-else", "point_one"])
def test_switch_names_distributions_or_entry_points(names, site, monkeypatch):
    distribution(site, "dist-one", {"one": method("one")}, {"point-one": "one"})
    distribution(site, "dist-two", {"two": method("two")}, {"point-two": "two"})
    monkeypatch.setenv("NORMLAB_PLUGINS", names)
    found = catalog()
    assert "one" in found.norms.entries
    assert "two" not in found.norms.entries
    assert record_of(found, "two").status == "disabled"
    assert "two" not in sys.modules
    missing = [record.told for record in found.plugins if record.status == "missing"]
    expected = "plugin nothing-else: NORMLAB_PLUGINS names it, but it is not installed"
    assert missing == ([expected] if "nothing-else" in names else [])


def test_switch_with_a_misspelt_name_suggests_the_correct_one(site, monkeypatch):
    distribution(site, "dist-one", {"one": method("one")})
    monkeypatch.setenv("NORMLAB_PLUGINS", "dist-onr")
    assert catalog().warnings == [
        "plugin dist-onr: NORMLAB_PLUGINS names it, but it is not installed; did you mean 'dist-one'?"
    ]


@pytest.mark.parametrize("how", ["empty switch", "option"])
def test_third_party_plugins_can_be_disabled(how, site, tmp_path, monkeypatch):
    distribution(site, "dist-one", {"one": method("one")})
    if how == "empty switch":
        monkeypatch.setenv("NORMLAB_PLUGINS", "")
    found = catalog([write(tmp_path / "file.py", GOOD)], third_party=how != "option")
    assert "one" not in found.norms.entries
    assert {"batch", "wanted"} <= set(found.norms.entries), "what is named is loaded all the same"
    assert found.warnings == []
    with pytest.raises(SpecError, match=r"unknown norm 'one'.*; 1 plugin is disabled; "):
        found.norms.get("one")


def test_plugins_of_normlab_can_not_be_disabled(site, monkeypatch):
    distribution(site, "normlab", {"shipped": method("shipped")}, version="0")
    monkeypatch.setenv("NORMLAB_PLUGINS", "")
    assert "shipped" in catalog(third_party=False).norms.entries


def test_file_named_by_different_paths_is_loaded_once(tmp_path, monkeypatch):
    file = write(tmp_path / "mine.py", GOOD)
    monkeypatch.chdir(tmp_path)
    found = catalog([file, "mine.py", "./mine.py", str(tmp_path / "." / "mine.py")])
    assert [record.name for record in found.plugins if record.explicit] == [file]
    found.require_explicit()


def test_file_of_an_installed_plugin_is_not_loaded_again(site):
    distribution(site, "mine", {"mine": GOOD})
    found = catalog([str(site / "mine.py")])
    record = record_of(found, "mine")
    assert (record.status, record.explicit) == ("ok", True)
    assert found.norms.get("wanted").source.distribution == "mine"


def test_file_with_the_name_of_an_installed_method_is_rejected_with_both_sources(site, tmp_path):
    distribution(site, "mine", {"mine": GOOD})
    file = write(tmp_path / "mine.py", GOOD)
    with pytest.raises(PluginDuplicate, match=rf"{file}: norm 'wanted' is taken by mine 1\.0 \(.*site/mine\.py\)"):
        catalog([file]).require_explicit()


def test_files_of_the_same_name_in_two_folders_are_two_plugins(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "mine.py", method(name))
    found = catalog([str(tmp_path / name / "mine.py") for name in ("one", "two")])
    assert {"one", "two"} <= set(found.norms.entries)


def test_edited_file_is_loaded_again_and_leaves_no_cache(tmp_path):
    file = write(tmp_path / "mine.py", method("first"))
    assert "first" in catalog([file]).norms.entries
    write(tmp_path / "mine.py", method("other"))
    assert "other" in catalog([file]).norms.entries
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_unchanged_file_gives_the_same_class(tmp_path):
    file = write(tmp_path / "mine.py", GOOD)
    first, second = (catalog([file]).norms.get("wanted").layer for _ in range(2))
    assert first is second
    assert import_module(first.__module__).Wanted is first


def test_nothing_is_imported_from_the_current_folder_unless_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.py", GOOD)
    assert "wanted" not in catalog().norms.entries


def test_plugins_of_a_spec_are_relative_to_that_spec(tmp_path, monkeypatch):
    (tmp_path / "study").mkdir()
    write(tmp_path / "study" / "mine.py", GOOD)
    spec = write(
        tmp_path / "study" / "a.yaml",
        "dataset: mnist\nmodel: mlp\noptimizer: sgd\ntraining: {steps: 1}\nnorm: wanted\nplugins: [mine.py]\n",
    )
    monkeypatch.chdir("/")
    found = catalog(load_spec(spec).plugins)
    found.require_explicit()
    assert found.norms.get("wanted").source.file == str(tmp_path / "study" / "mine.py")


def test_file_named_by_a_relative_path_has_its_absolute_path(tmp_path, monkeypatch):
    write(tmp_path / "mine.py", GOOD)
    monkeypatch.chdir(tmp_path)
    assert Path(catalog(["mine.py"]).norms.get("wanted").source.file) == tmp_path / "mine.py"


def test_file_without_a_hook_is_rejected(tmp_path):
    with pytest.raises(PluginBroken, match=f"has no hook; .*the hooks are {', '.join(HOOKS)}"):
        catalog([write(tmp_path / "mine.py", HEAD)]).require_explicit()


def test_function_with_a_name_like_a_hook_is_ignored(tmp_path):
    text = GOOD + "def normlab_version(): pass\nfrom normlab import load_spec as normlab_models\n"
    catalog([write(tmp_path / "mine.py", text)]).require_explicit()


def test_entry_points_are_those_that_importlib_metadata_reports():
    if sys.version_info < (3, 10):
        pytest.skip("before 3.10 Python reports distributions that are found twice twice")
    reported = {(point.name, point.value) for point in metadata.entry_points(group="normlab")}
    assert {(point.name, point.value) for point in _entry_points()} == reported
