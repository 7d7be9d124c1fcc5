from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from history_support import HEADER, record, written
from hypothesis import given, settings
from hypothesis import strategies as st

import normlab.runs.history_file
from normlab.errors import StorageError
from normlab.runs.files import checksum
from normlab.runs.history import HISTORY, Header, History, HistoryWriter, Record

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_RECORDS = (
    Record(20, 20 / 550, 2000, 0.5309417, {"train": 0.8430, "test": 0.8531}, {"train": 221.4, "test": 1 / 3}),
    Record(40, 40 / 550, 4000, 1.06, {"train": 0.1 + 0.2, "test": None}, {"train": None, "test": 5e-324}),
    Record(1000, 1000 / 550, 100_000, 12, {"train": 1.0, "test": 0.0}, {"train": sys.float_info.max, "test": 0.0}),
)


def test_history_of_version_1_loads_for_ever():
    history = History.load(GOLDEN / "history-v1.jsonl")
    assert history.header == HEADER
    assert history.records == GOLDEN_RECORDS
    assert not history.torn


def test_what_is_written_today_is_version_1_to_the_byte(tmp_path):
    with HistoryWriter(tmp_path / HISTORY, HEADER) as writer:
        for one in GOLDEN_RECORDS:
            writer.append(one)
    assert (tmp_path / HISTORY).read_bytes() == (GOLDEN / "history-v1.jsonl").read_bytes()


def test_each_line_is_plain_json_with_the_documented_fields(tmp_path):
    header, first, *_ = written(tmp_path / HISTORY).decode().splitlines()
    assert list(json.loads(header)) == [
        *("format", "version", "name", "label", "seed", "splits", "spec", "normlab", "sum")
    ]
    assert list(json.loads(first)) == [
        *("step", "epoch", "examples", "seconds", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "sum")
    ]


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
times = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
names = st.text(st.characters(), max_size=20)


@st.composite
def histories(draw):
    splits = tuple(draw(st.lists(st.sampled_from(["train", "validation", "test"]), unique=True, min_size=1)))
    header = Header(draw(names), draw(names), draw(st.integers(0, 2**32 - 1)), splits, draw(names))
    steps = sorted(draw(st.sets(st.integers(0, 2**63), max_size=6)))
    scores = st.tuples(*[numbers] * len(splits)).map(lambda values: dict(zip(splits, values)))
    records = [
        Record(step, draw(times), draw(st.integers(0, 2**63)), draw(times), draw(scores), draw(scores))
        for step in steps
    ]
    return header, tuple(records)


@settings(deadline=None)  # a shared machine is slow at times
@given(histories())
def test_any_history_comes_back_to_the_last_bit(tmp_path_factory, history):
    header, records = history
    path = tmp_path_factory.mktemp("run") / HISTORY
    with HistoryWriter(path, header) as writer:
        for one in records:
            writer.append(one)
    loaded = History.load(path)
    assert loaded == History(header, records)
    assert repr(loaded.records) == repr(records)  # tells -0.0 from 0.0


def test_each_record_is_synced_before_append_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    with HistoryWriter(tmp_path / HISTORY, HEADER) as writer:
        monkeypatch.setattr(
            os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_size), real(descriptor))
        )
        writer.append(record(20))
        assert synced == [(tmp_path / HISTORY).stat().st_size]
        assert History.load(tmp_path / HISTORY).steps == [20]


def test_every_torn_last_line_is_dropped_and_told(tmp_path):
    whole = written(tmp_path / HISTORY)
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(whole)):
        (tmp_path / HISTORY).write_bytes(whole[:cut])
        history = History.load(tmp_path / HISTORY)
        assert history.steps == [20, 40, 60, 80]
        assert history.torn == (cut > last)


def test_a_torn_line_is_the_only_damage_that_passes(tmp_path):
    whole = written(tmp_path / HISTORY)
    history = History.load(tmp_path / HISTORY)
    chance = random.Random(7)  # noqa: S311 - the same damages each time
    for _ in range(1000):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        (tmp_path / HISTORY).write_bytes(damaged)
        with pytest.raises(StorageError, match=rf"{HISTORY}:\d: .*restore the file, or delete the run's folder"):
            History.load(tmp_path / HISTORY)
    for cut in chance.sample(range(len(whole)), 100):
        (tmp_path / HISTORY).write_bytes(whole[:cut])
        if b"\n" not in whole[:cut]:
            with pytest.raises(StorageError, match=rf"{HISTORY}:1: "):
                History.load(tmp_path / HISTORY)
            continue
        left = History.load(tmp_path / HISTORY)
        assert left.records == history.records[: len(left)]
        assert left.torn or whole[cut - 1 : cut] == b"\n"


