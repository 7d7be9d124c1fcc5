"""Studies as they run: workers, tuning, what is found stored, what is lost when something dies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_tools import environment
from study_support import SPEC, STUDY, TUNED, Recorder, design, written

from normlab import experiment
from normlab.runs.history import History
from normlab.runs.lock import locked
from normlab.study.execution import pool
from normlab.study.execution.jobs import Execution
from normlab.study.execution.locate import directory_of
from normlab.study.execution.pool import Pool, Task, WorkerProcess, thread_budget

#: Long enough to be caught in the middle, on a machine that does other things as well.
LONG = SPEC.replace("steps: 30", "steps: 600").replace("every: 10", "every: 100")


def executed(folder, study=STUDY, spec=SPEC, jobs=1, **keywords):
    watcher = Recorder()
    found = Execution(design(folder, study, spec), folder / "runs", watcher, **keywords).run(jobs, 1)
    return found, watcher


def digests(outcome):
    return {
        (arm.label, run.seed): (run.result.parameters_digest, run.final()) for arm in outcome.arms for run in arm.runs
    }


def finished(folder):
    return sorted(path.parent.name for path in (folder / "runs").glob("*/*/result.json"))


def wait_for(condition, what):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited in vain for {what}")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return folder, *executed(folder, TUNED, jobs=2)


def test_every_arm_is_tuned_by_the_same_trials_and_run_with_what_it_chose(tuned):
    _, outcome, watcher = tuned
    assert [arm.label for arm in outcome.arms] == ["none", "batch", "group"]
    for arm in outcome.arms:
        assert [trial.settings for trial in arm.trials] == [
            {"optimizer.learning_rate": value} for value in (0.01, 0.1, 1e30)
        ]
        assert [[run.seed for run in trial.runs] for trial in arm.trials] == [[1_000_000, 1_000_001]] * 3
        assert all(run.splits == ("validation",) and run.steps == [10] for trial in arm.trials for run in trial.runs)
        best = max((trial for trial in arm.trials if trial.score is not None), key=lambda trial: trial.score)
        assert arm.chosen == best.settings
        assert [run.seed for run in arm.runs] == [0, 1]
        assert all(run.splits == ("train", "test") and run.steps == [10, 20, 30] for run in arm.runs)
    assert watcher.of("planned") == [(("none", "batch", "group"), 8)]
    assert len(watcher.of("ended")) == 24
    assert not outcome.failures


def test_a_repeated_tuning_has_trials_a_choice_and_final_runs_of_its_own(tmp_path):
    text = TUNED.replace("repeats: 1, seeds: 2", "seeds: 1")
    outcome, watcher = executed(tmp_path, text, jobs=2)
    for arm in outcome.arms:
        assert [trial.repeat for trial in arm.trials] == [0, 0, 0, 1, 1, 1]
        assert [[run.seed for run in trial.runs] for trial in arm.trials] == [[1_000_000]] * 3 + [[1_000_001]] * 3
        for repeat, run in enumerate(arm.runs):
            feasible = [trial for trial in arm.trials if trial.repeat == repeat and trial.score is not None]
            best = max(feasible, key=lambda trial: trial.score).settings["optimizer.learning_rate"]
            assert arm.chosen["optimizer.learning_rate"][repeat] == best
            assert f"learning_rate: {best}" in (run.directory / "spec.yaml").read_text(encoding="utf-8")
    assert len(watcher.of("ended")) == 3 * (6 + 2)
    again, _ = executed(tmp_path, text, jobs=2)
    assert digests(again) == digests(outcome)


def test_a_diverged_trial_is_infeasible_and_stays(tuned):
    _, outcome, _ = tuned
    for arm in outcome.arms:
        assert arm.trials[-1].score is None
        assert [run.result.status for run in arm.trials[-1].runs] == ["diverged", "diverged"]


def test_a_run_in_a_worker_is_that_of_normlab_run_with_as_many_threads(tuned, tmp_path):
    _, outcome, _ = tuned
    stored = outcome.arms[1].runs[0]
    code = (
        "import sys; from normlab import experiment, load_spec; "
        "print(experiment.run(load_spec(sys.argv[1]), out=sys.argv[2]).result.parameters_digest)"
    )
    command = [sys.executable, "-c", code, str(stored.directory / "spec.yaml"), str(tmp_path)]
    done = subprocess.run(command, env=environment(OMP_NUM_THREADS="1"), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == stored.result.parameters_digest


def test_the_same_study_again_trains_nothing(tuned):
    folder, outcome, _ = tuned
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("result.json")}
    again, watcher = executed(folder, TUNED)
    assert not any(trained for *_, trained in watcher.of("ended"))
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("result.json")} == before
    assert again.arms == outcome.arms


def test_more_seeds_train_only_what_is_new(tuned):
    folder, _, _ = tuned
    _, watcher = executed(folder, TUNED.replace("seeds: 2\n", "seeds: 3\n", 1))
    new = [(label, phase, seed) for label, phase, seed, trained in watcher.of("ended") if trained]
    assert sorted(new) == [("batch", "final", 2), ("group", "final", 2), ("none", "final", 2)]


def test_a_failure_is_told_and_the_others_go_on(tmp_path):
    spec = SPEC.replace("validation: 50", "validation: 0")
    outcome, watcher = executed(tmp_path, TUNED, spec)
    assert outcome.failures == 18
    assert all("validation" in message for *_, message in watcher.of("failed"))
    assert all(arm.runs == () and arm.chosen == {} for arm in outcome.arms)


def test_fail_fast_begins_no_further_run(tmp_path):
    spec = SPEC.replace("validation: 50", "validation: 0")
    outcome, watcher = executed(tmp_path, TUNED, spec, fail_fast=True)
    assert len(watcher.of("failed")) == outcome.failures == 1


DEADLY = '''
"""A norm whose process dies."""
import os, signal
from pathlib import Path
from normlab import Norm, NormLayer, hookimpl

class Deadly(NormLayer):
    """Dies, but for the first time only if so asked.

    Args:
        mark: A file that remembers.
        once: Whether to die only once.
    """
    def __init__(self, mark: str, once: bool = False, **site):
        super().__init__(**site)
        if not (once and Path(mark).exists()):
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGSEGV)

    def hybrid_forward(self, F, x):
        return x

@hookimpl
def normlab_norms():
    yield Norm("deadly", layer=Deadly, formula="y = x", paper="none")
'''


@pytest.mark.parametrize("once", [True, False])
def test_a_worker_that_dies_costs_its_run_alone_and_that_is_tried_once_more(tmp_path, once):
    (tmp_path / "deadly.py").write_text(DEADLY, encoding="utf-8")
    norm = f"{{name: deadly, mark: {tmp_path / 'mark'}, once: {str(once).lower()}}}"
    study = STUDY.replace("[none, batch]", f"[none, {norm}]").replace("seeds: 2", "seeds: 1")
    outcome, watcher = executed(tmp_path, study, SPEC + "plugins: [deadly.py]\n")
    assert [message for *_, message in watcher.of("retried")] == ["its process was ended by SIGSEGV; tried once more"]
    none, deadly = outcome.arms
    assert len(none.runs) == 1
    assert outcome.failures == (0 if once else 1)
    assert len(deadly.runs) == (1 if once else 0)
    if not once:
        assert "its process was ended by SIGSEGV, twice" in deadly.failures[0]
        assert "Segmentation fault" in deadly.failures[0]  # what the worker said last


def test_a_worker_killed_in_the_middle_leaves_the_numbers_as_they_would_have_been(tmp_path):
    study = STUDY.replace("[none, batch]", "[batch]").replace("seeds: 2", "seeds: 1")
    (tmp_path / "calm").mkdir()
    calm, _ = executed(tmp_path / "calm", study, LONG)
    killed = []

    class Killer(Recorder):
        def running(self, label, job, step, steps):
            if step > 100 and not killed:
                killed.append(step)
                os.kill(execution._pool.pids[0], signal.SIGKILL)

    (tmp_path / "harsh").mkdir()
    watcher = Killer()
    execution = Execution(design(tmp_path / "harsh", study, LONG), tmp_path / "harsh" / "runs", watcher)
    outcome = execution.run(1, 1)
    assert killed
    assert len(watcher.of("retried")) == 1
    assert digests(outcome) == digests(calm)


def compare(folder, *words):
    command = [sys.executable, "-m", "normlab", "compare", str(folder / "study.yaml"), "--out", str(folder / "runs")]
    return subprocess.Popen(
        [*command, "--jobs", "2", *words],
        env=environment(OMP_NUM_THREADS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def started_runs(folder):
    return list((folder / "runs").glob("small/*/history.jsonl"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return digests(executed(folder, STUDY, LONG, jobs=2)[0])


def test_workers_die_with_their_parent_and_the_same_command_completes_the_study(tmp_path, undisturbed):
    written(tmp_path, STUDY, LONG)
    process = compare(tmp_path)
    wait_for(lambda: started_runs(tmp_path), "a run")
    workers = children(process.pid)
    process.kill()
    process.communicate()
    assert workers
    wait_for(lambda: not any(map(alive, workers)), "the workers' end")
    assert len(finished(tmp_path)) < 4
    outcome, _ = executed(tmp_path, STUDY, LONG, jobs=2)
    assert digests(outcome) == undisturbed


def test_ctrl_c_stops_all_workers_in_good_order_and_says_how_to_go_on(tmp_path, undisturbed):
    written(tmp_path, STUDY, LONG)
    process = compare(tmp_path)
    wait_for(lambda: started_runs(tmp_path), "a run")
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "to resume: normlab compare" in errors
    assert "Traceback" not in errors
    assert workers
    assert not any(map(alive, workers))
    outcome, _ = executed(tmp_path, STUDY, LONG, jobs=2)
    assert digests(outcome) == undisturbed


def test_what_a_plugin_prints_does_not_disturb_the_worker(tmp_path):
    noisy = DEADLY.replace("os.kill(os.getpid(), signal.SIGSEGV)", 'print(\'{"event": "done"}\', flush=True)')
    (tmp_path / "deadly.py").write_text(noisy, encoding="utf-8")
    study = STUDY.replace("[none, batch]", f"[{{name: deadly, mark: {tmp_path / 'mark'}}}]").replace(
        "seeds: 2", "seeds: 1"
    )
    outcome, _ = executed(tmp_path, study, SPEC + "plugins: [deadly.py]\n")
    assert len(outcome.arms[0].runs) == 1


def test_memory_of_a_worker_stays_constant_over_many_runs(tmp_path):
    found = design(tmp_path, STUDY)
    sizes = []

    def listen(task, event):
        assert event["event"] != "failed", event
        if event["event"] == "done":
            text = Path(f"/proc/{pool.pids[0]}/status").read_text(encoding="ascii")
            sizes.append(int(text.split("VmRSS:")[1].split()[0]) / 1024)

    with Pool(1, 1, listen) as pool:
        pool.add(Task(found.final_spec(found.arms[1], {}, seed), str(tmp_path / "runs")) for seed in range(20))
        pool.work()
    assert len(sizes) == 20
    assert sizes[-1] - sizes[7] < 20  # MB


def test_processes_times_threads_is_the_number_of_processors(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("normlab.study.execution.pool.processors", lambda: 8)
    assert thread_budget(None) == (8, 1)
    assert thread_budget(2) == (2, 4)
    assert thread_budget(3) == (3, 2)
    assert thread_budget(16) == (16, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert thread_budget(None) == (2, 4)
    assert thread_budget(1) == (1, 4)


def test_a_worker_computes_with_its_thread_budget_and_says_so(tmp_path):
    found = design(tmp_path, STUDY)
    done = []
    with Pool(1, 3, lambda _, event: done.append(event)) as pool:
        pool.add([Task(found.final_spec(found.arms[0], {}, 0), str(tmp_path / "runs"))])
        pool.work()
    directory = Path(done[-1]["directory"])
    assert json.loads((directory / "environment.json").read_text(encoding="utf-8"))["threads"] == 3


def test_a_worker_whose_input_ends_ends_too():
    worker = WorkerProcess(1)
    worker.dismiss()
    assert worker.ended() == "its process ended with status 0"
    worker.close()


def test_a_study_does_not_change_the_folder_or_listen_to_signals_of_its_caller(tmp_path):
    before = signal.getsignal(signal.SIGINT), Path.cwd(), threading.active_count()
    executed(tmp_path, STUDY.replace("seeds: 2", "seeds: 1"))
    assert (signal.getsignal(signal.SIGINT), Path.cwd(), threading.active_count()) == before


def test_a_stored_run_of_normlab_run_is_taken_up_by_a_study(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = design(tmp_path, STUDY)
    run = experiment.run(found.final_spec(found.arms[0], {}, 0), out=tmp_path / "runs")
    outcome, watcher = executed(tmp_path)
    assert ("none", "final", 0, False) in watcher.of("ended")
    assert outcome.arms[0].runs[0].directory == run.directory
    assert isinstance(outcome.arms[0].runs[0], History)


def test_a_run_that_another_process_trains_is_waited_for_while_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "_PAUSE", 0.2)
    study = design(tmp_path)
    first = study.final_spec(study.arms[0], {}, 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    directory = directory_of(first, tmp_path / "runs").path
    directory.mkdir(parents=True)
    watcher, outcomes = Recorder(), []
    running = threading.Thread(
        target=lambda: outcomes.append(Execution(study, tmp_path / "runs", watcher).run(1, 1)), daemon=True
    )
    with locked(directory):
        running.start()
        wait_for(lambda: len(watcher.of("ended")) == 3, "the other runs")
        time.sleep(1)
        assert running.is_alive()
        ((label, seed, message),) = watcher.of("waiting")
        assert (label, seed) == ("none", 0)
        assert re.search(rf"in use by process {os.getpid()} on \S+, since", message)
    running.join(60)
    assert outcomes[0].failures == 0
    assert len(watcher.of("ended")) == 4
    assert watcher.of("failed") == watcher.of("retried") == []


def test_a_study_that_runs_twice_at_once_shares_its_runs_and_nothing_fails(tmp_path):
    written(tmp_path, STUDY, LONG)
    command = [sys.executable, "-m", "normlab", "compare", "study.yaml", "--out", "runs", "--jobs", "1", "--json"]
    keywords = {"cwd": tmp_path, "env": environment(OMP_NUM_THREADS="1"), "stdout": subprocess.PIPE}
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **keywords) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    comparisons = [json.loads(out) for out, _ in told]
    assert comparisons[0]["arms"] == comparisons[1]["arms"]
    assert len(finished(tmp_path)) == 4
