"""Run the conformance suite on every method that normlab ships."""

from __future__ import annotations

from normlab.catalog import catalog
from normlab.conformance import parametrize_with_checks

NORMS = [norm for norm in catalog(third_party=False).norms.entries.values() if norm.source.distribution == "normlab"]


def test_built_in_methods_are_included():
    assert {"none", "batch"} <= {norm.name for norm in NORMS}


@parametrize_with_checks(NORMS)
def test_shipped_method_conforms(norm, check):
    check(norm)