def test_a_damaged_newline_at_the_end_is_no_torn_line(tmp_path):
    whole = written(tmp_path / HISTORY)
    for bit in range(8):
        (tmp_path / HISTORY).write_bytes(whole[:-1] + bytes([ord("\n") ^ 1 << bit]))
        with pytest.raises(StorageError, match=f"{HISTORY}:6: the newline is damaged"):
            History.load(tmp_path / HISTORY)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:2] + lines[3:], 3),  # a record lost
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),  # doubled
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),  # moved
        (lambda lines: lines[1:], 1),  # without its header
        (lambda lines: [*lines[:2], b"", *lines[2:]], 3),  # an empty line
    ],
)
def test_a_line_lost_doubled_or_moved_is_found_where_it_is(tmp_path, change, line):
    lines = written(tmp_path / HISTORY).splitlines()
    (tmp_path / HISTORY).write_bytes(b"\n".join(change(lines)) + b"\n")
    with pytest.raises(StorageError, match=rf"{HISTORY}:{line}: the line does not match its checksum"):
        History.load(tmp_path / HISTORY)


def forged(path, *bodies):
    """Writes lines whose checksums are right, whatever they say."""
    lines, last = [], ""
    for body in bodies:
        last = checksum(last + body)
        lines.append(f'{body[:-1]},"sum":"{last}"}}\n')
    path.write_text("".join(lines))


GOOD_HEADER = json.dumps(HEADER.as_dict())
GOOD = {"step": 1, "epoch": 0.1, "examples": 1, "seconds": 1, "train_accuracy": 0, "train_loss": 0}
GOOD = {**GOOD, "test_accuracy": 1, "test_loss": 1}


@pytest.mark.parametrize(
    ("bodies", "told"),
    [
        (["{}"], ":1: not the first line of a history"),
        ([json.dumps({**HEADER.as_dict(), "version": 0})], ":1: format version 0 is unknown"),
        ([json.dumps({**HEADER.as_dict(), "seed": "3"})], ":1: seed: wrong type: '3'"),
        ([json.dumps({**HEADER.as_dict(), "extra": 3})], ":1: extra: unknown"),
        ([GOOD_HEADER, json.dumps({**GOOD, "step": True})], ":2: step: wrong type: True"),
        ([GOOD_HEADER, json.dumps({**GOOD, "step": -1})], ":2: -1 is not a count"),
        ([GOOD_HEADER, json.dumps({**GOOD, "seconds": -1})], ":2: -1.0 is not a duration"),
        ([GOOD_HEADER, json.dumps({**GOOD, "test_loss": "x"})], ":2: test_loss: wrong type: 'x'"),
        ([GOOD_HEADER, json.dumps({**GOOD, "test_loss": 10**400})], ":2: .*too large"),
        ([GOOD_HEADER, '{"step":1}'], ":2: epoch: missing"),
        ([GOOD_HEADER, json.dumps(GOOD), json.dumps(GOOD)], ":3: step 1 does not come after step 1"),
        ([GOOD_HEADER, '{"step":' + "[" * 100_000 + "}"], ":2: .*recursion"),
        ([GOOD_HEADER, '{"step":}'], ":2: Expecting value"),
    ],
)
def test_a_forged_file_is_refused_by_line(tmp_path, bodies, told):
    forged(tmp_path / HISTORY, *bodies)
    with pytest.raises(StorageError, match=HISTORY + told):
        History.load(tmp_path / HISTORY)


def test_a_history_of_a_later_normlab_asks_for_an_update(tmp_path):
    forged(tmp_path / HISTORY, json.dumps({**HEADER.as_dict(), "version": 2, "new": 1}))
    with pytest.raises(StorageError, match=f"{HISTORY}:1: format version 2; expected 1 or less; update normlab"):
        History.load(tmp_path / HISTORY)


