"""`benchmarks/guard.py`: its output and exit status when a part has become slower."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("guard")


def run(guard, monkeypatch, capsys, slower, *options):
    """Return exit status and output when one part is beyond its limit and the others are at theirs."""
    ratios = {part: limit * (1.01 if part == slower else 1) for part, limit in guard.LIMITS.items()}
    resnet20 = {part: ratio for part, ratio in ratios.items() if "ResNet" in part}
    main_job = {part: ratio for part, ratio in ratios.items() if "main job" in part}
    monkeypatch.setattr(guard, "_main_job", lambda _: main_job)
    monkeypatch.setattr(guard, "_resnet20", lambda _: resnet20)
    monkeypatch.setattr(guard, "_start", lambda: ratios["start"])
    monkeypatch.setattr(sys, "argv", ["guard.py", *options])
    return guard.main(), capsys.readouterr().out


def test_parts_at_their_limits_pass(guard, monkeypatch, capsys):
    status, output = run(guard, monkeypatch, capsys, None)
    assert status == 0
    assert "too slow" not in output


@pytest.mark.parametrize("part", ["start", "evaluation, main job", "training step, ResNet-20"])
def test_slower_part_fails(guard, monkeypatch, capsys, part):
    status, output = run(guard, monkeypatch, capsys, part)
    assert status == 1
    (line,) = [line for line in output.splitlines() if "too slow" in line]
    assert part in line
    status, output = run(guard, monkeypatch, capsys, part, "--json")
    assert (status, json.loads(output)["slow"]) == (1, [part])


def test_ratio_is_of_times_measured_in_turn(guard):
    assert guard._ratio(3, lambda: time.sleep(0.03), lambda: time.sleep(0.01)) == pytest.approx(3, rel=0.3)


def test_plain_program_learns(guard):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 300).astype(np.int32)
    images = rng.normal(size=(300, 784)).astype(np.float32)
    images[np.arange(300), labels] += 5
    order = np.stack([rng.permutation(300)[:100] for _ in range(60)]).astype(np.int32)
    plain = guard.of_main_job(images, labels, order)
    for step in range(60):
        plain.step(step)
    given = guard.mx.nd.array(images), guard.mx.nd.array(labels, dtype="float32")
    assert plain.accuracy(*given, by_batch=True) > 0.8
