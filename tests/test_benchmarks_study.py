"""`benchmarks/study.py`: what it runs, and what it tells."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("study")


def test_rates_are_told_beside_each_other(study, monkeypatch, capsys):
    commands = []

    def run(command, **options):
        commands.append(command)
        alone = "--jobs" in command and command[command.index("--jobs") + 1] == "1"
        time.sleep(0.6 if alone else 0.3)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(study.machine, "describe", lambda: "a machine")
    monkeypatch.setattr(sys, "argv", ["study.py", "--seeds", "2", "--env", "torch=/some/python"])
    assert study.main() == 0
    assert [command[command.index("--jobs") + 1] for command in commands[:2]] == ["2", "1"]
    seeds = sorted(int(command[command.index("--seed") + 1]) for command in commands[2:])
    assert seeds == list(range(16))  # as many networks as the study has runs
    lines = capsys.readouterr().out.splitlines()
    ratios = [float(line.split("|")[3]) for line in lines if line.startswith(("| normlab", "| torch"))]
    assert ratios[0] == 1
    assert ratios[1] == pytest.approx(2, rel=0.4)
