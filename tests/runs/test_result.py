from __future__ import annotations

import json
import random

import pytest
from history_support import finished, record

from normlab.errors import StorageError
from normlab.runs.files import checksum
from normlab.runs.history import HISTORY, RESULT, History, HistoryWriter, Result


def test_result_comes_back_as_it_was(tmp_path):
    digests = {"data": "d" * 64, "initialization": "i" * 64, "batches": "b" * 64}
    result = finished(
        tmp_path,
        "diverged",
        parameters_digest="a" * 64,
        digests=digests,
        message="loss is not finite",
        diverged_step=101,
        diverged_layer="dense0",
    )
    assert Result.load(tmp_path / RESULT) == result
    assert Result.from_dict(result.as_dict()) == result
    assert result.as_dict()["version"] == 1
    loaded = History.load(tmp_path)
    assert loaded.result == result
    assert loaded.directory == tmp_path


def test_result_has_only_the_statuses_that_exist():
    with pytest.raises(ValueError, match="'done'; expected one of completed, diverged, failed, interrupted"):
        Result("done", 1, 1, 1, 1, {}, {})


def test_final_values_of_a_result_that_are_not_finite_are_missing(tmp_path):
    result = Result("diverged", 1, 1, 1, 1, {"train_loss": float("inf")}, {})
    assert result.final == {"train_loss": None}
    result.save(tmp_path / RESULT)
    assert "Infinity" not in (tmp_path / RESULT).read_text()


def test_a_changed_result_is_never_loaded_as_something_else(tmp_path):
    result = finished(tmp_path, message="a sentence")
    whole = (tmp_path / RESULT).read_bytes()
    chance = random.Random(3)  # noqa: S311 - the same damages each time
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        (tmp_path / RESULT).write_bytes(damaged)
        try:
            assert Result.load(tmp_path / RESULT) == result  # white space, or the case of an exponent's e
        except StorageError:
            refused += 1
    assert refused > 270


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "format version 2; expected 1 or less; update normlab"),
        ({"status": "done"}, "status: 'done'"),
        ({"steps": 1.5}, "steps: wrong type: 1.5"),
        ({"more": 1}, "more: unknown"),
    ],
)
def test_a_result_that_cannot_be_is_refused(tmp_path, change, told):
    data = {**finished(tmp_path).as_dict(), **change}
    (tmp_path / RESULT).write_text(json.dumps({**data, "sum": checksum(json.dumps(data))}))
    with pytest.raises(StorageError, match=f"{RESULT}: {told}"):
        History.load(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"version": 1}'])
def test_a_file_that_is_no_result_is_refused(tmp_path, text):
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(StorageError, match=f"{RESULT}: (not a mapping|does not match its checksum)"):
        Result.load(tmp_path / RESULT)


def test_a_history_that_lost_its_last_lines_contradicts_its_result(tmp_path):
    finished(tmp_path)
    lines = (tmp_path / HISTORY).read_bytes().splitlines(keepends=True)
    (tmp_path / HISTORY).write_bytes(b"".join(lines[:-1]))
    with pytest.raises(StorageError, match=f"{HISTORY}: the last record differs from {RESULT}"):
        History.load(tmp_path)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_taken_up_again_may_be_ahead_of_its_old_result(tmp_path, status):
    finished(tmp_path, status)
    with HistoryWriter.resume(tmp_path / HISTORY, 100) as writer:
        writer.append(record(120))
    assert History.load(tmp_path).steps[-1] == 120
