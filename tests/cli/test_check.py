"""`normlab check`: what a person and a program see of it, and its exit status."""

from __future__ import annotations

import json
import re

import pytest
from cli_tools import normlab

from normlab.cli.app import Entry, root
from normlab.conformance import CHECKS

GOOD = '''
"""Divide by the root mean square."""
from normlab.catalog.hookspecs import hookimpl
from normlab.norms.contract import Norm, NormLayer

class Mine(NormLayer):
    """Divide each example by its root mean square.

    Args:
        epsilon: Added to the mean square.
    """
    def __init__(self, epsilon: float = 1e-5, **site):
        super().__init__(**site)
        self.epsilon = epsilon
        self.affine()

    def hybrid_forward(self, F, x, gamma, beta):
        rows = F.reshape(x, (0, 0, -1))
        y = F.broadcast_div(rows, F.sqrt(F.mean(F.square(rows), axis=(1, 2), keepdims=True) + self.epsilon))
        y = F.broadcast_mul(y, F.reshape(gamma, (1, -1, 1)))
        return F.reshape_like(F.broadcast_add(y, F.reshape(beta, (1, -1, 1))), x)

@hookimpl
def normlab_norms():
    yield Norm("mine", layer=Mine, title="Mine", formula="y = x / rms(x)")
'''
SPOILED = GOOD.replace("F.square(rows), axis=(1, 2)", "F.square(rows), axis=(0, 2)")
TALKING = GOOD.replace("        rows =", "        print('hello [red] world')\n        rows =")
QUICK = ["--only", "examples_are_independent", "--only", "keeps_shape_and_type"]


@pytest.fixture(autouse=True)
def command(monkeypatch):
    monkeypatch.setitem(root.entries, "check", Entry("normlab.cli.check:check", "Prove that methods are right"))
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_good_file_passes_everything_and_the_table_says_what_each_check_means(capsys, file):
    ended = normlab(capsys, "check", file(GOOD))
    assert (ended.status, ended.err) == (0, "")
    assert re.fullmatch(r"mine: \d\d passed in \d+\.\d seconds", ended.out.splitlines()[-1])
    assert "gradient_of_input" in ended.out
    assert "The gradient of the input agrees with finite differences" in ended.out
    assert "\x1b" not in ended.out


def test_spoiled_file_ends_with_4_and_the_table_says_why(capsys, file):
    ended = normlab(capsys, "check", file(SPOILED), *QUICK)
    assert ended.status == 4
    assert "declare depends_on_batch" in " ".join(ended.out.split())
    assert ended.out.splitlines()[-1].startswith("mine: 1 passed, 1 failed in ")


def test_json_holds_every_outcome_and_nothing_else_is_printed(capsys, file):
    ended = normlab(capsys, "check", file(SPOILED), "none", *QUICK, "--json")
    assert ended.status == 4
    mine, none = json.loads(ended.out)["norms"]
    assert (mine["name"], mine["good"], none["name"], none["good"]) == ("mine", False, "none", True)
    results = {outcome["check"]: outcome["result"] for outcome in mine["outcomes"]}
    assert results == {"keeps_shape_and_type": "passed", "examples_are_independent": "failed"}
    assert set(mine["outcomes"][0]) == {"check", "result", "meaning", "why", "seconds"}
    assert mine["outcomes"][0]["meaning"] == CHECKS["keeps_shape_and_type"].meaning


def test_of_several_methods_only_what_is_not_good_gets_a_table(capsys, file):
    ended = normlab(capsys, "check", "none", file(SPOILED), *QUICK)
    assert ended.status == 4
    assert ended.out.count("examples_are_independent") == 1
    assert "keeps_shape_and_type" not in ended.out
    assert [line.split(":")[0] for line in ended.out.splitlines()[-2:]] == ["none", "mine"]


def test_all_looks_at_every_method_that_is_installed(capsys):
    ended = normlab(capsys, "check", "--all", "--only", "tells_what_it_is", "--json")
    assert {"none", "batch"} <= {norm["name"] for norm in json.loads(ended.out)["norms"]}


def test_what_a_method_prints_reaches_the_screen_only_as_an_outcome(capsys, file):
    ended = normlab(capsys, "check", file(TALKING), "--only", "is_quiet", "--only", "repeats_itself")
    assert ended.status == 4
    assert ended.out.count("hello [red] world") == 1
    assert "it prints 'hello [red] world" in ended.out


def test_expected_failure_is_no_failure_and_shows_its_reason(capsys, file):
    expected = ["--xfail", "examples_are_independent=it is batch normalization"]
    ended = normlab(capsys, "check", file(SPOILED), *QUICK, *expected)
    assert ended.status == 0
    assert "it is batch normalization" in ended.out
    assert "1 passed, 1 expected failure" in ended.out


def test_expected_failure_that_passes_ends_with_4(capsys, file):
    ended = normlab(capsys, "check", file(GOOD), *QUICK, "--xfail", "keeps_shape_and_type=for a bet")
    assert ended.status == 4
    assert "unexpected pass" in ended.out
    assert "expected to fail: for a bet" in ended.out


@pytest.mark.parametrize(
    ("arguments", "status", "advice"),
    [
        ([], 2, "or give --all"),
        (["batch", "--all"], 2, "or give --all"),
        (["btach"], 2, "did you mean 'batch'?"),
        (["batch", "--only", "gradient_of_inputs"], 2, "did you mean 'gradient_of_input'?"),
        (["batch", "--xfail", "learns"], 2, "has no reason"),
        (["batch", "--xfail", "=why"], 2, "''"),
        (["batch", "--xfail", "lerns=why"], 2, "did you mean 'learns'?"),
        (["no_such_file.py"], 4, "no such file"),
    ],
)
def test_mistakes_are_told_with_what_to_do(capsys, arguments, status, advice):
    ended = normlab(capsys, "check", *arguments)
    assert (ended.status, ended.out) == (status, "")
    assert advice in ended.err
    assert 1 <= len(ended.err.splitlines()) <= 5


def test_file_without_a_norm_is_told(capsys, file):
    text = GOOD[: GOOD.index("@hookimpl")] + "@hookimpl\ndef normlab_models():\n    return []\n"
    ended = normlab(capsys, "check", file(text))
    assert ended.status == 4
    assert "mine.py" in ended.err
