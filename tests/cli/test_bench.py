"""`normlab bench`: what methods cost, as a person and a program see it."""

from __future__ import annotations

import json

import pytest
from cli_tools import normlab

from normlab.backend.mxnet import mxnet
from normlab.cli.views import bench_view
from normlab.conformance.cost import WARM_UP, bytes_in_use, count_ticks, measure_costs
from normlab.conformance.cost_subjects import OPERATOR, MethodToMeasure
from normlab.norms.contract import Norm
from normlab.norms.ways import NormInitialize, NormLayer, NormResidual

SMALL = ["--rounds", "2", "--shape", "4,8", "--shape", "4,8,3,2"]

PLUGIN = '''
"""Methods to be measured."""
import time
from normlab.catalog.hookspecs import hookimpl
from normlab.norms.contract import Norm, NormLayer
from normlab.norms.ways import NormProject

class Slow(NormLayer):
    """Run with every step's Python code."""
    hybridizable = False

    def hybrid_forward(self, F, x):
        time.sleep(0.02)
        return F.identity(x)

class Unfit(NormLayer):
    """Give nonsense."""
    layouts = ("NC",)

    def hybrid_forward(self, F, x):
        return F.dot(x, F.ones((3, 3)))

class Clamp(NormProject):
    """Keep values in a range."""

    def __init__(self, bound: float):
        self.bound = bound

    def __call__(self, F, name, value):
        return F.clip(value, -self.bound, self.bound)

@hookimpl
def normlab_norms():
    yield Norm("slow", layer=Slow)
    yield Norm("unfit", layer=Unfit)
    yield Norm("clamp", project=Clamp)
'''


class Keeping(NormLayer):
    """Holds four arrays of the activations' size for the backward pass."""

    def __init__(self, **site):
        super().__init__(**site)
        self.affine()
        self.state("seen", "zeros", lambda channels: (channels, 3))

    def hybrid_forward(self, F, x, gamma, beta, seen):
        return F.exp(F.sin(F.exp(F.sin(x))))


class Joining(NormResidual):
    """The plain sum."""


class Starting(NormInitialize):
    """Nothing."""


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN, encoding="utf-8")
    return ["--plugin", str(file)]


def by_name(ended, index=0):
    return {cost["norm"]: cost for cost in json.loads(ended.out)["shapes"][index]["costs"]}


