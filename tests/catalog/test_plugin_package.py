"""A plugin package outside the repository, from `normlab new` and installation by pip to a run."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib import metadata

import pytest
from cli_tools import ROOT, environment

pytestmark = pytest.mark.timeout(600)


def _can_build():
    """Return whether setuptools can build wheels here without the network."""
    if importlib.util.find_spec("wheel") is not None:
        return True
    try:
        return tuple(int(part) for part in metadata.version("setuptools").split(".")[:2]) >= (70, 1)
    except metadata.PackageNotFoundError:
        return False


class Environment:
    """A virtual environment with all packages of this one, and those installed into it.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder):
        self.folder = folder
        self._variables = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
        self.run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        self.python = folder / "bin" / "python"
        (packages,) = folder.glob("lib/python*/site-packages")
        # the packages of this environment and this normlab follow on the path, so that pip needs no network
        others = [path for path in sys.path if path.endswith("-packages")]
        lines = [str(ROOT), *(f"import site; site.addsitedir({path!r})" for path in others)]
        (packages / "others.pth").write_text("\n".join(lines), encoding="utf-8")

    def run(self, command, **keywords):
        """Run a command that must succeed, and return its output."""
        done = subprocess.run(command, env=self._variables, capture_output=True, text=True, check=False, **keywords)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def normlab(self, *arguments, cwd):
        """Run normlab in this environment."""
        return self.run([self.python, "-m", "normlab", *map(str, arguments)], cwd=cwd)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment with an installed package that `normlab new` created, and the folder of the package."""
    if not _can_build():
        pytest.skip("needs setuptools >= 70.1, which makes wheels without fetching anything")
    here = tmp_path_factory.mktemp("author")
    fresh = Environment(tmp_path_factory.mktemp("environment") / "venv")
    fresh.normlab("new", "my_norm", "--package", cwd=here)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--no-cache-dir"]
    fresh.run([fresh.python, "-m", "pip", "install", "--quiet", *options, "./normlab-my-norm"], cwd=here)
    return fresh, here


def test_installed_package_is_discovered_and_listed(installed):
    fresh, here = installed
    (plugin,) = [
        each
        for each in json.loads(fresh.normlab("plugins", "--json", cwd=here))["plugins"]
        if each["distribution"] == "normlab-my-norm"
    ]
    assert (plugin["name"], plugin["version"], plugin["status"]) == ("normlab_my_norm", "0.1.0", "ok")
    assert plugin["file"].startswith(str(fresh.folder))
    assert "my_norm" in fresh.normlab("norms", cwd=here)


def test_installed_package_passes_normlab_check(installed):
    fresh, here = installed
    (norm,) = json.loads(fresh.normlab("check", "my_norm", "--json", cwd=here))["norms"]
    assert norm["good"]
    assert len(norm["outcomes"]) >= 24


def test_installed_package_passes_its_own_tests(installed):
    fresh, here = installed
    out = fresh.run([fresh.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "normlab-my-norm"], cwd=here)
    assert " passed" in out
    assert "failed" not in out


def test_installed_package_trains_by_its_name(installed):
    fresh, here = installed
    spec = ROOT / "configs" / "mnist_bn.yaml"
    settings = [
        "norm=my_norm",
        "training={steps: 4, batch_size: 16}",
        "evaluation.every=4",
        "dataset={name: synthetic, shape: [1, 4, 4], train: 64, validation: 16, test: 32}",
    ]
    options = [word for setting in settings for word in ("-s", setting)]
    result = json.loads(fresh.normlab("run", spec, *options, "--json", cwd=here))
    assert (result["status"], result["norm"]) == ("completed", "my_norm")
    plugins = json.loads((here / result["paths"]["environment"]).read_text(encoding="utf-8"))["plugins"]
    assert "normlab-my-norm" in {plugin["distribution"] for plugin in plugins}
