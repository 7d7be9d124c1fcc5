from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import environment, normlab, process

from normlab import api

SPEC = """\
name: tiny
dataset: {name: synthetic, shape: [1, 4, 4], classes: 4, train: 64, validation: 16, test: 32}
model: {name: mlp, hidden: [8]}
norm: batch
optimizer: {name: sgd, learning_rate: 0.1}
training: {steps: 6, batch_size: 16}
evaluation: {every: 2}
"""

PLUGIN = '''
from normlab import Norm, NormLayer, hookimpl

class Double(NormLayer):
    """Doubles activations."""
    def hybrid_forward(self, F, x):
        return 2 * x

@hookimpl
def normlab_norms():
    yield Norm("double", layer=Double)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An own working directory with `tiny.yaml` in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def is_ours(path):
    """Whether it is a file, and not Python's cache of a plugin's bytecode."""
    return path.is_file() and path.parent.name != "__pycache__"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if is_ours(path)}


def spec_with(**lines):
    """The text of the spec, with other lines for some of its keys."""
    kept = [line for line in SPEC.splitlines() if line.partition(":")[0] not in lines]
    return "\n".join([*kept, *(f"{key}: {value}" for key, value in lines.items() if value is not None)]) + "\n"


@pytest.mark.usefixtures("folder")
def test_run_prints_accuracies_table_and_paths_and_writes_them(capsys):
    ended = normlab(capsys, "run", "tiny.yaml")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("tiny: norm batch, seed 0, 6 steps on cpu")
    accuracies = r"train accuracy \d\.\d{4}, test accuracy \d\.\d{4}"
    for step, line in zip((2, 4, 6), lines[1:]):
        assert re.fullmatch(rf"\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\] Step {step}, {accuracies}", line)
    assert "\x1b" not in ended.out
    paths = dict(line.split() for line in lines[-6:])
    assert {"history", "plot", "result", "spec", "environment", "checkpoint"} == set(paths)
    assert all(Path(path).exists() for path in paths.values())
    assert all(Path(path).is_relative_to("runs/tiny") for path in paths.values())


def test_quiet_run_prints_nothing(capsys, folder):
    assert normlab(capsys, "run", "tiny.yaml", "--quiet") == (0, "", "")
    assert list(folder.glob("runs/tiny/*/result.json"))


@pytest.mark.usefixtures("folder")
def test_json_run_prints_one_object_and_nothing_else(capsys):
    ended = normlab(capsys, "run", "tiny.yaml", "--json")
    assert (ended.status, ended.err) == (0, "")
    result = json.loads(ended.out)
    assert result["status"] == "completed"
    assert [record["step"] for record in result["history"]] == [2, 4, 6]
    assert result["history"][-1]["test_accuracy"] == result["final"]["test_accuracy"]
    assert {"seconds", "training_seconds", "evaluation_seconds"} <= set(result)
    assert Path(result["paths"]["plot"]).read_text(encoding="utf-8").startswith("<?xml")


def test_run_goes_where_it_is_told_with_seed_and_settings(capsys, folder):
    ended = normlab(
        capsys, "run", "tiny.yaml", "--out", "elsewhere", "--seed", "3", "-s", "norm=none",
        "--set", "training.steps=4", "--device", "cpu", "--json",
    )  # fmt: skip
    result = json.loads(ended.out)
    assert (result["seed"], result["norm"], result["steps"]) == (3, "none", 4)
    assert result["directory"].startswith("elsewhere/tiny/none-s3-")
    assert not (folder / "runs").exists()


def test_same_run_again_is_found_not_trained(capsys, folder):
    first = json.loads(normlab(capsys, "run", "tiny.yaml", "--json").out)
    before = contents(folder)
    told = normlab(capsys, "run", "tiny.yaml")
    assert told.status == 0
    assert told.out.startswith(f"this run is stored already: {first['directory']}; --again trains it once more")
    assert "Step" not in told.out
    assert json.loads(normlab(capsys, "run", "tiny.yaml", "--json").out) == first
    assert contents(folder) == before


@pytest.mark.usefixtures("folder")
def test_again_trains_the_run_once_more(capsys):
    first = json.loads(normlab(capsys, "run", "tiny.yaml", "--json").out)
    again = json.loads(normlab(capsys, "run", "tiny.yaml", "--json", "--again").out)
    assert again["directory"] == first["directory"]
    assert again["parameters_digest"] == first["parameters_digest"]
    assert again["seconds"] != first["seconds"]


def test_plugin_file_is_loaded_for_the_run(capsys, folder):
    (folder / "double.py").write_text(PLUGIN, encoding="utf-8")
    ended = normlab(capsys, "run", "tiny.yaml", "--plugin", "double.py", "-s", "norm=double", "--json")
    assert ended.status == 0, ended.err
    assert json.loads(ended.out)["norm"] == "double"


@pytest.mark.parametrize("option", [[], ["--no-plugins"]])
@pytest.mark.usefixtures("folder")
def test_foreign_plugins_are_off_for_a_run_that_says_so_and_no_longer(capsys, monkeypatch, option):
    monkeypatch.setenv("NORMLAB_PLUGINS", "some")
    seen = []
    monkeypatch.setattr(api, "run", lambda *_, **__: seen.append(os.environ["NORMLAB_PLUGINS"]))
    normlab(capsys, "run", "tiny.yaml", "--quiet", *option)
    assert seen == ["" if option else "some"]
    assert os.environ["NORMLAB_PLUGINS"] == "some"


def test_diverged_run_ends_with_its_status_and_is_stored_as_such(capsys, folder):
    (folder / "tiny.yaml").write_text(spec_with(optimizer="{name: sgd, learning_rate: 1.0e+30}"), encoding="utf-8")
    ended = normlab(capsys, "run", "tiny.yaml", "--json")
    assert ended.status == 3
    result = json.loads(ended.out)
    assert result["status"] == "diverged"
    assert result["final"]["train_accuracy"] is None
    assert 1 <= len(ended.err.splitlines()) <= 5
    assert "diverged" in ended.err


BAD_SPECS = {
    "broken YAML": ("training: {steps: 6", r"tiny\.yaml:\d+:\d+: "),
    "tabs": (SPEC + "\tx: 1\n", r"tiny\.yaml:8:1: "),
    "empty": ("", r"tiny\.yaml"),
    "unknown key": (SPEC + "optimiser: sgd\n", r"tiny\.yaml:8:1: optimiser: unknown key.*did you mean 'optimizer'\?"),
    "unknown key in a block": (spec_with(training="{stps: 6}"), r"tiny\.yaml:7:12: .*did you mean 'steps'\?"),
    "unknown norm": (spec_with(norm="bacth"), r"tiny\.yaml:7:7: .*unknown norm 'bacth'; did you mean 'batch'\?"),
    "unknown model": (spec_with(model="mpl"), r"tiny\.yaml:7:8: .*did you mean 'mlp'\?"),
    "unknown data set": (spec_with(dataset="mnits"), r"tiny\.yaml:7:10: .*did you mean 'mnist'\?"),
    "unknown optimizer": (spec_with(optimizer="sgdd"), r"tiny\.yaml:7:12: .*did you mean 'sgd'\?"),
    "unknown parameter": (spec_with(norm="{name: batch, epsilno: 1}"), r"tiny\.yaml:7:21: .*did you mean 'epsilon'\?"),
    "wrong type": (spec_with(training="{steps: many}"), r"tiny\.yaml:7:19: .*steps.*'many'"),
    "wrong type of a parameter": (
        spec_with(norm="{name: batch, epsilon: tiny}"),
        r"tiny\.yaml:7:30: .*epsilon.*'tiny'",
    ),
    "out of bounds": (spec_with(training="{steps: 0}"), r"tiny\.yaml:7:19: .*steps"),
    "parameter out of bounds": (spec_with(norm="{name: batch, momentum: 2}"), r"tiny\.yaml:7:31: .*momentum"),
    "missing block": (spec_with(model=None), r"tiny\.yaml.*model"),
    "batch larger than the data": (spec_with(training="{steps: 6, batch_size: 65}"), r"tiny\.yaml:7.*batch_size"),
    "duplicate key": (SPEC + "norm: none\n", r"tiny\.yaml:8:1: "),
    "a boolean in old YAML's words": (spec_with(norm="no"), r"tiny\.yaml:7:7: "),
    "not finite": (spec_with(optimizer="{name: sgd, learning_rate: .nan}"), r"tiny\.yaml:7"),
}


@pytest.mark.parametrize(("text", "expected"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_bad_spec_is_told_with_its_place_in_few_lines(capsys, folder, text, expected):
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    assert_refused(capsys, folder, 2, expected, "run", "tiny.yaml")


BAD_USAGE = {
    "missing file": (["tinny.yaml"], r"tinny\.yaml: no such file.*did you mean '?tiny\.yaml"),
    "a folder": (["."], r"\.: "),
    "setting without value": (["tiny.yaml", "-s", "seed"], r"-s seed"),
    "unknown setting": (["tiny.yaml", "-s", "optimizer.learning_rat=1"], r"did you mean 'learning_rate'\?"),
    "ill-typed setting": (["tiny.yaml", "-s", "training.steps=x"], r"-s training\.steps=x: "),
    "negative seed": (["tiny.yaml", "--seed", "-1"], r"--seed"),
    "seed that is no number": (["tiny.yaml", "--seed", "one"], r"--seed.*'one'"),
    "unknown device": (["tiny.yaml", "--device", "tpu"], r"tpu"),
    "absent GPU": (["tiny.yaml", "--device", "gpu:7"], r"gpu"),
    "unknown option": (["tiny.yaml", "--sed", "1"], r"--seed"),
}


@pytest.mark.parametrize(("arguments", "expected"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_is_told_in_few_lines(capsys, folder, arguments, expected):
    assert_refused(capsys, folder, 2, expected, "run", *arguments)


BAD_PLUGINS = {
    "absent": (None, r"mine\.py.*no such file"),
    "that does not import": ("import no_such_module_at_all\n", r"mine\.py.*no_such_module_at_all"),
    "that ends the process": ("import sys\nsys.exit(3)\n", r"mine\.py.*SystemExit"),
    "without a hook": ("x = 1\n", r"mine\.py.*no hook"),
    "that shadows a built-in norm": (PLUGIN.replace('"double"', '"batch"'), r"mine\.py.*'batch' is taken"),
}


@pytest.mark.parametrize(("text", "expected"), BAD_PLUGINS.values(), ids=BAD_PLUGINS)
def test_bad_plugin_stops_the_run_that_names_it(capsys, folder, text, expected):
    if text is not None:
        (folder / "mine.py").write_text(text, encoding="utf-8")
    assert_refused(capsys, folder, 4, expected, "run", "tiny.yaml", "--plugin", "mine.py")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", b"no archive at all"])
def test_absent_or_damaged_data_are_told_with_the_file(capsys, folder, content):
    if content is not None:
        (folder / "own.npz").write_bytes(content)
    (folder / "tiny.yaml").write_text(spec_with(dataset="{name: arrays, path: own.npz}"), encoding="utf-8")
    assert_refused(capsys, folder, 5, r"own\.npz", "run", "tiny.yaml")


def test_output_that_is_a_file_is_told(capsys, folder):
    (folder / "taken").write_text("precious", encoding="utf-8")
    assert_refused(capsys, folder, 6, r"taken", "run", "tiny.yaml", "--out", "taken")
    assert (folder / "taken").read_text(encoding="utf-8") == "precious"


def test_output_that_can_not_be_made_is_told(capsys, folder):
    assert_refused(capsys, folder, 6, r"/proc/normlab", "run", "tiny.yaml", "--out", "/proc/normlab")


def assert_refused(capsys, folder, status, expected, *arguments):
    """The command ends with this status, few lines on standard error, and nothing changed on disk."""
    before = contents(folder)
    ended = normlab(capsys, *arguments)
    assert ended.status == status, ended.err
    assert re.search(expected, ended.err), ended.err
    assert "Traceback" not in ended.err
    assert 1 <= len(ended.err.splitlines()) <= 5, ended.err
    assert ended.out == ""
    assert contents(folder) == before
    assert not (folder / "runs").exists()


def test_debug_shows_the_traceback_of_a_bad_spec(capsys, folder):
    (folder / "tiny.yaml").write_text(spec_with(norm="bacth"), encoding="utf-8")
    assert "Traceback (most recent call last)" in normlab(capsys, "run", "tiny.yaml", "--debug").err


def test_bad_spec_is_refused_before_mxnet_is_imported(folder):
    (folder / "tiny.yaml").write_text(spec_with(norm="bacth"), encoding="utf-8")
    text = (
        "import atexit, sys; atexit.register(lambda: print('mxnet' in sys.modules))\n"
        "from normlab.cli import main; main(['run', 'tiny.yaml'])"
    )
    done = subprocess.run([sys.executable, "-c", text], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == "False\n"


def test_process_of_a_run_writes_nothing_but_its_lines(folder):
    ended = process("run", "tiny.yaml", cwd=folder)
    assert ended.status == 0
    assert ended.err == ""
    assert ended.out.startswith("tiny: ")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_ends_soon_and_says_how_to_go_on(folder, number, status):
    command = [sys.executable, "-m", "normlab", "run", "tiny.yaml", "--again", "-s", "training.steps=1000000"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout.readline().startswith("tiny: ")
            assert "Step 2," in run.stdout.readline()
            run.send_signal(number)
            _, err = run.communicate(timeout=30)
        finally:
            run.kill()
    assert run.returncode == status
    assert err.splitlines()[-1] == "to resume: normlab run tiny.yaml -s training.steps=1000000"
    assert re.match(r"interrupted after step \d+ of 1000000", err)
    assert "Traceback" not in err
    (result,) = folder.glob("runs/tiny/*/result.json")
    assert json.loads(result.read_text())["status"] == "interrupted"


def test_run_whose_lines_nobody_reads_is_finished_all_the_same(folder):
    command = [sys.executable, "-m", "normlab", "run", "tiny.yaml", "-s", "training.steps=60"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 0
    assert len(list(folder.glob("runs/tiny/*/result.json"))) == 1