def test_every_figure_stands_beside_none_batch_and_the_operator(capsys):
    ended = normlab(capsys, "bench", "rms", *SMALL, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert [(shape["shape"], shape["layout"]) for shape in found["shapes"]] == [([4, 8], "NC"), ([4, 8, 3, 2], "NCHW")]
    assert found["rounds"] == 2
    assert found["environment"]["threads"] >= 1
    for index in range(2):
        rows = by_name(ended, index)
        assert list(rows) == [OPERATOR, "none", "batch", "rms"]
        assert {name: (row["parameters"], row["state"]) for name, row in rows.items()} == {
            OPERATOR: (16, 16), "none": (0, 0), "batch": (16, 16), "rms": (8, 0)
        }  # fmt: skip
        assert rows[OPERATOR]["ratio"] == 1
        assert all(min(row["forward_ms"], row["backward_ms"], row["ratio"]) > 0 for row in rows.values())


def test_pipe_gets_plain_aligned_columns(capsys):
    ended = normlab(capsys, "bench", "instance", "weight_norm", *SMALL)
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    first, second = ended.out.split("\nNCHW ")
    title, header, *rows = first.splitlines()
    assert title.startswith("NC (4, 8): float32, threads ")
    assert title.endswith("median of 2 rounds")
    assert header.split("  ")[0] == "method"
    assert [row.split("  ")[0] for row in rows[:4]] == [OPERATOR, "none", "batch", "weight_norm"]
    assert len({len(line) for line in (header, *rows[:4])}) == 1
    assert rows[4].startswith("instance (layer): InstanceNorm is not defined for layout NC; it is defined for NCHW")
    assert "instance (layer)" not in second
    assert ended.out.splitlines()[-1].startswith("memory: bytes that a step holds when it ends")


def test_terminal_gets_a_drawn_table(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    ended = normlab(capsys, "bench", "rms", "--rounds", "1", "--shape", "2,4")
    assert ended.status == 0
    assert "─" in ended.out
    assert "median of 1 round\n" in ended.out


def test_parameters_are_given_as_in_a_spec_and_shown(capsys):
    ended = normlab(capsys, "bench", "{name: group, groups: 2}", "{name: group, groups: 4}", *SMALL, "--json")
    assert list(by_name(ended))[3:] == ["group, groups: 2", "group, groups: 4"]
    assert all(cost["ratio"] for cost in by_name(ended).values())


def test_parameters_that_a_shape_refuses_cost_that_row_only(capsys):
    ended = normlab(capsys, "bench", "{name: group, groups: 3}", "layer", *SMALL, "--json")
    assert ended.status == 0
    refused = by_name(ended)["group, groups: 3"]
    assert "groups 3 does not divide the 8 channels" in refused["note"]
    assert refused["ratio"] is refused["forward_ms"] is refused["parameters"] is None
    assert by_name(ended)["layer"]["ratio"] > 0


def test_all_takes_every_method_once_and_those_named_as_they_are_named(capsys):
    ended = normlab(capsys, "bench", "--all", "{name: group, groups: 2}", "--rounds", "1", "--shape", "2,4", "--json")
    assert ended.status == 0
    names = [cost["norm"] for cost in json.loads(ended.out)["shapes"][0]["costs"]]
    assert names[:4] == [OPERATOR, "none", "batch", "group, groups: 2"]
    assert {"layer", "rms", "weight_norm", "agc"} <= set(names)
    assert "group" not in names
    assert names.count("batch") == 1
    assert not any(cost["broken"] for cost in by_name(ended).values())


def test_ways_around_the_optimizers_step_have_no_backward_pass(capsys):
    agc = by_name(normlab(capsys, "bench", "agc", *SMALL, "--json"))["agc"]
    assert (agc["way"], agc["backward_ms"], agc["parameters"], agc["note"]) == ("gradient", None, 0, "")
    assert agc["forward_ms"] > 0


def test_a_method_that_can_not_be_compiled_is_measured_and_told_of(capsys, plugin):
    slow = by_name(normlab(capsys, "bench", "slow", *plugin, *SMALL, "--json"))["slow"]
    assert slow["note"] == "not compiled: it cannot be traced"
    assert slow["forward_ms"] >= 20
    assert slow["ratio"] > 1


def test_a_method_that_fails_ends_with_4_and_leaves_the_others_their_figures(capsys, plugin):
    ended = normlab(capsys, "bench", "unfit", "none", *plugin, *SMALL, "--json")
    assert ended.status == 4
    on_rows, on_maps = (by_name(ended, index) for index in range(2))
    assert on_rows["unfit"]["broken"]
    assert on_rows["unfit"]["note"]
    assert on_rows["none"]["ratio"] > 0
    # to refuse a layout is no failure
    assert not on_maps["unfit"]["broken"]
    assert "not defined for layout NCHW" in on_maps["unfit"]["note"]


def test_parameters_without_default_are_asked_for(capsys, plugin):
    ended = normlab(capsys, "bench", "clamp", *plugin, *SMALL)
    assert ended.status == 2
    assert "bound: missing" in ended.err
    given = by_name(normlab(capsys, "bench", "{name: clamp, bound: 1.0}", *plugin, *SMALL, "--json"))
    assert given["clamp, bound: 1.0"]["way"] == "project"
    # with all, it is told of in its row
    every = by_name(normlab(capsys, "bench", "--all", *plugin, "--rounds", "1", "--shape", "2,4", "--json"))
    assert every["clamp"]["note"].startswith("bound: Field required")


def test_a_setting_reaches_every_method_that_has_it_and_what_is_named_wins(capsys):
    methods = ["group", "{name: group, groups: 4}", "rms"]
    ended = normlab(capsys, "bench", *methods, "-s", "groups=2", "-s", "epsilon=1e-3", *SMALL, "--json")
    assert list(by_name(ended))[1:] == [
        "none",
        "batch, epsilon: 0.001",
        "group, groups: 2, epsilon: 0.001",
        "group, groups: 4, epsilon: 0.001",
        "rms, epsilon: 0.001",
    ]
    assert all(cost["ratio"] for cost in by_name(ended).values())


def test_residual_and_initialize_ways_have_rows_of_their_own():
    norm = Norm("both", residual=Joining, initialize=Starting)
    calls = []
    _, on_rows, once = measure_costs([MethodToMeasure("both", norm, {})], (4, 8), 1, done=lambda: calls.append(1))
    assert (on_rows.way, on_rows.ratio) == ("residual", None)
    assert "NCHW" in on_rows.note
    assert (once.way, once.note) == ("initialize", "it acts once, before the first step")
    assert len(calls) == count_ticks([MethodToMeasure("both", norm, {})], 1) == 2 + WARM_UP + 1
    _, on_maps, _ = measure_costs([MethodToMeasure("both", norm, {})], (4, 8, 3, 2), 1)
    assert on_maps.ratio > 0


@pytest.mark.skipif(bytes_in_use() is None, reason="the C library does not count")
def test_memory_is_that_of_the_arrays_kept():
    shape = (64, 16, 32, 32)
    array = 4 * 64 * 16 * 32 * 32
    norms = [Norm("keeping", layer=Keeping)]
    operator, keeping = measure_costs([MethodToMeasure(norm.name, norm, {}) for norm in norms], shape, 1)
    # the operator keeps its output; the other the input of each backward operator too
    assert array <= operator.memory < 1.2 * array
    assert 4 * array <= keeping.memory < 4.5 * array
    assert (keeping.parameters, keeping.state) == (32, 48)


def test_bytes_of_an_array_are_counted_while_it_lives():
    before = bytes_in_use()
    if before is None:
        pytest.skip("the C library does not count")
    array = mxnet().nd.zeros((1000, 1000))
    held = bytes_in_use() - before
    del array
    assert abs(held - 4e6) < 1e5
    assert abs(bytes_in_use() - before) < 1e5


def test_the_usual_shapes_are_measured_where_none_is_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(bench_view, "measure_costs", lambda _, shape, rounds, **__: seen.append((shape, rounds)) or [])
    tables = bench_view.measure([], [], 7)
    assert seen == [((100, 100), 7), ((64, 16, 32, 32), 7), ((64, 64, 8, 8), 7)]
    assert [table.name for table in tables] == ["hidden layer of a perceptron", "early convolution", "late convolution"]


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "or give --all"),
        (["btach"], "did you mean 'batch'?"),
        (["{name: group, group: 2}"], "did you mean 'groups'?"),
        (["{name: group, groups: two}"], "expected a whole number"),
        (["{groups: 2}"], "missing"),
        (["[batch, none]"], "expected a name, or a mapping with 'name'"),
        (["{name: batch"], "{name: batch"),
        (["group", "-s", "grups=2"], "did you mean 'groups'?"),
        (["group", "-s", "groups"], "expected key=value"),
        (["group", "-s", "groups=two"], "expected a whole number"),
        (["batch", "--rounds", "0"], "0 is not in the range"),
        (["batch", "--shape", "4"], "'4' has 1 numbers; expected N,C or N,C,H,W"),
        (["batch", "--shape", "4,x"], "'4,x' is no shape"),
        (["batch", "--shape", "4,0"], "expected numbers above 0"),
        (["batch", "--shape", "100000,100000"], "at most 268435456 values"),
    ],
)
def test_mistakes_are_told_with_what_to_do(capsys, arguments, advice):
    ended = normlab(capsys, "bench", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert advice in ended.err
    assert 1 <= len(ended.err.splitlines()) <= 5


def test_plugin_that_is_not_there_is_told(capsys):
    ended = normlab(capsys, "bench", "batch", "--plugin", "no_such_file.py")
    assert (ended.status, ended.out) == (4, "")


def test_help_shows_examples_without_mxnet(capsys):
    ended = normlab(capsys, "bench", "--help")
    assert ended.status == 0
    assert "normlab bench layer rms" in ended.out
    assert "--shape N,C[,H,W]" in ended.out
