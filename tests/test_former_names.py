"""Modules that plugins imported from before 0.2 still import, with a warning that gives the new name."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

import normlab
from normlab import importing, ops


@pytest.mark.parametrize("module", sorted(importing.FORMER_NAMES))
def test_former_module_imports_with_a_warning(module, monkeypatch):
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.warns(DeprecationWarning, match=f"import from {importing.FORMER_NAMES[module]}"):
        import_module(module)


@pytest.mark.filterwarnings("ignore:import from normlab.ops:DeprecationWarning")
@pytest.mark.parametrize(("former", "name"), sorted(importing._FORMER_FUNCTIONS.items()))
def test_renamed_function_is_found_by_its_former_name_in_a_former_module(former, name):
    assert getattr(import_module("normlab.kernels"), former) is getattr(ops, name)


def test_function_norm_is_not_replaced_by_the_module_of_that_former_name():
    sys.modules.pop("normlab.norm", None)
    with pytest.warns(DeprecationWarning, match="import from normlab"):
        import_module("normlab.norm")
    assert callable(normlab.norm)
