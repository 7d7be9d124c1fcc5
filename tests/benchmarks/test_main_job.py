"""`benchmarks/main_job.py` and the modules that it uses."""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def main_job(_on_path):
    return importlib.import_module("main_job")


@pytest.fixture
def turns(_on_path):
    return importlib.import_module("turns")


@pytest.fixture
def child(_on_path):
    return importlib.import_module("child")


def python(code):
    return [sys.executable, "-c", code]


#: Measures a program from a small process, like the runner: until its exec, a child counts its parent's memory.
MEASURE = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import child
program = "import json, time; x = b'x' * 10**8; time.sleep(.2); print(json.dumps({'a': 1}))"
print(json.dumps(child.measure([sys.executable, "-c", program], pathlib.Path.cwd())))
"""


def test_measures_time_memory_and_result_of_a_program(tmp_path):
    command = [*python(MEASURE), str(BENCHMARKS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    seconds, processor_seconds, peak_memory, result = json.loads(done.stdout)
    assert result == {"a": 1}
    assert 0.2 <= seconds < 20
    assert 0 < processor_seconds < 20
    assert 1e8 < peak_memory < 3e8


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; print('{}'); sys.exit('out of paper')", "exit status 1\nout of paper"),
        ("print('not json')", "exit status 0"),
        ("print('[1]')", "exit status 0"),
    ],
)
def test_program_without_a_result_is_an_error_with_its_output(child, tmp_path, code, told):
    with pytest.raises(child.ProgramError, match=told):
        child.measure(python(code), tmp_path)


def test_missing_program_is_named(child, tmp_path):
    with pytest.raises(child.ProgramError, match="no-such-program"):
        child.measure([str(tmp_path / "no-such-program")], tmp_path)


def test_every_peer_has_its_program_and_pinned_requirements(main_job):
    environments = importlib.import_module("environments")
    assert set(main_job.PEERS.values()) == set(environments.names())
    for peer, name in main_job.PEERS.items():
        assert (BENCHMARKS / "peers" / f"{peer}.py").is_file()
        requirements = (environments.REQUIREMENTS / f"{name}.txt").read_text().split()
        assert all("==" in requirement for requirement in requirements)


@pytest.fixture
def environments(monkeypatch, tmp_path, _on_path):
    """The module with one small requirement file, where nothing is really installed."""
    module = importlib.import_module("environments")
    (tmp_path / "abacus.txt").write_text("abacus==1.0\n")
    monkeypatch.setattr(module, "REQUIREMENTS", tmp_path)
    module.done = []

    def run(command, **_check):
        module.done.append(command)
        (tmp_path / "envs" / "abacus").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(module.subprocess, "run", run)
    return module


def options(turns, monkeypatch, tmp_path, *arguments):
    monkeypatch.setattr(sys, "argv", ["main_job.py", "--envs", str(tmp_path / "envs"), *arguments])
    return turns.options("")


def test_environment_is_built_once_and_again_when_its_requirements_change(turns, monkeypatch, tmp_path, environments):
    chosen = options(turns, monkeypatch, tmp_path, "--build")
    for _ in range(2):
        assert turns.pythons(chosen) == {"abacus": str(tmp_path / "envs" / "abacus" / "bin" / "python")}
        assert len(environments.done) == 2  # venv and pip
    (tmp_path / "abacus.txt").write_text("abacus==2.0\n")
    turns.pythons(chosen)
    assert len(environments.done) == 4


def test_nothing_is_built_without_the_option(turns, monkeypatch, tmp_path, environments):
    assert turns.pythons(options(turns, monkeypatch, tmp_path)) == {}
    assert turns.pythons(options(turns, monkeypatch, tmp_path, "--env", f"abacus={sys.executable}", "--build")) == {
        "abacus": sys.executable
    }
    assert environments.done == []


def test_environment_that_cannot_be_built_is_reported_and_not_used(turns, monkeypatch, tmp_path, environments, capsys):
    def run(command, **_check):
        if "pip" in command:
            raise environments.subprocess.CalledProcessError(7, command)

    monkeypatch.setattr(environments.subprocess, "run", run)
    assert turns.pythons(options(turns, monkeypatch, tmp_path, "--build")) == {}
    assert "abacus: no environment, exit status 7" in capsys.readouterr().err
    assert turns.pythons(options(turns, monkeypatch, tmp_path)) == {}


def test_description_of_the_machine_does_not_name_it():
    told = importlib.import_module("machine").describe()
    assert "cores" in told
    assert "memory" in told
    assert platform.node() not in told


def test_resnet_is_set_against_both_layouts_round_by_round(monkeypatch, capsys, turns, child, tmp_path):
    resnet20 = importlib.import_module("resnet20")
    figures = {"normlab": (10, 4), "torch nchw": (20, 4), "torch channels_last": (5, 8)}

    def taken(programs, rounds):
        assert rounds == 2
        return {
            name: [child.Measured(1, 1, 1, {"framework": name, "step_ms": slow * step, "predict_ms": slow * predict})
                   for slow in (1, 10)]
            for name, (step, predict) in figures.items()
            if name in programs
        }  # fmt: skip

    monkeypatch.setattr(turns, "run_in_turn", taken)
    monkeypatch.setattr(sys, "argv", ["resnet20.py", "--rounds", "2", "--env", f"torch={sys.executable}"])
    assert resnet20.main() == 0
    out = capsys.readouterr().out
    assert "| torch nchw | 110.0 (0.50) | 22.0 (1.00) |" in out
    assert "| torch channels_last | 27.5 (2.00) | 44.0 (0.50) |" in out
    monkeypatch.setattr(sys, "argv", ["resnet20.py", "--rounds", "2", "--envs", str(tmp_path)])
    assert resnet20.main() == 0
    assert "torch: left out" in capsys.readouterr().err


def measured(child, seconds, *, training=None):
    result = {"history": [{"test_accuracy": 0.5}]}
    if training is not None:
        result["training_seconds"] = training
    return child.Measured(seconds, 2 * seconds, 10**8, result)


def test_ratio_is_the_median_of_the_ratios_within_rounds(main_job, child):
    # the second round was slow for both: the medians alone would say 6 / 4
    runs = {
        "normlab": [measured(child, seconds) for seconds in (2, 20, 4)],
        "jax_jitted": [measured(child, seconds) for seconds in (4, 40, 6)],
    }
    assert main_job._table(runs)[3].startswith("| jax_jitted | 6.00 (2.00) |")


def test_figures_that_a_program_does_not_report_stay_empty(main_job, child):
    runs = {"normlab": [measured(child, 2)], "jax_jitted": [measured(child, 4, training=1)]}
    cells = [[cell.strip() for cell in line.split("|")] for line in main_job._table(runs)]
    training = cells[0].index("training, s (ratio)")
    assert [row[training] for row in cells[2:]] == ["-", "1.00"]


def test_normlab_is_compared_with_the_fastest_peer(main_job, child):
    runs = {name: [measured(child, seconds)] for name, seconds in (("normlab", 3), ("slow", 9), ("fast", 4))}
    assert main_job._summary(runs) == ["Whole process, normlab against the fastest peer (fast): 0.75"]


def test_programs_run_in_turn_and_a_failing_one_is_left_out(turns, monkeypatch, capsys, child):
    order = []

    def run(command):
        order.append(command)
        if command == "b" and len(order) > 3:
            raise child.ProgramError("it broke")
        return measured(child, 1)

    monkeypatch.setattr(turns, "_run", run)
    runs = turns.run_in_turn({"A": "a", "B": "b", "C": "c"}, 2)
    assert "".join(order) == "abccbaac"
    assert {name: len(measurements) for name, measurements in runs.items()} == {"A": 2, "C": 2}
    assert "B: failed, left out: it broke" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["jax=/no/such/python", "theano=" + sys.executable, "jax"])
def test_invalid_environment_is_refused(turns, monkeypatch, capsys, given):
    monkeypatch.setattr(sys, "argv", ["main_job.py", "--env", given])
    with pytest.raises(SystemExit, match="2"):
        turns.options("")
    assert f"--env {given}: expected NAME=PYTHON" in capsys.readouterr().err


def test_result_file_grows_by_a_section(turns, tmp_path):
    file = tmp_path / "RESULTS.md"
    file.write_text("# Results\n")
    turns.append(file, "main job", 3, ["a line"])
    turns.append(file, "main job", 5, ["another"])
    text = file.read_text()
    assert text.startswith("# Results\n\n## 20")
    assert text.index("medians of 3 rounds\n\na line\n") < text.index("medians of 5 rounds\n\nanother\n")


@pytest.fixture
def common(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    return importlib.import_module("common")


def test_peers_read_the_split_that_normlab_trains_on(common):
    from normlab.datasets.mnist import mnist  # noqa: PLC0415 - only this test needs it

    ours = mnist().splits
    for theirs, name in zip(common.mnist(BENCHMARKS.parent / "normlab" / "data" / "mnist"), ("train", "test")):
        assert (theirs.labels == ours[name].labels).all()
        assert theirs.images.shape == (len(theirs.labels), 784)
        assert theirs.images[7].tobytes() == (ours[name].images[7].reshape(784) * common.np.float32(1 / 255)).tobytes()


def test_peers_report_times_and_history_like_normlab(common, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peer.py", "--json", "--seed", "3"])
    watch = common.Stopwatch()
    with watch.timing("training"):
        watch.record(20, 0.25, 0.5)
    common.report(watch, "abacus 1.0", common.options("A peer."))
    result = json.loads(capsys.readouterr().out)
    assert result["history"] == [{"step": 20, "train_accuracy": 0.25, "test_accuracy": 0.5}]
    assert (result["framework"], result["seed"], result["variant"]) == ("abacus 1.0", 3, "bn")
    assert 0 <= result["training_seconds"] < result["startup_seconds"] < result["seconds"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the start of a process is known on Linux only")
def test_time_of_a_peer_starts_with_its_interpreter(common):
    age = common.time.monotonic() - common._process_start()
    assert 0 < age < 3600
    assert common._process_start() < common.IMPORTED
    assert os.times().elapsed > age
