from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.errors import ExitStatus, StorageError
from normlab.runs import files as storage

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=,+-]{0,99}")


class FaultyDisk:
    """Counts the file operations of `storage` and lets the k-th fail; k = 0 only counts."""

    def __init__(self, monkeypatch, fail_at=0, error=errno.EIO):
        self.count, self.fail_at, self.error = 0, fail_at, error
        for owner, name in ((os, "open"), (os, "write"), (os, "fsync"), (Path, "replace")):
            monkeypatch.setattr(owner, name, self.wrapped(getattr(owner, name)))

    def wrapped(self, real):
        def operation(*args):
            self.count += 1
            if self.count == self.fail_at:
                raise OSError(self.error, os.strerror(self.error))
            return real(*args)

        return operation


def refused(path, error=errno.EIO):
    with pytest.raises(StorageError) as caught, storage.storage_errors(path):
        raise OSError(error, os.strerror(error))
    return str(caught.value)


def run_all(scripts):
    processes = [subprocess.Popen([sys.executable, "-c", script]) for script in scripts]
    assert [process.wait(60) for process in processes] == [0] * len(scripts)


@pytest.mark.parametrize(("data", "stored"), [("é\n", "é\n".encode()), (b"\x00\xff", b"\x00\xff"), ("", b"")])
def test_atomic_write_makes_and_replaces_a_file(tmp_path, data, stored):
    path = tmp_path / "file"
    storage.write_atomically(path, "before")
    storage.write_atomically(path, data)
    assert path.read_bytes() == stored
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_honours_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        storage.write_atomically(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_atomic_write_replaces_a_link_and_leaves_its_target(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    storage.write_atomically(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "precious"
    assert (tmp_path / "link").read_text() == "new"
    assert not (tmp_path / "link").is_symlink()


def test_atomic_write_goes_on_after_short_writes(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    storage.write_atomically(tmp_path / "file", "ten letters")
    assert (tmp_path / "file").read_text() == "ten letters"


def number_of_operations(path):
    with pytest.MonkeyPatch.context() as patch:
        disk = FaultyDisk(patch)
        storage.write_atomically(path, "new")
    return disk.count


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_every_failing_operation_is_told_and_leaves_a_whole_file(tmp_path, error):
    path = tmp_path / "file"
    total = number_of_operations(path)
    assert total == 6  # open, write, sync, rename; then open and sync of the folder
    for k in range(1, total + 1):
        path.write_text("old")
        with pytest.MonkeyPatch.context() as patch:
            FaultyDisk(patch, k, error)
            with pytest.raises(StorageError, match=r"file: can't write: .* bytes free; "):
                storage.write_atomically(path, "new")
        assert path.read_text() == ("old" if k <= 4 else "new")
        assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_dies_at_any_operation_leaves_a_whole_file(tmp_path):
    script = """
        import os, sys
        from pathlib import Path
        from normlab.runs import files as storage

        path, folder = Path(sys.argv[1]), Path(sys.argv[1]).parent
        for k in range(1, 8):
            path.write_text("old")
            child = os.fork()
            if child == 0:
                count = 0
                def dying(real):
                    def operation(*args):
                        global count
                        count += 1
                        if count == k:
                            os._exit(9)
                        return real(*args)
                    return operation
                os.open, os.write, os.fsync = dying(os.open), dying(os.write), dying(os.fsync)
                Path.replace = dying(Path.replace)
                storage.write_atomically(path, "new")
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            storage.remove_leftovers(folder)
            print(k, status, path.read_text(), len(list(folder.iterdir())))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "file")],
        capture_output=True,
        text=True,
        check=True,
    )
    died = [f"{k} 9 old 1" for k in range(1, 5)] + [f"{k} 9 new 1" for k in (5, 6)]
    assert done.stdout.splitlines() == [*died, "7 0 new 1"]


def test_a_disk_that_is_really_full_is_told_with_path_and_bytes(tmp_path):
    script = f"""
        import resource
        from normlab.runs.files import write_atomically
        from normlab.errors import StorageError
        write_atomically({str(tmp_path / "file")!r}, "old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_atomically({str(tmp_path / "file")!r}, "n" * 5000)
        except StorageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    ).stdout
    assert done.startswith(f"{tmp_path / 'file'}: can't write: file too large, ")
    assert "bytes free" in done
    assert "ulimit -f" in done
    assert (tmp_path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (errno.ENOSPC, "no space left on device", "free some space there"),
        (errno.EDQUOT, "disk quota exceeded", "your quota is used up"),
        (errno.EACCES, "permission denied", "get permission"),
        (errno.EROFS, "read-only file system", "not on a read-only file system"),
        (errno.EIO, "input/output error", "the disk may be failing"),
        (errno.EMFILE, "too many open files", "fix the cause"),
    ],
)
def test_a_refusal_says_where_what_how_many_bytes_and_what_to_do(tmp_path, error, what, remedy):
    message = refused(tmp_path / "absent" / "file", error)
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/absent/file: can't write: {what}, [0-9,]+ bytes free; .*", message
    )
    assert remedy in message
    assert "--out" in message
    assert StorageError.status == ExitStatus.STORAGE == 6


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match=r"not a directory.*runs is a file, but a folder is needed"):
        storage.write_atomically(tmp_path / "runs" / "a" / "b.json", "x")
    with pytest.raises(StorageError, match=r"runs is a file, but a folder is needed"):
        storage.claim_directory(tmp_path / "runs", "a")


def test_a_folder_that_is_absent_is_told(tmp_path):
    with pytest.raises(StorageError, match=r"no such file or directory, .*check the path"):
        storage.write_atomically(tmp_path / "absent" / "file", "x")


def test_only_refusals_of_the_system_are_translated(tmp_path):
    with pytest.raises(KeyError), storage.storage_errors(tmp_path):
        raise KeyError("own")


def test_folders_that_cannot_be_synced_are_let_pass(tmp_path, monkeypatch):
    def unable(_descriptor):
        raise OSError(errno.EINVAL, "no sync of folders")

    monkeypatch.setattr(os, "fsync", unable)
    storage.sync_directory(tmp_path)


def test_json_is_written_in_the_given_order_and_read_back(tmp_path):
    content = {"b": [1, 0.1, None, "é"], "a": {"z": True}}
    storage.write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text()
    assert text.endswith("}\n")
    assert text.index('"b"') < text.index('"a"')
    assert storage.read_json(tmp_path / "x.json") == content


def test_json_never_holds_what_is_not_finite(tmp_path):
    storage.write_json(tmp_path / "x.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert storage.read_json(tmp_path / "x.json") == 1


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"a": 1,\n "b": }', r"x\.json:2:7: expecting value"),
        (b"", r"x\.json:1:1: expecting value"),
        (b'{"a": NaN}', r"x\.json: NaN is not valid in JSON"),
        (b'{"a": -Infinity}', r"x\.json: -Infinity is not valid in JSON"),
        (b'"\xff"', r"x\.json: .*can't decode byte 0xff"),
        (b"[" * 200_000, r"x\.json: nested too deeply"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(tmp_path, raw, told):
    (tmp_path / "x.json").write_bytes(raw)
    with pytest.raises(StorageError, match=told + r".*expected JSON as normlab writes it"):
        storage.read_json(tmp_path / "x.json")


def test_what_is_no_ordinary_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(StorageError, match="not a regular file"):
            storage.read_json(path)
    with pytest.raises(StorageError, match="absent: can't read: no such file or directory; check the path"):
        storage.read_bytes(tmp_path / "absent")


def test_lines_of_eight_processes_never_mix(tmp_path):
    path = tmp_path / "lines"
    script = (
        "from normlab.runs.files import append_line\n"
        "for number in range(100):\n"
        "    append_line({path!r}, '{who}:' + str(number) + ':' + '{who}' * 2000)\n"
    )
    run_all([script.format(path=str(path), who=who) for who in "abcdefgh"])
    lines = path.read_text().splitlines()
    wanted = {f"{who}:{number}:{who * 2000}" for who in "abcdefgh" for number in range(100)}
    assert len(lines) == 800
    assert set(lines) == wanted


def test_a_line_has_no_newline_inside(tmp_path):
    with pytest.raises(ValueError, match="can't contain a newline"):
        storage.append_line(tmp_path / "lines", "a\nb")
    assert not (tmp_path / "lines").exists()


def test_a_line_cut_short_is_no_success(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:2]))
    with pytest.raises(StorageError, match="lines: can't write: no space left on device"):
        storage.append_line(tmp_path / "lines", "long")


