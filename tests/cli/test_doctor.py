from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from cli_tools import normlab

from normlab.backend import mxnet as compat
from normlab.catalog.plugin_record import PluginRecord
from normlab.cli import doctor
from normlab.cli.doctor import NOTE, OK, WRONG, Finding


def findings(check):
    return {finding.topic: finding for finding in check()}


def test_healthy_installation_is_called_well(capsys):
    ended = normlab(capsys, "doctor")
    assert (ended.status, ended.err) == (0, ""), ended.out
    assert ended.out.rstrip().endswith("all is well")
    for topic in (
        "python",
        "numpy",
        "mxnet",
        "gluoncv",
        "linear algebra",
        "threads",
        "gpus",
        "memory",
        "data mnist",
        "norms",
    ):
        assert topic in ended.out
    assert "OMP_WAIT_POLICY=passive" in ended.out


def test_json_has_every_finding(capsys):
    ended = normlab(capsys, "doctor", "--json")
    found = json.loads(ended.out)
    assert found["healthy"] is True
    topics = {each["topic"]: each for each in found["findings"]}
    assert topics["mxnet"]["value"] == "1.9.1"
    assert topics["linear algebra"] == {
        "topic": "linear algebra", "value": "OpenBLAS, with oneDNN", "state": "ok", "remedy": "",
    }  # fmt: skip


def test_what_is_wrong_is_counted_shown_with_its_remedy_and_ends_with_1(capsys, monkeypatch):
    wrong = [Finding(f"thing {number}", "lost", WRONG, "find it") for number in range(2)]
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([Finding("python", "3.11"), *wrong]),))
    ended = normlab(capsys, "doctor")
    assert ended.status == 1
    assert ended.out.splitlines()[:3] == ["ok     python   3.11", "wrong  thing 0  lost", "                -> find it"]
    assert ended.out.splitlines()[-1] == "2 wrong"
    quiet = normlab(capsys, "doctor", "--quiet")
    assert quiet == (1, "\n".join(ended.out.splitlines()[1:5]) + "\n", "")


def test_quiet_doctor_has_nothing_to_say_to_the_healthy(capsys):
    assert normlab(capsys, "doctor", "--quiet") == (0, "", "")


def test_check_that_fails_is_a_finding_and_the_others_go_on(monkeypatch):
    def _gone():
        raise OSError("no such\ndevice")

    monkeypatch.setattr(doctor, "CHECKS", (_gone, lambda: iter([Finding("python", "3.11")])))
    first, second = doctor.examine()
    assert first == Finding("gone", "can't be examined: OSError: no such device", WRONG, "please report this")
    assert second.state == OK


@pytest.mark.parametrize(("version", "state"), [((3, 8), WRONG), ((3, 9), OK), ((3, 12), OK), ((3, 13), WRONG)])
def test_python_versions_that_serve(monkeypatch, version, state):
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert findings(doctor._python)["python"].state == state


def test_distribution_that_is_not_installed_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "DISTRIBUTIONS", ("numpy", "no-such-distribution"))
    found = findings(doctor._packages)
    assert found["numpy"].state == OK
    assert found["no-such-distribution"].value == "not installed"
    assert found["no-such-distribution"].state == WRONG


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("libgomp.so.1: cannot open shared object file", "apt-get install libgomp1 libquadmath0"),
        ("module 'numpy' has no attribute 'bool'", "numpy>=1.21,<2"),
        ("something else", "new environment"),
    ],
)
def test_mxnet_that_does_not_import_is_told_with_what_helps(monkeypatch, error, remedy):
    def broken():
        raise OSError(error)

    monkeypatch.setattr(compat, "mxnet", broken)
    finding = findings(doctor._mxnet)["mxnet import"]
    assert error in finding.value
    assert remedy in finding.remedy
    assert finding.state == WRONG


@pytest.mark.parametrize(
    ("error", "remedy"), [("Legacy torch==1.13 needed", "keep torch 2 out"), ("no cv2", "install normlab again")]
)
def test_gluoncv_that_does_not_import_is_told_with_what_helps(monkeypatch, error, remedy):
    def broken():
        raise RuntimeError(error)

    monkeypatch.setattr(compat, "gluoncv", broken)
    assert remedy in findings(doctor._gluoncv)["gluoncv import"].remedy


