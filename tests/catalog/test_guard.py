"""Output and global side effects of plugins are contained, and reported as remarks."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_tools import normlab
from plugin_support import GOOD, write

from normlab.catalog import catalog

HOOK = "def normlab_norms():\n"


def at_import(code):
    return f"{code}\n{GOOD}"


def in_hook(code):
    return GOOD.replace(HOOK, f"{HOOK}    {code}\n")


def remark_of(found):
    (record,) = [each for each in found.plugins if each.explicit]
    assert record.status == "ok"
    return record.remark


def read_global_state():
    """Return the next draws of the global generators, and the current folder."""
    return random.random(), np.random.standard_normal(5).tolist(), str(Path.cwd())  # noqa: S311 - no secret


both_places = pytest.mark.parametrize("place", [at_import, in_hook])


@both_places
@pytest.mark.parametrize(
    "code", ["print('hello')", "import sys; sys.stderr.write('hello')", "import sys; sys.stdout.buffer.write(b'hello')"]
)
def test_output_of_a_plugin_is_captured_and_reported(place, code, tmp_path, capfd):
    remark = remark_of(catalog([write(tmp_path / "mine.py", place(code))]))
    assert remark == "prints 'hello'"
    assert capfd.readouterr() == ("", "")


def test_long_output_with_control_characters_is_reported_on_one_short_line(tmp_path):
    code = "print('\\x1b[31m' + 'a\\n' * 1000)"
    remark = remark_of(catalog([write(tmp_path / "mine.py", at_import(code))]))
    assert remark.isprintable()
    assert len(remark) < 100


def test_json_output_is_valid_although_a_plugin_prints(capsys, tmp_path):
    file = write(tmp_path / "mine.py", at_import("print('hello')"))
    ended = normlab(capsys, "norms", "--plugin", file, "--json")
    assert ended.out.startswith("{")
    assert "hello" not in ended.out + ended.err


@both_places
@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import random; random.seed(0)", "Python's global random generator"),
        ("import random; random.random()", "Python's global random generator"),
        ("import numpy; numpy.random.seed(0)", "NumPy's global random generator"),
        ("import numpy; numpy.random.standard_normal(3)", "NumPy's global random generator"),
        ("import os; os.chdir('/')", "the current folder"),
    ],
)
def test_global_state_is_restored_and_reported(place, code, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random.seed(3)
    np.random.seed(3)
    expected = read_global_state()
    random.seed(3)
    np.random.seed(3)
    remark = remark_of(catalog([write(tmp_path / "mine.py", place(code))]))
    assert read_global_state() == expected
    assert remark == f"changes {what}, which was restored"


def test_global_state_is_restored_after_a_plugin_that_fails(tmp_path):
    random.seed(3)
    before = random.getstate()
    file = write(tmp_path / "mine.py", "import random\nrandom.seed(0)\nprint('bye')\n1 / 0\n")
    (record,) = [each for each in catalog([file]).plugins if each.explicit]
    assert record.status == "broken"
    assert record.remark == "prints 'bye'; changes Python's global random generator, which was restored"
    assert random.getstate() == before


def test_plugin_that_imports_mxnet_is_reported(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    file = write(tmp_path / "mine.py", at_import("import sys; sys.modules['mxnet'] = sys"))
    try:
        assert "imports MXNet" in remark_of(catalog([file]))
    finally:
        sys.modules.pop("mxnet", None)


def test_plugins_load_in_a_deleted_folder(tmp_path, monkeypatch):
    file = write(tmp_path / "mine.py", GOOD)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert remark_of(catalog([file])) == ""


def test_good_plugin_has_no_remark(tmp_path):
    assert remark_of(catalog([write(tmp_path / "mine.py", GOOD)])) == ""


def test_plugin_that_closes_stdout_has_no_remark(tmp_path):
    assert remark_of(catalog([write(tmp_path / "mine.py", at_import("import sys; sys.stdout.close()"))])) == ""
