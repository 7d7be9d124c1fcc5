"""What normlab sets before MXNet is imported."""

from __future__ import annotations

import sys

import pytest

from normlab.backend import mxnet as compat


@pytest.fixture
def settings(monkeypatch):
    """What the C library is told, as (setting, bytes)."""
    told = []
    library = type("Library", (), {"mallopt": staticmethod(lambda *setting: told.append(setting))})
    monkeypatch.setattr(compat.ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return told


def test_thresholds_of_the_allocator_are_fixed(settings):
    compat._settle_allocator()
    assert settings == [(-3, 16 << 20), (-1, 64 << 20)]  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_who_has_set_the_allocator_keeps_their_setting(settings, monkeypatch, name):
    monkeypatch.setenv(name, "1000000")
    compat._settle_allocator()
    assert settings == []


def test_other_systems_are_left_alone(settings, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    compat._settle_allocator()
    assert settings == []
