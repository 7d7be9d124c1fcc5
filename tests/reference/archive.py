"""Read and write stored cases: the results of independent implementations.

Each method and package has an `.npz` and a `.json` file. This module needs only NumPy and the standard library, since
the generators use it in environments without normlab.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STORED = Path(__file__).resolve().parent / "stored"

_PREDICT = "predict"
_ARRAYS = ("x", "cotangent", "y", "x_gradient")


@dataclass
class Pass:
    """A forward and a backward pass.

    Attributes:
        x: The input: activations or a weight; for a method that looks at the layer before, the input of that layer.
        cotangent: The gradient of the output; for a gradient method, the gradient of the weight.
        y: The output.
        x_gradient: The gradient of x; None for a method without a backward pass.
        gradients: The gradients of the parameters, by name.
        states: The states after the pass, by name.
        parameters: The parameters that change before this pass, by name.
    """

    x: Any
    cotangent: Any
    y: Any
    x_gradient: Any = None
    gradients: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass
class Header:
    """The origin of a case.

    Attributes:
        case: The name of the case within the file.
        layout: `NC`, `NCHW` or `NTC`; `weight` for a weight method, `gradient` for a gradient method.
        call: The call that computed it, in the package's API.
        package: The package that computed it.
        version: The package's version.
        note: A remark.
    """

    case: str
    layout: str
    call: str
    package: str = ""
    version: str = ""
    note: str = ""


@dataclass
class Case:
    """Several training passes, followed by one in eval mode.

    Attributes:
        header: Its origin.
        parameters: The parameters by name; constant unless a pass changes them.
        states: The states before the first pass, by name.
        steps: The training passes.
        predict: The pass in eval mode.
    """

    header: Header
    parameters: dict[str, Any]
    states: dict[str, Any]
    steps: list[Pass]
    predict: Pass

    @property
    def passes(self) -> Iterator[tuple[str, Pass]]:
        """All passes in order with their names; the last one is in eval mode."""
        yield from ((str(index), each) for index, each in enumerate(self.steps))
        yield _PREDICT, self.predict


def write(package: str, version: str, method: str, cases: Sequence[Case]) -> None:
    """Store the cases that a package computed for a method; the same cases give the same bytes."""
    folder = STORED / package
    folder.mkdir(parents=True, exist_ok=True)
    stored = []
    with zipfile.ZipFile(folder / f"{method}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for case in cases:
            case.header.package, case.header.version = package, version
            stored.append(asdict(case.header))
            for name, value in _flat(case).items():
                archive.writestr(zipfile.ZipInfo(f"{case.header.case}/{name}.npy"), _bytes(value), zipfile.ZIP_DEFLATED)
    (folder / f"{method}.json").write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(package: str, method: str, case: str) -> Case:
    """Read a stored case.

    Raises:
        KeyError: The file has no such case.
    """
    known = {each["case"]: Header(**each) for each in json.loads((STORED / package / f"{method}.json").read_bytes())}
    header = known[case]
    with np.load(STORED / package / f"{method}.npz", allow_pickle=False) as archive:
        prefix = f"{case}/"
        arrays = {
            name[len(prefix) :]: np.asarray(archive[name], dtype="float64")
            for name in archive.files
            if name.startswith(prefix)
        }
    steps = sorted({name.split("/")[0] for name in arrays if name[0].isdigit()}, key=int)
    return Case(
        header,
        _below(arrays, "parameter/"),
        _below(arrays, "state/"),
        [_pass(arrays, step) for step in steps],
        _pass(arrays, _PREDICT),
    )


def headers() -> dict[tuple[str, str, str], Header]:
    """Return the header of every stored case by package, method and name of the case."""
    return {
        (file.parent.name, file.stem, each["case"]): Header(**each)
        for file in sorted(STORED.glob("*/*.json"))
        for each in json.loads(file.read_bytes())
    }


def _flat(case: Case) -> dict[str, Any]:
    flat = {f"parameter/{name}": value for name, value in case.parameters.items()}
    flat.update({f"state/{name}": value for name, value in case.states.items()})
    for name, each in case.passes:
        flat.update({f"{name}/{kind}": getattr(each, kind) for kind in _ARRAYS if getattr(each, kind) is not None})
        flat.update({f"{name}/gradient/{inner}": value for inner, value in each.gradients.items()})
        flat.update({f"{name}/state/{inner}": value for inner, value in each.states.items()})
        flat.update({f"{name}/parameter/{inner}": value for inner, value in each.parameters.items()})
    return flat


def _below(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}


def _pass(arrays: dict[str, Any], name: str) -> Pass:
    return Pass(
        **{kind: arrays[f"{name}/{kind}"] for kind in _ARRAYS if f"{name}/{kind}" in arrays},
        gradients=_below(arrays, f"{name}/gradient/"),
        states=_below(arrays, f"{name}/state/"),
        parameters=_below(arrays, f"{name}/parameter/"),
    )


def _bytes(value: Any) -> bytes:
    """Return an array in NumPy's file format, in the smallest type that represents it exactly."""
    exact = np.asarray(value, dtype="float64")
    for dtype in ("float16", "float32"):
        with np.errstate(over="ignore"):
            small = exact.astype(dtype)
        if np.array_equal(small.astype("float64"), exact, equal_nan=True):
            exact = small
            break
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, exact, allow_pickle=False)
    return buffer.getvalue()