def test_build_without_onednn_is_noted(monkeypatch):
    features = {"BLAS_MKL": SimpleNamespace(name="BLAS_MKL", enabled=True)}
    fake = SimpleNamespace(
        runtime=SimpleNamespace(Features=lambda: features), context=SimpleNamespace(num_gpus=lambda: 0)
    )
    monkeypatch.setattr(compat, "mxnet", lambda: fake)
    finding = findings(doctor._mxnet)["linear algebra"]
    assert (finding.value, finding.state) == ("MKL, without oneDNN", NOTE)


@pytest.mark.parametrize(
    ("count", "cuda", "text", "state"),
    [(2, True, "2", OK), (0, True, "MXNet finds none", NOTE), (0, False, "no CUDA", NOTE)],
)
def test_gpus_are_counted_and_their_absence_explained(count, cuda, text, state):
    finding = doctor._gpus(count, cuda=cuda)
    assert text in finding.value
    assert finding.state == state
    assert bool(finding.remedy) is (state == NOTE)


def test_more_threads_than_processors_are_wrong(monkeypatch):
    monkeypatch.setattr(compat, "processors", lambda: 2)
    for threads, state in ((2, OK), (64, WRONG)):
        monkeypatch.setattr(compat, "threads", lambda threads=threads: threads)
        monkeypatch.setattr(doctor, "processor_quota", lambda: None)
        assert findings(doctor._threads)["threads"].state == state


def test_quota_of_a_container_counts(monkeypatch):
    monkeypatch.setattr(compat, "processors", lambda: 64)
    monkeypatch.setattr(compat, "threads", lambda: 64)
    monkeypatch.setattr(doctor, "processor_quota", lambda: 1.5)
    found = findings(doctor._threads)
    assert found["processors"].value == "64, of which this process may use 1.5"
    assert found["threads"].remedy.endswith("OMP_NUM_THREADS=1")


@pytest.mark.parametrize(
    ("text", "quota"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("nonsense", None), (None, None)]
)
def test_quota_is_read_from_the_control_group(tmp_path, text, quota):
    file = tmp_path / "cpu.max"
    if text is not None:
        file.write_text(text, encoding="ascii")
    assert doctor.processor_quota(file) == quota


def test_little_memory_and_disk_are_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "LITTLE_MEMORY", 10**9)
    monkeypatch.setattr(doctor, "LITTLE_DISK", 10**9)
    assert findings(doctor._memory)["memory"].state == WRONG
    assert findings(doctor._disk)["disk"].state == WRONG


def test_folder_that_can_not_be_written_is_noted(monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert findings(doctor._disk)["folder"].remedy == "give normlab run another with --out DIR"


def test_lost_mnist_is_wrong_and_other_absent_data_are_not(monkeypatch):
    def shipped(state):
        return SimpleNamespace(origin=lambda: SimpleNamespace(state=state, where="here"))

    found = {"mnist": shipped("absent"), "cifar10": shipped("for download")}
    monkeypatch.setattr("normlab.datasets.plugin.SHIPPED", found)
    states = {topic: finding.state for topic, finding in findings(doctor._data).items()}
    assert states == {"data mnist": WRONG, "data cifar10": OK}


def test_broken_plugin_is_named_with_distribution_and_reason(monkeypatch):
    bad = PluginRecord("bad", "bad-norms", "1.0", status="broken", reason="can't be imported: x")
    records = [PluginRecord("good"), bad, PluginRecord("off", status="disabled")]
    fake = SimpleNamespace(norms=SimpleNamespace(entries={"batch": None}), plugins=records)
    monkeypatch.setattr("normlab.catalog.catalog", lambda: fake)
    found = findings(doctor._plugins)
    assert set(found) == {"norms", "plugin bad"}
    assert found["norms"].value == "batch"
    assert found["plugin bad"].value == "broken: can't be imported: x"
    assert "bad-norms 1.0" in found["plugin bad"].remedy
