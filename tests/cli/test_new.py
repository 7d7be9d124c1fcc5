"""`normlab new`: what it writes works, and it harms nothing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from cli_tools import ROOT, environment, normlab
from plugin_support import site

from normlab.catalog import catalog
from normlab.cli.new import WAYS

__all__ = ["site"]  # a fixture is used by its name alone

MOST_LINES = 45
SETTINGS = [
    "-s", "norm=my_norm", "-s", "training={steps: 4, batch_size: 16}", "-s", "evaluation.every=4",
    "-s", "dataset={name: synthetic, shape: [1, 4, 4], train: 64, validation: 16, test: 32}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_what_it_writes_is_a_plugin_of_that_way_in_few_lines(way, capsys, here):
    ended = normlab(capsys, "new", "my_norm", "--way", way)
    assert (ended.status, ended.err) == (0, "")
    text = (here / "my_norm.py").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    found = catalog(["my_norm.py"])
    found.require_explicit()
    norm = found.norms.get("my_norm")
    assert norm.ways == (way,)
    assert norm.factories[0].__name__ == "MyNorm"
    assert [record.remark for record in found.plugins if record.explicit] == [""]
    assert [path.name for path in here.iterdir()] == ["my_norm.py"]


@pytest.mark.parametrize("way", WAYS)
def test_what_it_writes_passes_the_check_unchanged(way, capsys):
    normlab(capsys, "new", "my_norm", "--way", way)
    ended = normlab(capsys, "check", "my_norm.py", "--json")
    (norm,) = json.loads(ended.out)["norms"]
    assert [each for each in norm["outcomes"] if each["result"] != "passed"] == []
    assert ended.status == 0


@pytest.mark.parametrize("way", WAYS)
def test_what_it_writes_trains_in_the_main_experiment(way, capsys, here):
    normlab(capsys, "new", "my_norm", "--way", way)
    spec = str(ROOT / "configs" / "mnist_bn.yaml")
    ended = normlab(capsys, "run", spec, "--plugin", "my_norm.py", *SETTINGS, "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out)["status"] == "completed"


def test_default_acts_as_a_layer(capsys):
    normlab(capsys, "new", "my_norm")
    assert catalog(["my_norm.py"]).norms.get("my_norm").ways == ("layer",)


def test_it_prints_the_next_commands(capsys):
    assert normlab(capsys, "new", "my_norm").out == (
        "wrote my_norm.py: a method that works; change it into yours\n"
        "next:\n"
        "  normlab check my_norm.py\n"
        "  normlab run configs/mnist_bn.yaml --plugin my_norm.py -s norm=my_norm\n"
    )


@pytest.mark.parametrize(
    ("name", "class_name"), [("a", "A"), ("norm", "NormMethod"), ("norm_layer", "NormLayerMethod"), ("x2__y_", "X2Y")]
)
def test_name_of_the_class_is_made_from_the_name_and_hides_nothing(name, class_name, capsys, here):
    assert normlab(capsys, "new", name).status == 0
    body = ast.parse((here / f"{name}.py").read_text()).body
    assert [node.name for node in body if isinstance(node, ast.ClassDef)] == [class_name]
    catalog([f"{name}.py"]).require_explicit()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "My-Norm",
            "is not a valid name; expected lower-case letters, digits and '_', at most 40; did you mean 'my_norm'",
        ),
        ("../evil", "'../evil' is not a valid name; .*did you mean 'evil'"),
        ("a/b", "is not a valid name"),
        ("/etc/x", "is not a valid name"),
        ("", "'' is not a valid name"),
        ("7up", "is not a valid name"),
        ("n" * 41, "is not a valid name"),
        ("x\ny", "is not a valid name"),
        ("batch", "norm 'batch' exists already, in normlab .*; choose another name"),
        ("none", "norm 'none' exists already"),
        ("lambda", "'lambda' has a meaning of its own in Python; choose another name"),
        ("true", "'true' has a meaning of its own in YAML; choose another name"),
        ("random", r"random\.py: would hide the installed Python module 'random'; choose another name"),
        ("numpy", r"numpy\.py: would hide the installed Python module 'numpy'"),
    ],
)
def test_name_that_can_not_be_used_is_refused(name, message, capsys, here):
    ended = normlab(capsys, "new", name)
    assert (ended.status, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert re.search(message, ended.err)
    assert not any(here.iterdir())


@pytest.mark.parametrize("option", [[], ["--package"]])
def test_nothing_is_overwritten(option, capsys, here):
    target = here / ("normlab-my-norm" if option else "my_norm.py")
    target.write_text("mine")
    ended = normlab(capsys, "new", "my_norm", *option)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"{target.name}: exists already and is not overwritten; choose another name, or move it away\n"
    assert target.read_text() == "mine"


def test_link_to_nothing_is_not_written_through(capsys, here):
    (here / "my_norm.py").symlink_to(here / "elsewhere.py")
    assert normlab(capsys, "new", "my_norm").status == 2
    assert not (here / "elsewhere.py").exists()


@pytest.mark.parametrize("option", [[], ["--package"]])
def test_it_can_go_into_another_folder(option, capsys, here):
    ended = normlab(capsys, "new", "my_norm", "--out", "a/b", *option)
    assert ended.status == 0
    written = "a/b/normlab-my-norm" if option else "a/b/my_norm.py"
    assert ended.out.startswith(f"wrote {written}: ")
    assert (here / written).exists()


def test_folder_that_is_a_file_is_told(capsys, here):
    (here / "a").touch()
    ended = normlab(capsys, "new", "my_norm", "--out", "a")
    assert (ended.status, ended.out) == (6, "")
    assert "a/my_norm.py: can't write: " in ended.err


@pytest.mark.parametrize("fails_at", range(5))
def test_package_that_can_not_be_finished_leaves_nothing(fails_at, capsys, here, monkeypatch):
    opened, really = [], Path.open

    def full(path, mode="r", *arguments, **keywords):
        if mode == "x":
            opened.append(path)
            if len(opened) > fails_at:
                raise OSError(28, "No space left on device")
        return really(path, mode, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", full)
    ended = normlab(capsys, "new", "my_norm", "--package")
    assert ended.status == 6
    assert "no space left on device" in ended.err
    assert not any(here.iterdir())


def test_package_has_an_entry_point_tests_and_a_page(capsys, here):
    ended = normlab(capsys, "new", "my_norm", "--package")
    assert ended.status == 0
    folder = here / "normlab-my-norm"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "README.md", "pyproject.toml", "setup.cfg", "src/normlab_my_norm.py", "tests/test_my_norm.py",
    ]  # fmt: skip
    settings = ConfigParser()
    settings.read(folder / "setup.cfg")
    assert settings["metadata"]["name"] == "normlab-my-norm"
    assert settings["options.entry_points"]["normlab"].split() == ["my_norm", "=", "normlab_my_norm"]
    catalog([str(folder / "src" / "normlab_my_norm.py")]).require_explicit()
    assert "parametrize_with_checks" in (folder / "tests" / "test_my_norm.py").read_text()
    assert "$ normlab check my_norm" in (folder / "README.md").read_text()
    assert "  pip install -e './normlab-my-norm[test]'\n" in ended.out


@pytest.mark.parametrize("way", WAYS)
def test_package_can_be_of_every_way(way, capsys, here):
    normlab(capsys, "new", "my_norm", "--package", "--way", way)
    found = catalog([str(here / "normlab-my-norm" / "src" / "normlab_my_norm.py")])
    assert found.norms.get("my_norm").ways == (way,)


def test_package_of_a_module_that_is_installed_is_refused(capsys, site):
    (site / "normlab_my_norm.py").touch()
    ended = normlab(capsys, "new", "my_norm", "--package")
    assert ended.status == 2
    assert "would hide the installed Python module 'normlab_my_norm'" in ended.err


def test_new_does_not_load_mxnet(here):
    text = "import sys; from normlab.cli.process import perform; perform(['new', 'x9']); print('mxnet' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=here, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
