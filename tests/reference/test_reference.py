"""Compare every method with an independent implementation; see tests/reference/README.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reference.archive import STORED, Case, Header, Pass, headers, read, write
from reference.rows import NO_EPSILON, ROWS, UNPROVED
from reference.running import deviation, deviations
from reference.table import DOCUMENT, document, present, shipped

NORMS = shipped()
PRESENT = present(NORMS)

#: Methods that must exist.
METHODS = {
    *("none", "affine", "batch", "sync_batch", "layer", "instance", "group", "rms", "local_response", "l2"),
    *("weight_norm", "spectral_norm", "weight_standardization", "ghost_batch", "batch_renorm", "virtual_batch"),
    *("switchable", "frn", "evonorm_b0", "evonorm_b1", "evonorm_b2", "evonorm_s0", "evonorm_s0a", "evonorm_s1"),
    *("evonorm_s1a", "evonorm_s2", "evonorm_s2a", "grn", "dyt", "derf", "scale_norm", "simple_norm", "pixel_norm"),
    *("positional", "iter_norm", "decorrelated", "cross_iteration_batch", "mabn", "power_norm", "online", "proxy"),
    *("representative_batch", "batch_instance", "attentive", "ie_batch", "batch_channel", "ibn", "batch_group"),
    "group_ghost",
}

#: Parameters that determine a whole number of channels.
ROUNDED = {"partial", "ratio"}

#: Stored cases without a row, with the reasons.
UNUSED: dict[tuple[str, str, str], str] = {}

#: Stored cases whose states do not change.
STILL = {("numpy", "virtual_batch", "nc_stored"), ("numpy", "virtual_batch", "nchw_stored")}

#: Size limit of a file of stored cases, in bytes.
LARGEST = 200_000


@pytest.mark.parametrize("row", PRESENT, ids=[row.id for row in PRESENT])
def test_method_agrees_with_an_independent_implementation(row, record_property):
    found = deviations(NORMS[row.norm], row)
    worst = max(found, key=found.get)
    record_property("largest deviation", found[worst])
    assert found[worst] <= row.tolerance, f"{worst} is off by {found[worst]:.2g}"


def test_every_method_of_the_catalogue_has_a_row():
    assert (set(NORMS) | METHODS) - {row.norm for row in ROWS} == set(UNPROVED)


def test_every_stored_case_has_a_row_and_every_row_a_case():
    assert set(headers()) - {row.source for row in ROWS} == set(UNUSED)
    assert {row.source for row in ROWS} <= set(headers())


def test_ids_of_rows_are_unique():
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("source", sorted(headers()), ids="-".join)
def test_stored_case_is_complete(source):
    case = read(*source)
    assert case.steps
    assert case.header.call
    assert case.header.version
    assert case.header.package == source[0]
    for _, each in case.passes:
        assert each.x.shape == each.y.shape == each.cotangent.shape
        assert np.array_equal(each.x.astype("float16"), each.x), "inputs must be exact in every dtype"
        assert each.gradients.keys() == (case.parameters.keys() if each.x_gradient is not None else set())
        assert each.states.keys() == case.states.keys()
        for value in [each.y, *each.gradients.values(), *each.states.values()]:
            assert np.isfinite(value).all()
    for name, start in case.states.items():
        last = case.steps[-1].states[name]
        assert np.array_equal(last, case.predict.states[name]), f"{name} must not change in eval mode"
        assert np.array_equal(start, last) == (source in STILL), f"{name} must change in training"


def test_stored_files_are_small():
    assert {file.name: file.stat().st_size for file in STORED.glob("*/*") if file.stat().st_size > LARGEST} == {}


def sensitive():
    """Return the rows that set a parameter to a fraction, by method and parameter."""
    found = {}
    for row in PRESENT:
        for name, value in row.parameters.items():
            if isinstance(value, float) and value not in {0.0, NO_EPSILON["epsilon"]} and name not in ROUNDED:
                found.setdefault((row.norm, name), []).append(row)
    return found


@pytest.mark.parametrize(("of", "rows"), sensitive().items(), ids=["-".join(of) for of in sensitive()])
def test_error_of_one_percent_in_a_parameter_is_detected(of, rows):
    norm, name = of

    def detects(row):
        wrong = replace(row, parameters={**row.parameters, name: 1.01 * row.parameters[name]})
        return max(deviations(NORMS[norm], wrong).values()) > row.tolerance

    assert any(map(detects, rows))


def test_deviation_is_relative_to_the_largest_number():
    expected = np.array([0.5, -4.0])
    assert deviation(np.array([0.5, -3.0]), expected) == 0.25
    assert deviation(np.zeros(2), np.zeros(2)) == 0
    assert deviation(np.array([0.5, np.nan]), expected) == np.inf
    assert deviation(np.zeros(3), expected) == np.inf


def test_written_case_is_read_back_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr("reference.archive.STORED", tmp_path)
    x = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    steps = [Pass(x, -x, x / 3, x / 7, {"gamma": x[0]}, {"running_mean": x[1]}) for _ in range(11)]
    case = Case(Header("nc", "NC", "call()"), {"gamma": x[0]}, {"running_mean": x[1] / 9}, steps[:10], steps[10])
    write("package", "1.0", "method", [case])
    first = (tmp_path / "package" / "method.npz").read_bytes()
    found = read("package", "method", "nc")
    assert (found.header.package, found.header.version) == ("package", "1.0")
    assert len(found.steps) == 10
    for kind in ("x", "cotangent", "y", "x_gradient"):
        assert np.array_equal(getattr(found.steps[9], kind), getattr(steps[9], kind))
    assert np.array_equal(found.predict.states["running_mean"], x[1])
    assert np.array_equal(found.states["running_mean"], x[1] / 9)
    write("package", "1.0", "method", [case])
    assert (tmp_path / "package" / "method.npz").read_bytes() == first


def cells(text):
    """Return the cells of a table without the deviations, which differ from machine to machine."""
    lines = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    return [line[:5] + line[6:] for line in lines]


def test_document_lists_every_method_and_is_up_to_date():
    expected = document(NORMS, dict.fromkeys(PRESENT, 0.0))
    assert cells(DOCUMENT.read_text(encoding="utf-8")) == cells(expected)
