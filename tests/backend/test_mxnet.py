"""Settings of the C library that normlab makes before it imports MXNet."""

from __future__ import annotations

import sys

import pytest

from normlab.backend import mxnet as compat


@pytest.fixture
def settings(monkeypatch):
    """Return the calls of `mallopt`, as (setting, bytes)."""
    calls = []
    library = type("Library", (), {"mallopt": staticmethod(lambda *setting: calls.append(setting))})
    monkeypatch.setattr(compat.ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_allocator_thresholds_are_set(settings):
    compat._configure_allocator()
    assert settings == [(-3, 16 << 20), (-1, 64 << 20)]  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_allocator_settings_of_the_user_are_kept(settings, monkeypatch, name):
    monkeypatch.setenv(name, "1000000")
    compat._configure_allocator()
    assert settings == []


def test_allocator_is_not_configured_on_other_systems(settings, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    compat._configure_allocator()
    assert settings == []
