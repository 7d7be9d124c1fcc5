from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import xml.dom.minidom as dom
from dataclasses import replace
from pathlib import Path

import pytest
from history_support import HEADER, RISING, curve
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.errors import StorageError
from normlab.report.figures.curves import accuracy_figure, write_accuracy_svg
from normlab.report.formatting import shortened, tags, title
from normlab.report.style import spread
from normlab.runs.history import Result


def texts(figure):
    import matplotlib.text  # noqa: PLC0415 - as normlab does: only where figures are drawn

    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def curves(figure):
    return [line for line in figure.axes[0].lines if len(line.get_xdata()) and line.get_label() != " "]


def svg(histories, path):
    write_accuracy_svg(histories, path)
    return path.read_text()


def test_plot_tells_what_it_shows():
    figure = accuracy_figure(curve(RISING))
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "accuracy")
    shown = texts(figure)
    assert {"mnist_bn", "norm batch, seed 3", "train", "test"} <= set(shown)
    assert {f"train {RISING[-1]:.4f}", f"test {RISING[-1] - 0.01:.4f}"} <= set(shown)


def test_plot_draws_the_numbers_of_the_history():
    one = curve(RISING)
    for line, split in zip(curves(accuracy_figure(one)), ("test", "train")):
        assert list(line.get_xdata()) == one.steps
        assert list(line.get_ydata()) == one.accuracy(split)


def test_curves_differ_without_colour(tmp_path):
    one = curve(RISING, replace(HEADER, splits=("train", "validation", "test")))
    assert len({line.get_marker() for line in curves(accuracy_figure(one))}) == 3
    dashes = re.findall(r"stroke-dasharray: ([0-9.,]+)", svg(one, tmp_path / "a.svg"))
    assert len(set(dashes)) == 2  # and the third is drawn through


def test_several_histories_differ_in_colour_and_marker_and_keep_the_dashes_of_the_split():
    several = [curve(RISING, replace(HEADER, label=f"norm{number}")) for number in range(20)]
    lines = curves(accuracy_figure(several))
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == 20
    assert {line.get_linestyle() for line in lines} == {"-", "--"}


def test_a_missing_accuracy_is_a_gap_and_its_neighbours_are_seen():
    one = curve([0.5, 0.6, None, 0.7, None, None, *[0.8] * 30, None])
    figure = accuracy_figure(one)
    line = curves(figure)[0]
    assert [index for index, value in enumerate(line.get_ydata()) if math.isnan(value)] == [2, 4, 5, 36]
    assert {3, 35} <= set(line.get_markevery())  # alone between gaps, and the last
    assert {"train missing", "test missing"} <= set(texts(figure))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_records_are_all_marked(count):
    line = curves(accuracy_figure(curve(RISING[:count])))[0]
    assert line.get_markevery() == list(range(count))


@pytest.mark.parametrize("values", [[], [None], [None] * 5])
def test_a_history_without_accuracy_says_so(values, tmp_path):
    assert "no accuracy was recorded" in texts(accuracy_figure(curve(values)))
    dom.parseString(svg(curve(values), tmp_path / "a.svg"))  # noqa: S318 - written by ourselves


@pytest.mark.parametrize(
    ("accuracies", "low", "high"),
    [
        (RISING, 0.80, 0.99),  # tight
        ([0.1, 0.5, 0.96], -0.03, 1.03),  # spans the scale: the whole of it
        ([0.1, 0.11, 0.13], 0.07, 0.15),
        ([0.9], 0.87, 0.92),  # never so tight that noise looks like progress
        ([1.0, 1.0], 0.97, 1.03),
        ([0.02, 0.01], -0.021, 0.031),
    ],
)
def test_accuracy_axis_is_tight_but_honest(accuracies, low, high):
    bottom, top = accuracy_figure(curve(accuracies)).axes[0].get_ylim()
    values = [value - shift for value in accuracies for shift in (0, 0.01)]
    assert low <= bottom < min(values)
    assert max(values) < top <= high
    assert top - bottom >= 0.02
    if high - low > 1:
        assert bottom <= 0
        assert top >= 1


