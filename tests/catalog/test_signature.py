"""The signature of a factory is the schema of the part's block in a spec."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from pydantic import Field, PositiveInt, ValidationError

from normlab import NormLayer
from normlab.catalog import signature
from normlab.errors import PluginBroken


class Method(NormLayer):
    """A method.

    Args:
        groups: Number of groups,
            on two lines.
        epsilon (float): Added to the variance.
        over: What over.
        **site: What the network passes.
    """

    def __init__(
        self,
        groups: PositiveInt,
        epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-5,
        over: Literal["channels", "all"] = "channels",
        sizes: tuple[int, ...] = (1, 2),
        bound: Optional[float] = None,
        *,
        told: Any = None,
        **site,
    ):
        super().__init__(**site)
        self.used = (groups, epsilon, over, sizes, bound, told)


def build(sites, shape, classes, *, depth: int = 3, kind: Union[str, int] = "plain"):
    """A network."""


def test_parameters_of_a_class_are_not_keyword_only():
    assert signature.names(Method) == ("groups", "epsilon", "over", "sizes", "bound")


def test_parameters_of_a_function_are_keyword_only():
    assert signature.names(build) == ("depth", "kind")


def test_defaults_are_filled_in_and_lists_become_tuples():
    assert signature.check((Method,), {"groups": 4, "sizes": [3]}) == {
        "groups": 4, "epsilon": 1e-5, "over": "channels", "sizes": (3,), "bound": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({}, "groups"),
        ({"groups": 0}, "groups"),
        ({"groups": "4"}, "groups"),
        ({"groups": 4.5}, "groups"),
        ({"groups": True}, "groups"),
        ({"groups": 4, "epsilon": 2.0}, "epsilon"),
        ({"groups": 4, "epsilon": float("nan")}, "epsilon"),
        ({"groups": 4, "over": "batch"}, "over"),
        ({"groups": 4, "sizes": ["a"]}, "sizes"),
        ({"groups": 4, "told": 1}, "told"),
        ({"groups": 4, "in_channels": 1}, "in_channels"),
    ],
)
def test_invalid_parameters_are_rejected_with_their_location(parameters, where):
    with pytest.raises(ValidationError) as refused:
        signature.check((Method,), parameters)
    assert {error["loc"][0] for error in refused.value.errors()} == {where}


def test_description_has_type_bounds_default_and_text():
    described = {parameter.name: parameter[1:] for parameter in signature.describe((Method,))}
    assert described == {
        "groups": ("int above 0", ..., "Number of groups, on two lines."),
        "epsilon": ("float above 0 at most 1", 1e-5, "Added to the variance."),
        "over": ("channels | all", "channels", "What over."),
        "sizes": ("list of int", (1, 2), ""),
        "bound": ("float | null", None, ""),
    }


def test_factories_of_several_ways_share_one_schema():
    assert set(signature.check((Method, build), {"groups": 1})) == {*signature.names(Method), "depth", "kind"}
    assert signature.accepted(build, signature.check((Method, build), {"groups": 1})) == {"depth": 3, "kind": "plain"}


def with_type(annotation):
    def load(*, parameter=1): ...

    load.__annotations__["parameter"] = annotation
    return load


@dataclass
class Settings:
    """A type that is not simple, but of which pydantic makes a schema."""

    size: int = 1


@pytest.mark.parametrize(
    "annotation", [int, Optional[float], list[Literal["a", 1]], tuple[Union[int, str], ...], Settings]
)
def test_types_that_can_be_checked(annotation):
    assert signature.problem((with_type(annotation),)) == ""


@pytest.mark.parametrize("annotation", ["Nothing", "no type", time.struct_time.__init__, Optional[NormLayer]])
def test_types_that_can_not_be_checked_are_reported_with_their_function(annotation):
    problem = signature.problem((with_type(annotation),))
    assert problem.startswith("load: ")


def test_simple_types_make_a_schema():
    # problem() does not check simple types, so schema() must accept them
    for annotation in (int, Annotated[float, Field(gt=0)], Optional[Literal["a"]], list[tuple[bool, ...]], type(None)):
        assert signature._is_plain(annotation)
        signature.schema((with_type(annotation),))


def test_annotations_of_other_arguments_are_not_evaluated():
    def build(sites: Nowhere, shape, classes, *, depth: int = 1): ...  # noqa: F821 - as under TYPE_CHECKING

    assert signature.problem((build,)) == ""
    assert signature.check((build,), {}) == {"depth": 1}


def test_parameter_without_a_type_is_an_error():
    def load(*, size=1): ...

    with pytest.raises(PluginBroken, match=r"load: parameter 'size' has no type; write e\.g\. `size: float`"):
        signature.schema((load,))
