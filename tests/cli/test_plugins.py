"""`normlab plugins`."""

from __future__ import annotations

import json

from cli_tools import normlab
from plugin_support import BAD, GOOD, distribution, method, site, write

__all__ = ["site"]  # a fixture is used by its name alone


def test_installed_plugin_is_listed_with_distribution_version_file_and_hooks(capsys, site):
    distribution(site, "normlab-mine", {"mine": GOOD}, version="2.3")
    ended = normlab(capsys, "plugins")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(
        "mine: ok\n"
        "  from    normlab-mine 2.3\n"
        f"  file    {site / 'mine.py'}\n"
        "  hooks   normlab_norms\n"
        "  brings  norms wanted\n\n"
    )


def test_broken_plugin_is_listed_with_status_and_reason(capsys, site):
    distribution(site, "normlab-bad", {"bad_module": BAD["misspelt_hook"].text})
    out = normlab(capsys, "plugins").out
    assert out.startswith("bad_module: broken\n  from    normlab-bad 1.0\n")
    assert "  reason  unknown hook 'normlab_norm'; did you mean 'normlab_norms'?" in out


def test_what_comes_with_normlab_is_summed_up_unless_all_is_asked(capsys, site):
    short = normlab(capsys, "plugins").out
    assert "normlab.norms.batch" not in short
    assert "of its own, all ok; normlab plugins --all lists them" in short
    long = normlab(capsys, "plugins", "--all").out
    assert "normlab.norms.batch: ok\n" in long
    assert "all ok" not in long


def test_named_file_that_is_broken_gives_status_4_and_is_listed(capsys, tmp_path):
    file = write(tmp_path / "bad.py", "1 / 0")
    ended = normlab(capsys, "plugins", "--plugin", file)
    assert ended.status == 4
    assert f"{file}: broken\n" in ended.out
    assert "ZeroDivisionError" in ended.out


def test_remark_is_listed(capsys, tmp_path):
    file = write(tmp_path / "loud.py", "print('hello')\n" + GOOD)
    ended = normlab(capsys, "plugins", "--plugin", file)
    assert ended.status == 0
    assert "  remark  prints 'hello'\n" in ended.out


def test_json_has_every_plugin_with_all_that_is_known(capsys, site, tmp_path):
    distribution(site, "normlab-mine", {"mine": GOOD})
    file = write(tmp_path / "bad.py", "1 / 0")
    ended = normlab(capsys, "plugins", "--plugin", file, "--json")
    assert (ended.status, ended.err) == (4, "")
    found = {each["name"]: each for each in json.loads(ended.out)["plugins"]}
    assert found["mine"] == {
        "name": "mine",
        "status": "ok",
        "reason": "",
        "remark": "",
        "distribution": "normlab-mine",
        "version": "1.0",
        "file": str(site / "mine.py"),
        "explicit": False,
        "hooks": ["normlab_norms"],
        "brings": {"normlab_norms": ["wanted"]},
    }
    assert (found[file]["status"], found[file]["explicit"]) == ("broken", True)
    assert found["normlab.norms.none"]["distribution"] == "normlab"


def test_no_plugins_lists_them_as_switched_off(capsys, site):
    distribution(site, "normlab-mine", {"mine": method("mine")})
    out = normlab(capsys, "plugins", "--no-plugins").out
    assert "mine: disabled\n" in out
    assert "  reason  disabled by --no-plugins or NORMLAB_PLUGINS\n" in out


def test_plugin_that_brings_several_kinds_says_so(capsys, tmp_path):
    load = "def load(*, size: int = 1): ...\n"
    text = f"{GOOD}\n{load}@hookimpl\ndef normlab_datasets():\n    yield DataSource('data', load)\n"
    out = normlab(capsys, "plugins", "--plugin", write(tmp_path / "two.py", text)).out
    assert "  brings  norms wanted; data sets data\n" in out