def test_steps_begin_at_zero_and_end_with_the_last():
    axes = accuracy_figure(curve(RISING)).axes[0]
    assert axes.get_xlim() == pytest.approx((-20, 1020))
    ticks = [axes.xaxis.get_major_formatter()(tick, 0) for tick in axes.get_xticks() if 0 <= tick <= 1000]
    assert ticks == ["0", "200", "400", "600", "800", "1,000"]


def test_divergence_is_drawn_and_told():
    one = curve([*RISING[:5], None])
    result = Result("diverged", 110, 1, 1, 1, one.final(), one.best(), diverged_step=1110)
    figure = accuracy_figure(replace(one, result=result))
    assert "norm batch, seed 3, diverged at step 1,110" in texts(figure)
    assert [1110, 1110] in [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert figure.axes[0].get_xlim()[1] > 1110


def test_the_same_history_gives_the_same_bytes_in_every_process_and_setting(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from normlab.report.figures.curves import write_accuracy_svg\n"
        "from history_support import curve\n"
        "write_accuracy_svg(curve(), sys.argv[2])\n"
    )
    contents = []
    for number, own in enumerate(
        ["", "axes.linewidth: 4\nxtick.direction: in\nfont.family: serif\nsvg.fonttype: none\n"]
    ):
        (tmp_path / "matplotlibrc").write_text(own)
        environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "PYTHONHASHSEED": str(number)}
        path = tmp_path / f"{number}.svg"
        here = str(Path(__file__).parents[1])
        subprocess.run([sys.executable, "-c", script, here, str(path)], env=environment, check=True)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert b"dc:date" not in contents[0]


def test_drawing_needs_no_pyplot_and_warns_of_nothing(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from normlab.report.figures.curves import write_accuracy_svg\n"
        "from history_support import curve\n"
        "write_accuracy_svg(curve(), sys.argv[2])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    here = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-W", "error", "-c", script, here, str(tmp_path / "a.svg")], check=True)


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path):
    write_accuracy_svg(curve(), tmp_path / "a.svg")
    import matplotlib as mpl  # noqa: PLC0415 - as above

    with mpl.rc_context({"lines.linewidth": 7, "text.color": "red"}):
        before = dict(mpl.rcParams)
        write_accuracy_svg(curve(), tmp_path / "a.svg")
        assert dict(mpl.rcParams) == before


def test_svg_is_well_formed_and_has_no_empty_dash_pattern(tmp_path):
    text = svg(curve(RISING), tmp_path / "a.svg")
    document = dom.parseString(text)  # noqa: S318 - written by ourselves
    assert document.documentElement.tagName == "svg"
    assert not document.getElementsByTagName("text")  # letters are outlines: the same everywhere
    assert "stroke-dasharray: ;" not in text  # some viewers don't draw such a line at all
    assert document.getElementsByTagName("title")[0].firstChild.data == (
        "Accuracy against steps: mnist_bn, norm batch, seed 3"
    )
    assert len(text) < 100_000


HOSTILE = ["$x^2$", "$\\frac{1}{0}$", "_hidden", "</title><script>alert(1)</script>", "--><x/>", "a&b\"'", "中文 ✂"]


@pytest.mark.parametrize("name", [*HOSTILE, "new\nline", "bell\x07", "half \ud800", "x" * 500, ""])
def test_a_hostile_name_is_shown_as_it_is_and_does_nothing(tmp_path, name):
    header = replace(HEADER, name=name, label=name)
    for one in (curve(RISING, header), [curve(RISING, header), curve(RISING, replace(header, seed=1))]):
        document = dom.parseString(svg(one, tmp_path / "a.svg"))  # noqa: S318 - written by ourselves
        assert not document.getElementsByTagName("script")
        assert not document.getElementsByTagName("x")
        figure = accuracy_figure(one)
        assert any(shortened(name, 66) in text for text in texts(figure))
        assert not any(
            text.get_parse_math() for text in figure.findobj(lambda artist: hasattr(artist, "get_parse_math"))
        )


