"""`benchmarks/study.py`: the commands that it runs, and its table."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("study")


def test_rates_are_compared_with_each_other(study, monkeypatch, capsys):
    clock = [0.0]
    commands, threads, products = [], [], []

    def run(command, **options):
        count = options["env"].get("OMP_NUM_THREADS")
        if command[-1].endswith("matrix_peak.py"):
            products.append(count)
            return subprocess.CompletedProcess(command, 0, json.dumps({"gflops": 90 if count == "2" else 60}))
        commands.append(command)
        threads.append(count)
        alone = "--jobs" in command and command[command.index("--jobs") + 1] == "1"
        clock[0] += 0.6 if alone else 0.3
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(study, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(study.machine, "describe", lambda: "a machine")
    monkeypatch.setattr(sys, "argv", ["study.py", "--seeds", "2", "--env", "torch=/some/python"])
    assert study.main() == 0
    assert [command[command.index("--jobs") + 1] for command in commands[:3]] == ["2", "1", "1"]
    assert threads == [None, "1", None, *["1"] * 16]
    seeds = sorted(int(command[command.index("--seed") + 1]) for command in commands[3:])
    assert seeds == list(range(16))  # as many networks as the study has runs
    assert sorted(products) == ["1"] * 15 + ["2"] * 5
    lines = capsys.readouterr().out.splitlines()
    ratios = [float(line.split("|")[3]) for line in lines if line.startswith(("| normlab", "| the same", "| torch"))]
    assert ratios[:3] == [1, 2, 2]
    assert lines[-1].endswith("120 GFLOP/s together, 2.00 times one process of one thread, 1.33 times one of 2 threads")
