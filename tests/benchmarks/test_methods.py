"""`benchmarks/methods.py`: its measurements and its table."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def methods(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("methods")


def test_every_method_of_the_catalogue_is_measured_and_groups_fit(methods):
    asked = {each.label: each for each in methods.every_method()}
    assert asked.keys() >= {"none", "batch", "group", "rms", "weight_norm", "agc", "layer:over=channels"}
    assert asked["group"].parameters == {"groups": 4}
    assert asked["batch"].parameters == {}
    assert asked["layer:over=channels"].parameters == {"over": "channels"}


def test_a_process_prints_each_way_with_its_ratio_and_costliest_operator():
    options = ["--one-process", "--shapes", "4x16x8x8", "--rounds", "1", "--norms", "rms,agc"]
    command = [sys.executable, str(BENCHMARKS / "methods.py"), *options]
    done = subprocess.run(command, cwd=BENCHMARKS.parent, capture_output=True, text=True, check=True)
    rows = {(row["norm"], row["way"]): row for row in json.loads(done.stdout)["shapes"]["4x16x8x8"]}
    assert rows["BatchNorm of MXNet", "operator"]["ratio"] == 1
    assert rows["rms", "layer"]["ratio"] > 0
    assert rows["rms", "layer"]["operator"].endswith(" %")
    assert rows["agc", "gradient"]["ms"] > 0
    # MXNet's profiler deletes its output file first
    assert Path(os.devnull).is_char_device()


def test_the_largest_operator_is_named_with_its_share(methods):
    figures = {"_backward_Convolution": {"Total": 3.0}, "elemwise_mul": {"Total": 1.0}}
    assert methods.largest({"Time": {"operator": figures}}) == "Convolution, backwards, 75 %"
    assert methods.largest({"Time": {}}) == ""


def run(ms, ratio):
    row = {"norm": "rms", "way": "layer", "ratio": ratio, "note": "", "operator": "Convolution, 43 %", "ms": ms}
    refused = {"norm": "ibn", "way": "layer", "ratio": None, "note": "no | here", "operator": ""}
    return {"framework": "MXNet 1.9.1", "shapes": {"2x3": [row, refused]}}


@pytest.mark.parametrize(("peer", "cells"), [(1.0, "1.00 | 5.00 | Convolution, 43 %"), (4.0, "4.00 | 1.25 | ")])
def test_the_table_names_the_operator_where_torch_is_much_faster(methods, peer, cells):
    torch = {"framework": "torch 2", "milliseconds": {"2x3": {"rms": peer}}}
    lines = methods.report({"normlab": [run(4.0, 1.5), run(5.0, 1.7), run(6.0, 1.6)], "torch": [torch] * 3})
    assert "### 2 x 3" in lines
    assert f"| rms | layer | 5.00 | 1.60 | {cells} |" in lines
    assert "| ibn | layer | | | | | no / here |" in lines
    assert lines[-1] == "Versions: MXNet 1.9.1; torch 2"


def test_without_torch_its_columns_are_empty(methods):
    assert "| rms | layer | 4.00 | 1.50 |  |  |  |" in methods.report({"normlab": [run(4.0, 1.5)]})


def test_the_peer_names_methods_of_the_catalogue(methods):
    tree = ast.parse((BENCHMARKS / "peers" / "torch_methods.py").read_text())
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert found >= {"batch", "group", "layer:over=channels", "rms", "weight_norm", "frn", "simple_norm"}
    assert found & {each.label for each in methods.every_method()}