def test_labels_that_begin_with_an_underscore_stay_in_the_legend():
    several = [curve(RISING, replace(HEADER, label=label)) for label in ("_a", "_b")]
    legend = accuracy_figure(several).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_a", "_b", "test", "train"]


def pixel_boxes(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
    from matplotlib.text import Text  # noqa: PLC0415 - as above

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = figure.bbox
    axes = figure.axes[0]
    renderer = canvas.get_renderer()
    legend = [axes.get_legend().get_window_extent(renderer)]
    words = [*figure.texts, *axes.texts, axes.xaxis.label, axes.yaxis.label]  # without the lines that lead to them
    return page, legend + [Text.get_window_extent(text, renderer) for text in words]


@pytest.mark.parametrize(
    "labels", [["batch"], ["weight_standardization+group(groups=8, epsilon=0.001)+agc"] * 3, [*map(str, range(14))]]
)
@pytest.mark.parametrize("name", ["mnist", "W" * 64])
def test_nothing_runs_out_of_the_page_or_over_another(labels, name):
    several = [
        curve([value - 0.0001 * number for value in RISING], replace(HEADER, name=name, label=label, seed=number))
        for number, label in enumerate(labels)
    ]
    page, boxes = pixel_boxes(accuracy_figure(several))
    for number, box in enumerate(boxes):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
        for other in boxes[:number]:
            assert not box.overlaps(other)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no history to draw"):
        accuracy_figure([])


def test_a_folder_that_is_absent_is_told(tmp_path):
    with pytest.raises(StorageError, match=r"absent/a\.svg: can't write: no such file"):
        write_accuracy_svg(curve(RISING), tmp_path / "absent" / "a.svg")


def test_titles_say_what_is_common():
    two = [curve([0.5], replace(HEADER, label=label)) for label in ("batch", "none")]
    assert title(two) == ("mnist_bn", "2 norms, seed 3")
    assert tags(two) == ["batch", "none"]
    seeds = [curve([0.5], replace(HEADER, seed=seed)) for seed in (0, 1, 2)]
    assert title(seeds) == ("mnist_bn", "norm batch, 3 seeds")
    assert tags(seeds) == ["batch s0", "batch s1", "batch s2"]
    others = [curve([0.5], replace(HEADER, name=name)) for name in ("a", "b", "c")]
    assert title(others) == ("3 experiments", "norm batch, seed 3")
    assert title(others[:2])[0] == "a, b"
    diverged = replace(others[0], result=Result("diverged", 1, 1, 1, 1, {}, {}))
    assert title([diverged, others[1]])[1] == "norm batch, seed 3, 1 of 2 diverged"
    assert title([diverged])[1] == "norm batch, seed 3, diverged"


def test_a_long_text_loses_its_middle():
    assert shortened("abcdefghijklmnop", 11) == "abcd … mnop"
    assert shortened("abcdefghijk", 11) == "abcdefghijk"
    assert shortened("a\nb", 11) == "a?b"


@settings(deadline=None)  # a shared machine is slow at times
@given(st.lists(st.floats(0, 1), max_size=12))
def test_labels_are_moved_apart_in_their_order_and_no_further_than_needed(wanted):
    gap = 0.05
    places = spread(wanted, gap, 0, 1)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for before, after in zip(order, order[1:]):
        assert places[after] - places[before] >= gap - 1e-9
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    apart = sorted(wanted)
    if all(after - before >= gap for before, after in zip(apart, apart[1:])):
        assert places == pytest.approx(wanted)


def test_two_labels_that_meet_are_moved_equally():
    assert spread([0.5, 0.5, 0.9], 0.1, 0, 1) == pytest.approx([0.45, 0.55, 0.9])
    assert spread([0.99, 1.0], 0.1, 0, 1) == pytest.approx([0.9, 1.0])
