from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.dom.minidom as dom
from html.parser import HTMLParser
from pathlib import Path

import pytest
from judging_support import arm, question, run, stored, study, trials
from PIL import Image

from normlab.errors import StorageError
from normlab.report.figures.arm_curves import curve, curves_figure, looks
from normlab.report.figures.differences import differences_figure
from normlab.report.figures.drawing import Drawing, draw
from normlab.report.figures.sensitivity import cost_figure, sensitivity_figure, swept
from normlab.report.writing import histories_csv, write_report
from normlab.study.analysis.comparison import compare
from normlab.study.design.arms import Arm

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=y>"\'&$x^2$ #0072b2 id="a'
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A page's elements, with a check that each is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def tuned(labels=("none", "batch", "layer")):
    return [
        Arm(one.label, one.settings, {"optimizer.learning_rate": 0.1}, one.runs, tuple(trials()))
        for one in study(len(labels), 5, labels=labels)
    ]


def compared(arms=None, **asked):
    asked = {"nuisance": {"optimizer.learning_rate": (0.001, 0.01, 0.1, 1.0)}, "thresholds": (0.9,), **asked}
    arms = arms or tuned()
    return compare(question(arms[0].label, **asked), arms, pairing="paired: init, batches", warnings=["widen the grid"])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write_report(compared(), folder, commands=["normlab compare a.yaml"])


@pytest.fixture(scope="module")
def page(written):
    return Page(written["report"].read_text(encoding="utf-8"))


def test_report_writes_a_page_a_table_and_every_figure_twice(written):
    names = ("curves", "seconds", "differences", "cost", "sensitivity")
    assert set(written) == {"report", "histories", *(f"{name}.{kind}" for name in names for kind in ("svg", "png"))}
    for what, path in written.items():
        assert path.exists(), what
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width > 900
        if path.suffix == ".svg":
            assert dom.parse(str(path)).documentElement.tagName == "svg"  # noqa: S318 - written by ourselves


def test_page_needs_nothing_but_itself(written, page):
    assert not page.all("script")
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    text = written["report"].read_text(encoding="utf-8")
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_page_tells_the_findings(written, page):
    words = " ".join(" ".join(page.words).split())
    for told in (
        "mnist_fair", "Beside none: 1 better, 1 equivalent.", "▲ better", "paired: init, batches", "widen the grid",
        "steps to 0.9", "optimizer.learning_rate", "normlab compare a.yaml",
    ):  # fmt: skip
        assert told in words


def test_page_can_be_used_without_a_mouse_and_by_readers_that_see_nothing(page):
    assert page.elements[0] == ("html", {"lang": "en"})
    assert any("viewport" in attributes.values() for attributes in page.all("meta"))
    for attributes in page.elements:
        if "scroll" in attributes[1].get("class", "").split() or attributes[0] == "pre":
            assert attributes[1]["tabindex"] == "0"
    figures = [attributes for attributes in page.all("svg") if attributes.get("class") == "figure"]
    assert len(figures) == 5
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in figures)
    assert all(attributes.get("scope") for attributes in page.all("th"))
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert all(attributes["href"][1:] in targets for attributes in page.all("a"))


def test_identifiers_are_unique_and_lead_somewhere(written, page):
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    text = written["report"].read_text(encoding="utf-8")
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(identifiers)


def test_colours_of_figures_are_those_of_the_page_which_knows_light_and_dark(written):
    text = written["report"].read_text(encoding="utf-8")
    style, figures = text.split("</style>", 1)
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"(fill|stroke): #", figures)
    used = set(re.findall(r"var\((--\w+)\)", text))
    light, dark = style.split("prefers-color-scheme: dark")
    assert {name for name in used if f"{name}:" not in light} <= {"--arm"}
    assert {name for name in used if name != "--letters" and f"{name}:" not in dark} <= {"--arm"}


def test_names_are_shown_as_they_are_and_do_nothing(tmp_path):
    labels = ("none", HOSTILE)
    files = write_report(compared(tuned(labels), description=HOSTILE), tmp_path)
    page = Page(files["report"].read_text(encoding="utf-8"))
    assert not page.all("script")
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert HOSTILE in "".join(page.words)
    for name in ("curves.svg", "differences.svg", "cost.svg"):
        document = dom.parse(str(files[name]))  # noqa: S318 - written by ourselves
        assert not document.getElementsByTagName("script")
    assert HOSTILE in files["histories"].read_text(encoding="utf-8").replace('""', '"')


@pytest.mark.parametrize("name", ["new\nline", "bell\x07", "half \ud800", "x" * 300, "中文 ✂", "_a", ""])
def test_names_that_cannot_be_printed_are_no_failure(tmp_path, name):
    files = write_report(compare(question(), study(2, 2, labels=("none", name))), tmp_path)
    Page(files["report"].read_text(encoding="utf-8"))


