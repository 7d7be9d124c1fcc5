"""Run the command line in this process or in a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from normlab.cli.process import perform

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parent.parent


class Ended(NamedTuple):
    """The exit status and output of a command."""

    status: int
    out: str
    err: str


class Ready:
    """An entry of a lazy group that needs no import."""

    summary = "made by a test"

    def __init__(self, function):
        self.command = click.command()(function)

    def load(self):
        return self.command


def normlab(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run a command in this process, which is fast and measured by coverage."""
    capsys.readouterr()
    status = perform([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return Ended(status, out, err)


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a process that finds this normlab, without settings of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NORMLAB", "_NORMLAB"))}
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **changes}


def process(*arguments: str, cwd: Path | None = None, **changes: str) -> Ended:
    """Run `python -m normlab` in a new process, with these changes to its environment."""
    command = [sys.executable, "-m", "normlab", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment(**changes), capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def program(text: str, **keywords: object) -> subprocess.Popen[str]:
    """Start a Python program that may import normlab and this module."""
    env = environment(PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    return subprocess.Popen([sys.executable, "-c", text], env=env, text=True, **keywords)