def test_steps_must_increase_and_splits_must_be_the_headers(tmp_path):
    with HistoryWriter(tmp_path / HISTORY, HEADER) as writer:
        writer.append(record(20))
        for step in (20, 19):
            with pytest.raises(ValueError, match=f"step {step} does not come after step 20"):
                writer.append(record(step))
        with pytest.raises(ValueError, match="in a history of"):
            writer.append(Record(40, 0.1, 1, 1, {"train": 1}, {"train": 1}))
    assert History.load(tmp_path / HISTORY).steps == [20]


def test_resumed_history_equals_uninterrupted_history(tmp_path):
    whole = written(tmp_path / "uninterrupted")
    for after in range(0, 121, 10):
        written(tmp_path / HISTORY)
        with (tmp_path / HISTORY).open("ab") as file:
            file.write(b'{"step":120,"ep')  # torn by a kill
        with HistoryWriter.resume(tmp_path / HISTORY, after_step=after) as writer:
            assert writer.header == HEADER
            assert [one.step for one in writer.records] == [step for step in (20, 40, 60, 80, 100) if step <= after]
            for step in (20, 40, 60, 80, 100):
                if step > after:
                    writer.append(record(step, step / 1000))
        assert (tmp_path / HISTORY).read_bytes() == whole


def test_resuming_with_nothing_to_cut_does_not_write(tmp_path, monkeypatch):
    written(tmp_path / HISTORY)
    monkeypatch.setattr(normlab.runs.history_file, "write_atomically", lambda *_: pytest.fail("written"))
    HistoryWriter.resume(tmp_path / HISTORY, after_step=100).close()


def test_resuming_a_damaged_or_absent_history_is_refused_and_changes_nothing(tmp_path):
    damaged = written(tmp_path / HISTORY).replace(b"0.0", b"0.1", 1)
    (tmp_path / HISTORY).write_bytes(damaged)
    with pytest.raises(StorageError, match=f"{HISTORY}:2: "):
        HistoryWriter.resume(tmp_path / HISTORY, after_step=0)
    assert (tmp_path / HISTORY).read_bytes() == damaged
    with pytest.raises(StorageError, match="absent: can't read"):
        HistoryWriter.resume(tmp_path / "absent", after_step=0)


def test_a_failed_append_leaves_the_file_as_it_was_and_can_be_repeated(tmp_path, monkeypatch):
    path = tmp_path / HISTORY
    with HistoryWriter(path, HEADER) as writer:
        writer.append(record(20, 0.02))
        before, real_write, real_sync = path.read_bytes(), os.write, os.fsync

        def full(descriptor, data):
            return real_write(descriptor, data[:10])

        def failing(_descriptor):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(StorageError, match=f"{HISTORY}: can't write: no space left on device, [0-9,]+ bytes free"):
            writer.append(record(40, 0.04))
        monkeypatch.setattr(os, "write", real_write)
        assert path.read_bytes() == before
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError, match=f"{HISTORY}: can't write: input/output error"):
            writer.append(record(40, 0.04))
        monkeypatch.setattr(os, "fsync", real_sync)
        assert path.read_bytes() == before
        for step in (40, 60, 80, 100):
            writer.append(record(step, step / 1000))
    assert path.read_bytes() == written(tmp_path / "undisturbed")


def test_a_new_writer_replaces_an_older_history(tmp_path):
    written(tmp_path / HISTORY)
    HistoryWriter(tmp_path / HISTORY, replace(HEADER, seed=4)).close()
    assert History.load(tmp_path / HISTORY).header.seed == 4
    assert len(History.load(tmp_path / HISTORY)) == 0


def test_closing_twice_does_no_harm(tmp_path):
    writer = HistoryWriter(tmp_path / HISTORY, HEADER)
    with writer:
        pass
    writer.close()


KILLED = """
import sys
from normlab.runs.history import History, HistoryWriter
from history_support import record
path, last = sys.argv[1], int(sys.argv[2])
with HistoryWriter.resume(path, last) as writer:
    for step in range(last + 1, 10**9):
        writer.append(record(step, 1 / step))
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_history_survives_kills_without_gap_or_duplicate(tmp_path, seed):
    path, chance = tmp_path / HISTORY, random.Random(seed)  # noqa: S311 - moments of kills
    HistoryWriter(path, HEADER).close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    for _ in range(3):
        before = len(History.load(path))
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(before)], env=environment)
        deadline = time.monotonic() + 60
        while len(History.load(path)) <= before + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        history = History.load(path)
        assert len(history) > before
        assert history.steps == list(range(1, len(history) + 1))
        assert history.accuracy("train") == [1 / step for step in history.steps]