def test_the_same_study_gives_the_same_bytes_in_every_process(tmp_path):
    script = (
        "import os, sys; sys.path[:0] = [sys.argv[1], os.path.dirname(sys.argv[1])]\n"
        "from pathlib import Path\n"
        "if sys.argv[3:] and hasattr(os, 'sched_setaffinity'):\n"
        "    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])\n"
        "from test_study import compared, write_report\n"
        "write_report(compared(), Path(sys.argv[2]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'pandas' not in sys.modules and 'mxnet' not in sys.modules\n"
    )
    contents = []
    # with one thread and two cores figures are drawn by two processes, with one core by one
    for seed, cores in (("1", []), ("2", ["one core"])):
        folder = tmp_path / seed
        command = [sys.executable, "-W", "error", "-c", script, str(Path(__file__).parent), str(folder), *cores]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(command, env=environment, check=True)
        contents.append({path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})
    assert len(contents[0]) == 12
    assert contents[0] == contents[1]


def test_both_files_of_a_figure_show_it_whole():
    drawn = draw(curves_figure(compared()), "about")
    with Image.open(io.BytesIO(drawn["png"])) as image:
        assert image.width / image.height == pytest.approx(5.4 / 3.55, rel=0.01)
        assert len(image.convert("L").getcolors(1 << 20)) > 50
    assert b"<svg" in drawn["svg"]


def test_the_style_does_not_depend_on_settings_of_the_person_and_leaves_them():
    import matplotlib as mpl  # noqa: PLC0415 - as normlab does: only where figures are drawn

    plain = draw(curves_figure(compared()), "about")
    with mpl.rc_context({"lines.dashed_pattern": [9, 9], "font.size": 30, "axes.grid.axis": "x"}):
        assert draw(curves_figure(compared()), "about") == plain
        assert mpl.rcParams["font.size"] == 30


def test_a_large_study_stays_below_a_megabyte(tmp_path):
    arms = [
        Arm(one.label, one.settings, {"optimizer.learning_rate": 0.1}, one.runs, tuple(trials()))
        for one in study(8, 5, steps=1000)
    ]
    files = write_report(compared(arms), tmp_path)
    assert files["report"].stat().st_size < 1_000_000


def test_report_tells_specs_versions_and_runs(tmp_path):
    facts = {"python": "3.11.7", "versions": {"mxnet": "1.9.1"}, "plugins": [
        {"distribution": "acme", "version": "2", "file": "/home/x/acme/norms.py", "sha256": "ab" * 32}
    ]}  # fmt: skip
    runs = [run("none", seed, 0.9) for seed in (0, 1)]
    one = Arm("none", {}, {}, tuple(stored(tmp_path, each, "dataset: mnist\n", json.dumps(facts)) for each in runs))
    files = write_report(compare(question(), [one]), tmp_path / "report")
    words = " ".join(Page(files["report"].read_text(encoding="utf-8")).words)
    for told in (
        "dataset: mnist",
        "mnist_fair/none-s0-0123456789",
        "1.9.1",
        "acme/norms.py",
        "abababababab",
        "c0ffeec0ffee",
    ):
        assert told in words
    assert str(tmp_path) not in words  # where runs are kept is nobody's business


def test_report_tells_the_study_file_that_lies_beside_it(tmp_path):
    (tmp_path / "study.yaml").write_text("scientific: {norm: [none, batch]}\n")
    files = write_report(compare(question(), study(2, 2)), tmp_path)
    words = " ".join(Page(files["report"].read_text(encoding="utf-8")).words)
    assert "scientific: {norm: [none, batch]}" in words
    assert "normlab compare study.yaml" in words


def test_runs_that_did_not_complete_are_in_the_report(tmp_path):
    arms = [arm("none", (0.9,) * 3), arm("batch", (0.95,) * 3, diverged=(1,))]
    arms[1] = Arm("batch", {}, {}, arms[1].runs, (), {7: "killed by signal 9"})
    words = " ".join(
        "".join(Page(write_report(compare(question(), arms), tmp_path)["report"].read_text()).words).split()
    )
    assert "1 of 4 diverged (step 40, dense1.gamma)" in words
    assert "batch, seed 1: diverged at step 40, first in dense1.gamma" in words
    assert "batch, seed 7: failed; killed by signal 9" in words


