"""Checkpoints as files: read as they were written, by every later version, or not at all."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from history_support import written

from normlab.errors import CheckpointError, StorageError
from normlab.runs import checkpoint as format_
from normlab.runs.checkpoint import Checkpoint, Generations
from normlab.runs.files import temporary_name
from normlab.runs.manifest import MANIFEST, read_sealed, write_sealed

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint-v1"


@pytest.fixture
def made(tmp_path):
    (tmp_path / "made").mkdir()

    def make(step=45, **changes):
        facts = {
            "run": "9f86d081884c7d65",
            "step": step,
            "seconds": 3.25,
            "training_seconds": 2.0,
            "evaluation_seconds": 1.125,
            "parameters": {
                "dense0.weight": np.array([[1.5, -0.0, np.nan], [np.inf, 1e-45, 3]], np.float32),
                "site0.norm.running_mean": np.array([0.1, 0.2], np.float32),
            },
            "optimizer": {
                "dense0.weight/0": np.array([[1, 2, 3], [4, 5, 6]], np.float32),
                "dense0.weight/1": np.array([[7, 8, 9], [1, 2, 3]], np.float32),
            },
            "updates": {"dense0.weight": 45},
            "history": written(tmp_path / "made" / "history.jsonl", (20, 40)),
            "made_with": {"normlab": "0.1.0", "numpy": "1.23.5"},
        }
        return Checkpoint(**{**facts, **changes})

    return make


def assert_same(one, other):
    for field in dataclasses.fields(Checkpoint):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("parameters", "optimizer"):
            assert list(mine) == list(theirs)
            mine, theirs = (
                {n: (a.dtype, a.shape, a.tobytes()) for n, a in arrays.items()} for arrays in (mine, theirs)
            )
        assert mine == theirs, field.name


def test_checkpoint_of_version_1_is_read(made):
    assert_same(Checkpoint.load(GOLDEN), made())


def test_checkpoint_is_written_as_the_golden_one(tmp_path, made):
    made().save(tmp_path / "new")
    for path in GOLDEN.iterdir():
        if path.suffix != ".npz":  # NumPy's zip files may differ between its versions
            assert (tmp_path / "new" / path.name).read_bytes() == path.read_bytes() or path.name == MANIFEST
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in GOLDEN.iterdir()}


def test_every_bit_of_every_number_is_kept(tmp_path, made):
    bits = np.random.default_rng(0).integers(0, 2**32, 1000, np.uint32).view(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # some NumPy tells that a bit pattern is no number
        double, half = bits.astype(np.float64), bits[:9].astype(np.float16)
    whole = made(parameters={"w": bits, "d": double, "h": half, "e": bits[:0]})
    whole.save(tmp_path / "new")
    assert_same(Checkpoint.load(tmp_path / "new"), whole)


def test_parameters_of_a_run_are_read_with_numpy_alone(tmp_path, made):
    Generations(tmp_path / "checkpoint").save(made(), keep=2)
    path = tmp_path / "checkpoint" / "000001" / "parameters.npz"
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["site0.norm.running_mean"].tolist() == np.array([0.1, 0.2], np.float32).tolist()
    assert list(format_.load(tmp_path / "checkpoint")) == ["dense0.weight", "site0.norm.running_mean"]
    with pytest.raises(CheckpointError, match="contains no checkpoint"):
        format_.load(tmp_path)


def resealed(tmp_path, **files):
    """The golden checkpoint with other files, under a manifest that is right."""
    contents = {**read_sealed(GOLDEN), **files}
    write_sealed(tmp_path / "other", {name: content for name, content in contents.items() if content is not None})
    return tmp_path / "other"


def state_with(**changes):
    state = {**json.loads((GOLDEN / "state.json").read_text()), **changes}
    return json.dumps({name: value for name, value in state.items() if value is not ...}).encode()


def test_newer_format_is_no_damage_but_asks_for_an_update(tmp_path):
    with pytest.raises(StorageError, match="format version 2; expected 1 or less; update normlab") as caught:
        Checkpoint.load(resealed(tmp_path, **{"state.json": state_with(version=2)}))
    assert not isinstance(caught.value, CheckpointError)


@pytest.mark.parametrize(
    "state",
    [b"{", b"[]", b"\xff", b"[" * 100_000, *(state_with(step=value) for value in ("5", None, True, 1.5, ...))],
)
def test_state_of_another_form_is_damage(tmp_path, state):
    with pytest.raises(CheckpointError, match="not in the format that normlab writes"):
        Checkpoint.load(resealed(tmp_path, **{"state.json": state}))


def packed(compression, **arrays):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, array in arrays.items():
            inner = io.BytesIO()
            np.save(inner, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", inner.getvalue())
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"w": 1}),
        packed(zipfile.ZIP_STORED, w=np.array([{}], dtype=object)),
        packed(zipfile.ZIP_DEFLATED, w=np.zeros(10**6)),
        b"",
        b"PK\x05\x06" + bytes(10),
    ],
    ids=["pickle", "object array", "compressed", "empty", "cut off"],
)
def test_arrays_of_another_form_are_damage_and_nothing_of_them_runs(tmp_path, content):
    with pytest.raises(CheckpointError, match="not in the format that normlab writes"):
        Checkpoint.load(resealed(tmp_path, **{"optimizer.npz": content}))


@pytest.mark.parametrize("files", [{"optimizer.npz": None}, {"more.txt": b""}], ids=["too few", "too many"])
def test_files_that_are_absent_or_strange_are_damage(tmp_path, files):
    with pytest.raises(CheckpointError, match="missing, or not a file of a checkpoint"):
        Checkpoint.load(resealed(tmp_path, **files))


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "parameters.npz", "optimizer.npz", "history.jsonl"])
def test_any_change_in_any_file_is_found(tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(GOLDEN, folder)
    content = (folder / name).read_bytes()
    numbers = np.random.default_rng(1)
    for _ in range(40):
        place, bit = numbers.integers(len(content)), numbers.integers(8)
        changed = bytearray(content)
        changed[place] ^= 1 << int(bit)
        for wrong in (bytes(changed), content[:place], content + b"\n"):
            (folder / name).write_bytes(wrong)
            with pytest.raises(CheckpointError, match=f"{name}: damaged"):
                Checkpoint.load(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.load(folder)


def test_file_that_the_manifest_does_not_name_is_found(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "copy")
    (tmp_path / "copy" / "z").write_text("")
    with pytest.raises(CheckpointError, match="z: not in the manifest"):
        Checkpoint.load(tmp_path / "copy")


def names(generations):
    return [path.name for path in generations.paths()]


def test_old_checkpoints_go_once_the_new_one_is_verified(tmp_path, made):
    generations = Generations(tmp_path / "checkpoint")
    for step in range(1, 5):
        generations.save(made(step), keep=2)
    assert names(generations) == ["000003", "000004"]
    assert generations.newest().step == 4
    generations.save(made(5), keep=1)
    assert names(generations) == ["000005"]


def test_checkpoint_that_reads_otherwise_than_written_is_no_success(tmp_path, made, monkeypatch):
    generations = Generations(tmp_path / "checkpoint")
    generations.save(made(1), keep=1)
    monkeypatch.setattr("normlab.runs.manifest.read_sealed", lambda _: {})
    with pytest.raises(CheckpointError, match="the disk may be failing"):
        generations.save(made(2), keep=1)
    monkeypatch.undo()
    assert names(generations) == ["000001"]


def test_damaged_checkpoint_is_passed_over_with_a_warning_and_removed_on_demand(tmp_path, made):
    generations = Generations(tmp_path / "checkpoint")
    for step in (1, 2):
        generations.save(made(step), keep=2)
    (tmp_path / "checkpoint" / "000002" / "state.json").unlink()
    warnings = []
    assert generations.newest(warnings.append).step == 1
    assert len(warnings) == 1
    assert "state.json: missing" in warnings[0]
    assert names(generations) == ["000001", "000002"]
    assert generations.newest(discard=True).step == 1
    assert names(generations) == ["000001"]
    generations.save(made(3), keep=2)
    assert names(generations) == ["000001", "000002"]


def test_without_a_whole_checkpoint_there_is_none_and_the_damaged_are_kept(tmp_path, made):
    generations = Generations(tmp_path / "checkpoint")
    assert generations.newest() is None
    generations.save(made(), keep=2)
    (tmp_path / "checkpoint" / "000001" / "manifest.json").write_text("{}")
    assert generations.newest(discard=True) is None
    assert names(generations) == ["000001"]


def test_clearing_takes_checkpoints_and_leftovers_and_nothing_else(tmp_path, made):
    generations = Generations(tmp_path / "checkpoint")
    generations.clear()  # nothing is there
    generations.save(made(), keep=2)
    (tmp_path / "checkpoint" / temporary_name()).mkdir()
    (tmp_path / "checkpoint" / "notes.txt").write_text("mine")
    generations.clear()
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["notes.txt"]
