"""One process at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys

import pytest

from normlab.errors import StorageError
from normlab.runs.lock import LOCK, locked, owner

HOLD = """
import sys
from normlab.runs.lock import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_second_process_is_told_the_first(tmp_path, holder):
    told = rf"in use by process {holder.pid} on \S+, since .*; expected one process"
    with pytest.raises(StorageError, match=told), locked(tmp_path):
        pass
    assert owner(tmp_path).startswith(f"process {holder.pid} on ")


def test_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path) as able:
        assert able
        assert owner(tmp_path).startswith(f"process {os.getpid()} on ")


def test_lock_is_gone_when_its_process_is_done(tmp_path, holder):
    holder.communicate()
    assert list(tmp_path.iterdir()) == []
    assert owner(tmp_path) is None


def test_folder_is_not_locked_twice_in_one_process(tmp_path):
    with locked(tmp_path), pytest.raises(StorageError, match="in use"), locked(tmp_path):
        pass


def test_file_that_was_replaced_meanwhile_is_no_lock(tmp_path, monkeypatch):
    real, tries = fcntl.flock, []

    def flock(descriptor, operation):
        real(descriptor, operation)
        tries.append(descriptor)
        if len(tries) == 1:  # the process that had it removes it right before
            (tmp_path / LOCK).unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        assert len(tries) == 2
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()


def test_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def unable(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unable)
    with locked(tmp_path) as able:
        assert not able


def test_folder_that_is_absent_is_told(tmp_path):
    with pytest.raises(StorageError, match=r"absent/\.lock: can't write: no such file"), locked(tmp_path / "absent"):
        pass


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"process": "x", "host": "h", "since": "s"}', "\xff"])
def test_owner_that_can_not_be_read_is_none(tmp_path, content):
    (tmp_path / LOCK).write_text(content, encoding="latin-1")
    assert owner(tmp_path) is None