@pytest.mark.parametrize(
    "arms",
    [
        [arm("none", (0.9,))],
        [arm("none", (0.9, 0.9), diverged=(0, 1))],
        [arm("none", (0.9,)), Arm("empty", {}, {}, ())],
        [arm("none", (1.0, 1.0)), arm("batch", (1.0, 0.0))],
        [arm("none", (0.9, 0.9)), arm("batch", (0.9, 0.9))],
        [arm("none", (0.9,), steps=20), arm("batch", (0.9,), steps=20)],
    ],
    ids=["one run", "all diverged", "no run", "whole scale", "all equal", "one evaluation"],
)
def test_odd_studies_have_a_report_too(tmp_path, arms):
    Page(write_report(compare(question(), arms), tmp_path)["report"].read_text(encoding="utf-8"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        write_report(compare(question(), study(2, 2)), tmp_path / "file" / "report")


def test_histories_hold_every_record_with_missing_ones_empty():
    found = compare(question(), [arm("none", (0.9,), diverged=(0,)), arm("a,b", (0.8,))])
    rows = list(csv.DictReader(io.StringIO(histories_csv(found))))
    assert len(rows) == 2 * (2 + 10)
    assert [row["accuracy"] for row in rows if row["arm"] == "none" and row["split"] == "test"][-1] == ""
    last = [row for row in rows if row["arm"] == "a,b" and row["split"] == "test"][-1]
    assert float(last["accuracy"]) == found.rows[0].arm.runs[0].accuracy("test")[-1]


def texts(figure):
    import matplotlib.text  # noqa: PLC0415 - as normlab does: only where figures are drawn

    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_curve_is_the_mean_of_completed_runs_in_a_band_that_spans_them():
    found = compare(question(), [arm("none", (0.8, 0.9, 0.99), diverged=(2,))])
    drawn = curve(found.rows[0], "test", "step")
    assert drawn.x == list(range(20, 201, 20))
    assert (drawn.low[-1], drawn.mean[-1], drawn.high[-1]) == pytest.approx((0.8, 0.85, 0.9))
    assert len(drawn.lost) == 1
    assert drawn.lost[0][0] == [20]
    assert curve(found.rows[0], "test", "seconds").x[-1] == pytest.approx(0.4 + 0.9)


def test_arms_differ_without_colour_and_are_named_at_their_lines():
    found = compare(question(), study(8, 2))
    look = looks(found)
    assert len({(one.marker, str(one.dashes)) for one in look.values()}) == 8
    assert look["none"].marker not in {one.marker for label, one in look.items() if label != "none"}
    for figure in (curves_figure(found), cost_figure(found)):
        assert set(look) <= set(texts(figure))


def test_looks_do_not_repeat_with_many_arms():
    found = compare(question(), study(20, 2, labels=("none", *(f"norm{number}" for number in range(19)))))
    assert len(set(looks(found).values())) == 20


def test_forest_draws_intervals_and_verdicts():
    found = compare(question(), study(3, 5))
    axes = differences_figure(found).axes[0]
    estimate = found.others[0].judgement.estimate
    drawn = [list(line.get_xdata()) for line in axes.lines]
    assert list(estimate.ends) in drawn
    assert [estimate.mean] in drawn
    shown = texts(axes.figure)
    assert {"batch", "layer", *(row.verdict for row in found.others)} <= set(shown)


def test_one_arm_far_away_does_not_squash_the_others():
    arms = [*study(4, 5), arm("broken", (0.1, 0.11, 0.12, 0.1, 0.11))]
    assert differences_figure(compare(question(), arms)).axes[0].get_xscale() == "symlog"
    assert differences_figure(compare(question(), study(4, 5))).axes[0].get_xscale() == "linear"


def test_sensitivity_draws_the_best_score_with_each_value_and_marks_divergence():
    found = compared()
    assert swept(found) == ["optimizer.learning_rate"]
    axes = sensitivity_figure(found, "optimizer.learning_rate").axes[0]
    assert axes.get_xscale() == "log"
    assert [0.001, 0.01, 0.1] in [list(line.get_xdata()) for line in axes.lines]  # that of 1.0 diverged
    assert [1.0] in [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "x"]
    assert [0.1] in [list(line.get_xdata()) for line in axes.lines if line.get_fillstyle() == "none"]


def test_sensitivity_of_words_has_them_on_its_axis():
    from normlab.study.design.arms import Trial  # noqa: PLC0415 - for this test only

    tries = tuple(Trial({"schedule": name}, (), score) for name, score in (("cosine", 0.9), ("step", None)))
    one = Arm("none", {}, {"schedule": "cosine"}, arm("none").runs, tries)
    figure = sensitivity_figure(compare(question(), [one]), "schedule")
    assert {"cosine", "step"} <= set(texts(figure))


def test_a_label_that_looks_like_a_colour_or_an_identifier_stays_as_it_is():
    found = compare(question(), study(2, 2, labels=("none", '#0072b2 id="p1')))
    inline = Drawing("curves", "about", draw(curves_figure(found), "about")["svg"]).inline
    assert '#0072b2 id="p1' in inline


def test_high_accuracies_are_spread_and_low_ones_are_not():
    high = curves_figure(compare(question(), study(2, 2))).axes[0]
    low = curves_figure(compare(question(), [arm("none", (0.5, 0.6))])).axes[0]
    assert (high.get_yscale(), low.get_yscale()) == ("function", "linear")
    ticks = [text.get_text() for text in high.get_yticklabels()]
    assert "0.9" in ticks
    assert high.get_ylim()[1] < 1
