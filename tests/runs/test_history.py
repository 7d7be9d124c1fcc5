from __future__ import annotations

import pickle
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from history_support import HEADER, finished, record

from normlab.errors import ExitStatus, SpecError, StorageError
from normlab.runs.history import HISTORY, History, HistoryWriter, Record


def test_what_is_not_finite_is_missing_and_never_nan_in_the_file(tmp_path):
    with HistoryWriter(tmp_path / HISTORY, HEADER) as writer:
        writer.append(record(20, float("nan")))
        writer.append(record(40, float("inf")))
    text = (tmp_path / HISTORY).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert '"train_accuracy":null' in text
    assert History.load(tmp_path / HISTORY).accuracy("train") == [None, None]


def test_numbers_of_numpy_become_plain_numbers():
    scores = {"train": np.float32(0.5), "test": np.float64("nan")}
    one = Record(np.int64(20), np.float32(0.25), np.int32(7), np.float64(1.5), scores, scores)
    assert one.as_dict() == {
        "step": 20,
        "epoch": 0.25,
        "examples": 7,
        "seconds": 1.5,
        "train_accuracy": 0.5,
        "train_loss": 0.5,
        "test_accuracy": None,
        "test_loss": None,
    }
    assert {type(value) for value in one.as_dict().values()} == {int, float, type(None)}
    assert Record.from_dict(one.as_dict(), ("train", "test")) == one


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((-1, 0, 0, 0, {}, {}), "-1 is not a count"),
        ((1, float("nan"), 0, 0, {}, {}), "nan is not a duration"),
        ((1, 0, 0, -0.1, {}, {}), "-0.1 is not a duration"),
        ((1, 0, 0, 0, {"train": 1}, {"test": 1}), r"accuracy of \['train'\], but loss of \['test'\]"),
    ],
)
def test_a_record_that_cannot_be_is_refused(values, told):
    with pytest.raises(ValueError, match=told):
        Record(*values)


@pytest.fixture
def history():
    return History(
        HEADER, tuple(record(step, accuracy) for step, accuracy in ((0, 0.3), (20, 0.9), (40, 0.9), (60, None)))
    )


def test_history_is_a_sequence_of_records(history):
    assert len(history) == 4
    assert [one.step for one in history] == history.steps == [0, 20, 40, 60]
    assert history[1].step == 20
    assert history[-1] is history.records[-1]
    assert [one.step for one in history[1:3]] == [20, 40]
    assert record(20, 0.9) in history
    assert (history.name, history.label, history.seed, history.splits) == ("mnist_bn", "batch", 3, ("train", "test"))


def test_history_has_the_shape_of_the_notebook(history):
    assert history.as_dict() == {"batch": {"train": [0.3, 0.9, 0.9, None], "test": [0.3 / 3, 0.9 / 3, 0.9 / 3, None]}}


def test_curves_of_a_split(history):
    assert history.accuracy("train") == [0.3, 0.9, 0.9, None]
    assert history.loss("test") == [0.3 / 3, 0.9 / 3, 0.9 / 3, None]


def test_a_split_that_was_not_evaluated_is_told_with_the_nearest(history):
    with pytest.raises(
        SpecError, match=r"mnist_bn: split 'tset' was not evaluated; .*train, test; did you mean 'test'\?"
    ):
        history.accuracy("tset")
    with pytest.raises(SpecError, match=r"add it to evaluation\.splits"):
        history.loss("validation")


def test_final_and_best(history):
    assert history.final() == {"train_accuracy": None, "train_loss": None, "test_accuracy": None, "test_loss": None}
    assert history.best() == {"train": {"accuracy": 0.9, "step": 20}, "test": {"accuracy": 0.9 / 3, "step": 20}}
    empty = History(HEADER)
    assert empty.final() == {}
    assert empty.best()["test"] == {"accuracy": None, "step": None}


def test_frame_has_the_documented_columns_and_types(history):
    frame = history.to_frame()
    scores = ["train_accuracy", "train_loss", "test_accuracy", "test_loss"]
    assert list(frame.columns) == ["step", "epoch", "examples", "seconds", *scores, "norm", "seed", "name"]
    assert frame["train_accuracy"].tolist()[:3] == [0.3, 0.9, 0.9]
    assert frame["train_accuracy"].isna().tolist() == [False, False, False, True]
    assert frame["norm"].unique().tolist() == ["batch"]
    for one in (frame, History(HEADER).to_frame()):
        assert [str(kind) for kind in one.dtypes[:8]] == ["int64", "float64", "int64", *["float64"] * 5]


def test_sameness_ignores_times_and_nothing_else(history):
    slower = replace(history, records=tuple(replace(one, seconds=one.seconds + 1) for one in history))
    assert history.same_as(slower)
    assert history != slower
    next_up = float(np.nextafter(0.9, 1))
    other = replace(history, records=(*history.records[:2], record(40, next_up), history.records[3]))
    assert not history.same_as(other)
    assert not history.same_as(replace(history, records=history.records[:3]))
    assert not history.same_as(replace(history, header=replace(HEADER, seed=4)))


def test_repr_is_one_line_that_says_where_it_stands(history, tmp_path):
    assert repr(history) == (
        "History(mnist_bn, batch, seed 3, 4 records, step 60, train accuracy missing, test accuracy missing)"
    )
    finished(tmp_path)
    assert repr(History.load(tmp_path)).endswith("step 100, train accuracy 0.1000, test accuracy 0.0333, completed)")
    assert repr(History(HEADER)) == "History(mnist_bn, batch, seed 3, 0 records)"


def test_history_goes_to_another_process_and_back(history):
    assert pickle.loads(pickle.dumps(history)) == history  # noqa: S301 - as worker processes pass it, never from a file


def test_loading_what_is_no_run_is_told(tmp_path):
    with pytest.raises(
        StorageError, match=rf"{re.escape(str(tmp_path))}: contains no {HISTORY}; expected the folder of a run"
    ):
        History.load(tmp_path)
    with pytest.raises(StorageError, match="absent: can't read: no such file or directory; check the path"):
        History.load(tmp_path / "absent")
    assert StorageError.status == ExitStatus.STORAGE


def test_importing_history_is_cheap():
    heavy = "{'mxnet', 'numpy', 'pandas', 'matplotlib', 'yaml', 'pydantic'}"
    script = f"import sys, normlab.runs.history, normlab.report.figures.curves; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
