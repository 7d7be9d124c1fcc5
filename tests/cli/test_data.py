from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from datasets_support import gzips, isolate, served, tiny, write

from normlab.cli.data import data
from normlab.datasets import plugin
from normlab.errors import DataError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path) / "datasets" / "fashion_mnist"


@pytest.fixture
def small(monkeypatch):
    """Put the tiny data set in the place of fashion_mnist, with these homes."""

    def put(*homes: str) -> None:
        shipped = replace(plugin.SHIPPED["fashion_mnist"], source=tiny(*homes))
        monkeypatch.setitem(plugin.SHIPPED, "fashion_mnist", shipped)

    return put


def invoke(*arguments: str):
    return CliRunner().invoke(data, arguments)


def test_the_list_says_what_there_is_and_where_it_would_come_from():
    result = invoke()
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert result.exit_code == 0
    assert list(lines) == ["name", *plugin.SHIPPED]
    assert "55,000" in lines["mnist"]
    assert f"present  {plugin.SHIPPED['mnist'].source.shipped}".split() == lines["mnist"].split()[-2:]
    assert lines["cifar10"].endswith("download (170 MB)  https://www.cs.toronto.edu/~kriz")
    assert lines["synthetic"].endswith("needs none")
    assert "\x1b" not in result.output


def test_the_list_is_to_be_had_as_json():
    records = {record["name"]: record for record in json.loads(invoke("--json").output)}
    assert list(records) == list(plugin.SHIPPED)
    assert records["mnist"]["sizes"] == {"train": 55_000, "validation": 5_000, "test": 10_000}
    assert records["mnist"]["licence"] == "CC BY-SA 3.0"
    assert records["cifar100"]["shape"] == [3, 32, 32]
    assert records["cifar100"]["places"][0] == {"where": "$NORMLAB_DATA", "state": "not set"}
    assert records["arrays"]["sizes"] is None


def test_fetch_brings_the_files_and_tells_their_terms(cache, small):
    with served(gzips()) as (home, asked):
        small(home)
        results = [invoke("fetch", "fashion_mnist") for _ in range(2)]
    for result in results:
        assert result.exit_code == 0
        assert f"verified, in {cache}\nlicence: MIT\ncite: Xiao" in result.output
    assert set(asked.values()) == {1}


def test_fetch_of_what_needs_no_files_says_so():
    assert invoke("fetch", "synthetic").output == "synthetic: needs no files\n"


def test_verify_tells_good_damaged_and_absent_files(cache, small):
    small("http://127.0.0.1:9")
    write(cache)
    good = invoke("verify")
    assert good.exit_code == 0
    assert good.output.count("good ") == 8
    assert "absent   6 files of cifar10" in good.output
    path = cache / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    bad = invoke("verify", "fashion_mnist")
    assert isinstance(bad.exception, DataError)
    assert str(bad.exception).startswith(f"{path}: damaged; expected")
    assert f"damaged  {path}: damaged gzip file" in bad.output
    assert bad.output.count("good ") == 3


def test_verify_of_a_named_data_set_that_is_not_here_fails(small):
    small("http://127.0.0.1:9")
    result = invoke("verify", "fashion_mnist")
    assert isinstance(result.exception, DataError)
    assert "is not here" in str(result.exception)


@pytest.mark.parametrize(("name", "hint"), [("cifar", "did you mean 'cifar10'?"), ("zzz", "expected one of mnist, ")])
def test_an_unknown_name_is_corrected(name, hint):
    result = invoke("fetch", name)
    assert result.exit_code == 2
    assert hint in result.output


def test_names_are_completed():
    found = ShellComplete(data, {}, "data", "_DATA_COMPLETE").get_completions(["fetch"], "cifar")
    assert [item.value for item in found] == ["cifar10", "cifar100"]


def test_help_shows_examples_and_needs_neither_numpy_nor_pydantic():
    code = (
        "import sys\n"
        "from normlab.cli.data import data\n"
        "data(['--help'], standalone_mode=False)\n"
        "print(sorted({'numpy', 'pydantic', 'mxnet', 'pooch'} & set(sys.modules)))\n"
    )
    here = Path(__file__).parents[2]
    output = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, check=True, text=True).stdout
    assert "  normlab data fetch fashion_mnist " in output
    assert output.endswith("[]\n")