def test_each_folder_is_claimed_by_exactly_one_of_many_processes(tmp_path):
    script = (
        "from normlab.runs.files import append_line, claim_directory\n"
        "for number in range(25):\n"
        "    try:\n"
        "        claim_directory({root!r}, 'mnist', 'run-' + str(number))\n"
        "    except FileExistsError:\n"
        "        continue\n"
        "    append_line({won!r}, str(number))\n"
    )
    run_all([script.format(root=str(tmp_path / "a" / "runs"), won=str(tmp_path / "won"))] * 8)
    assert sorted(map(int, (tmp_path / "won").read_text().split())) == list(range(25))
    assert len(list((tmp_path / "a" / "runs" / "mnist").iterdir())) == 25


def test_a_folder_is_claimed_only_once_and_kept(tmp_path):
    folder = storage.claim_directory(tmp_path, "mnist_bn", "batch-s0-0123abcd")
    assert folder == tmp_path / "mnist_bn" / "batch-s0-0123abcd"
    assert folder.is_dir()
    (folder / "file").write_text("x")
    with pytest.raises(FileExistsError):
        storage.claim_directory(tmp_path, "mnist_bn", "batch-s0-0123abcd")
    assert (folder / "file").read_text() == "x"


HOSTILE = ["../x", "/etc/x", "a/b", "..", ".", "", ".hidden", "CON", "nul.txt", "com1", "x" * 300, "a\nb", "a\x00b"]
HOSTILE += ["..\\x", "%00", "\u0430dmin", "\ufb01le", "a\uff0fb", "x.", "x ", "-rf", "~root", "\ud800", "\u202egpj"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_becomes_a_safe_one_and_is_never_claimed_as_it_is(tmp_path, name):
    root = tmp_path / "root"
    safe = storage.safe_name(name)
    assert SAFE.fullmatch(safe)
    with pytest.raises(StorageError, match=re.escape(safe)):
        storage.claim_directory(root, "good", name)
    assert not list(tmp_path.iterdir())
    assert storage.claim_directory(root, safe).parent == root


@pytest.mark.parametrize("name", ["batch", "mnist_bn", "batch-s0-0123abcd", "a=1,b=2+c", "A.b", "9", "x" * 100])
def test_a_name_that_serves_stays_as_it_is(name):
    assert storage.safe_name(name) == name


@settings(deadline=None)  # a shared machine is slow at times
@given(st.text(max_size=120), st.text(max_size=120))
def test_safe_names_are_safe_stable_and_different_for_different_texts(one, other):
    safe = storage.safe_name(one)
    assert SAFE.fullmatch(safe)
    assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", safe, re.IGNORECASE)
    assert storage.safe_name(safe) == safe
    assert (safe == storage.safe_name(other)) == (one == other)


def test_a_link_that_leads_out_of_the_root_is_refused(tmp_path):
    root, outside = tmp_path / "runs", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "mnist").symlink_to(outside)
    with pytest.raises(StorageError, match=r"points outside of .*runs, to .*outside"):
        storage.claim_directory(root, "mnist", "run")
    assert not list(outside.iterdir())


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a\x00b"])
def test_a_path_out_of_the_root_is_refused(tmp_path, path):
    with pytest.raises(StorageError, match=r"points outside of|not a path"):
        storage.inside(tmp_path, tmp_path / path)


def test_a_path_in_the_root_is_given_as_it_really_is(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert storage.inside(tmp_path / "root", tmp_path / "root" / "a" / ".." / "b") == tmp_path.resolve() / "real" / "b"
    assert storage.inside(tmp_path / "root", tmp_path / "root") == tmp_path.resolve() / "real"


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / storage.temporary_name()).write_text("half")
    unfinished = tmp_path / storage.temporary_name()
    unfinished.mkdir()
    (unfinished / "file").write_text("half")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("x")
    (tmp_path / storage.temporary_name()).symlink_to(tmp_path / "elsewhere")
    storage.remove_leftovers(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["elsewhere", "result.json"]
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_checksum_is_the_start_of_sha256():
    assert storage.checksum("abc") == "ba7816bf"  # FIPS 180-2, appendix B.1
