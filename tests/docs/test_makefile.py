"""`make run` and `make test` on machines of many kinds, with stand-ins for Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from cli_tools import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

TOOLS = ("sh", "echo", "touch", "rm", "cat", "mkdir", "chmod", "find")

#: A Python of a given version, with or without the modules that make environments. The environment that it makes
#: logs what is asked of it.
PYTHON = """#!/bin/sh
case "$*" in
    *sys.exit*) exit {unsuitable} ;;
    *ensurepip*) exit {bare} ;;
    *python%d.%d-venv*) echo "python{version}-venv" ;;
    --version) echo "Python {version}.0" ;;
    *"-m venv"*)
        mkdir -p .venv/bin
        echo "venv with {version}" >> log
        for name in python normlab ruff mypy lint-imports; do
            echo '#!/bin/sh' > .venv/bin/$name
            echo "echo $name \\"\\$@\\" >> log" >> .venv/bin/$name
            chmod +x .venv/bin/$name
        done ;;
esac
"""


class Machine:
    """A folder with the Makefile, and a PATH with nothing on it but what a test puts there."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "bin"
        self.path.mkdir()
        for name in TOOLS:
            (self.path / name).symlink_to(shutil.which(name))
        shutil.copy(ROOT / "Makefile", folder)
        for name in ("setup.cfg", "pyproject.toml"):
            (folder / name).touch()

    def add(self, name, version, *, suitable=True, bare=False):
        file = self.path / name
        text = PYTHON.format(version=version, unsuitable=int(not suitable), bare=int(bare))
        file.write_text(text, encoding="ascii")
        file.chmod(0o755)

    def make(self, *arguments):
        return subprocess.run(
            [shutil.which("make"), *arguments],
            cwd=self.folder, env={"PATH": str(self.path), "HOME": str(self.folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def log(self):
        """What was asked since the last look."""
        file = self.folder / "log"
        lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_run_makes_an_environment_installs_and_runs_the_main_experiment(machine):
    machine.add("python3.11", "3.11")
    done = machine.make("run")
    assert done.returncode == 0, done.stderr
    assert machine.log() == [
        "venv with 3.11",
        "python -m pip install --quiet --disable-pip-version-check --editable .",
        "python -c from normlab.backend.mxnet import mxnet; mxnet()",
        "normlab run configs/mnist_bn.yaml",
    ]


def test_second_run_installs_nothing(machine):
    machine.add("python3.11", "3.11")
    machine.make("run")
    machine.log()
    assert machine.make("run", "ARGS=--seed 1").returncode == 0
    assert machine.log() == ["normlab run configs/mnist_bn.yaml --seed 1"]


def test_changed_dependencies_are_installed(machine):
    machine.add("python3.11", "3.11")
    machine.make("run")
    machine.log()
    later = time.time() + 10
    os.utime(machine.folder / "setup.cfg", (later, later))
    machine.make("run")
    assert [line.split()[0] for line in machine.log()] == ["python", "python", "normlab"]


def test_test_installs_what_tests_need_and_runs_them(machine):
    machine.add("python3", "3.12")
    assert machine.make("test").returncode == 0
    log = machine.log()
    assert "python -m pip install --quiet --disable-pip-version-check --editable .[test]" in log
    assert log[-1].startswith("python -m pytest")


def test_lint_checks_style_and_types(machine):
    machine.add("python3", "3.9")
    assert machine.make("lint").returncode == 0
    assert machine.log()[-3:] == ["ruff check .", "mypy", "lint-imports"]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"python3.9": "3.9", "python3.12": "3.12", "python3.11": "3.11"}, "3.11"),
        ({"python3.9": "3.9", "python3.10": "3.10"}, "3.10"),
        ({"python3": "3.10"}, "3.10"),
    ],
)
def test_first_suitable_python_is_taken(machine, there, taken):
    for name, version in there.items():
        machine.add(name, version)
    machine.make("run")
    assert machine.log()[0] == f"venv with {taken}"


def test_python_that_does_not_run_or_is_of_another_version_is_passed_over(machine):
    machine.add("python3.11", "3.11", suitable=False)
    machine.add("python3.12", "3.12", bare=True)
    machine.add("python3", "3.10")
    machine.make("run")
    assert machine.log()[0] == "venv with 3.10"


@pytest.mark.parametrize("there", [[], [("python3", "3.13")]])
def test_without_suitable_python_it_says_which_serve_and_how_to_get_one(machine, there):
    for name, version in there:
        machine.add(name, version, suitable=False)
    done = machine.make("run")
    assert done.returncode != 0
    for text in ("3.9, 3.10, 3.11 or 3.12", "apt-get install python3.11-venv", "PYTHONS="):
        assert text in done.stderr
    assert not (machine.folder / ".venv").exists()


def test_python_without_venv_is_told_with_the_package_that_brings_it(machine):
    machine.add("python3.11", "3.11", bare=True)
    done = machine.make("run")
    assert done.returncode != 0
    assert "python3.11 is here, but it can't make environments" in done.stderr
    assert "apt-get install python3.11-venv" in done.stderr


def test_failed_installation_is_tried_again(machine):
    machine.add("python3.11", "3.11")
    machine.make("run")
    machine.make("clean")
    machine.add("python3.11", "3.11")
    failing = (machine.path / "python3.11").read_text(encoding="ascii").replace("echo $name", "exit 1; echo $name")
    (machine.path / "python3.11").write_text(failing, encoding="ascii")
    assert machine.make("run").returncode != 0
    assert not (machine.folder / ".venv" / ".installed").exists()


def test_libraries_that_the_system_lacks_are_told_by_the_doctor(machine):
    machine.add("python3.11", "3.11")
    assert machine.make(".venv/.made").returncode == 0
    python = machine.folder / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\ntest "$1" = -m\n', encoding="ascii")
    assert machine.make("run").returncode != 0
    assert machine.log()[-1] == "normlab doctor --quiet"
    assert not (machine.folder / ".venv" / ".installed").exists()


def test_clean_keeps_the_runs(machine):
    machine.add("python3.11", "3.11")
    machine.make("run")
    (machine.folder / "runs").mkdir()
    assert machine.make("clean").returncode == 0
    assert (machine.folder / "runs").exists()
    assert not (machine.folder / ".venv").exists()


def test_ci_runs_tests_checks_and_the_main_job():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("step make")] == [
        "step make test",
        "step make lint",
        "step make run",
    ]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
