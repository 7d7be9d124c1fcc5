"""Insert an error of 1 % into every formula of every method, one at a time, and count the errors that are detected.

    python tests/reference/mutate.py [NAME ...]

Each expression of a method's file that computes with arrays or numbers (an operator, or a call of a function of MXNet
or normlab) is multiplied by 1.01 in turn, and the rows of the method are run. An error that no row detects is printed
with its line: either nothing depends on it (standardization, for example, ignores the scale of its input), or a case is
missing. A method whose file computes nothing (`sync_batch` is the class of `batch`) has no errors. The exit status is 1
if none of the errors of a method is detected.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from reference.rows import ROWS, UNPROVED
from reference.running import deviations
from reference.table import shipped

from normlab.backend.mxnet import mxnet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference.rows import Row

    from normlab.norms.contract import Norm

mx = mxnet()

FACTOR = 1.01
#: Functions of a method's file without computations.
_PLAIN = {"__init__", "prepare", "normlab_norms", "declare"}
_ARRAYS = (mx.nd.NDArray, mx.sym.Symbol)


class Mutant(NamedTuple):
    """A method with one error.

    Attributes:
        line: Line in the file.
        code: The expression that is 1 % off.
        module: The file with the error, as a module.
        state: Whether the expression was evaluated.
    """

    line: int
    code: str
    module: ModuleType
    state: SimpleNamespace


def mutants(file: Path) -> Iterator[Mutant]:
    """Yield the module of a file with one error after the other."""
    source = file.read_text(encoding="utf-8")
    for index in range(len(_sites(ast.parse(source)))):
        tree = ast.parse(source)
        site = _sites(tree)[index]
        code = ast.unparse(site).replace("\n", " ")
        _Wrap(site).visit(tree)
        ast.fix_missing_locations(tree)
        state = SimpleNamespace(reached=False)
        module = ModuleType(f"mutant_{file.stem}")
        vars(module)["_off"] = lambda value, state=state: _off(value, state)
        sys.modules[module.__name__] = module
        exec(compile(tree, str(file), "exec"), vars(module))  # noqa: S102 - a file of this repository
        yield Mutant(site.lineno, code, module, state)


def _sites(tree: ast.Module) -> list[ast.expr]:
    """Return the expressions of a file that compute, in order."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name not in _PLAIN]
    found = [node for function in functions for part in function.body for node in ast.walk(part) if _computes(node)]
    return list(dict.fromkeys(found))


def _computes(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow))
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    if called in {"F.zeros", "F.zeros_like"}:
        return False  # 1 % of zero
    return called.startswith("F.") or any(isinstance(each, ast.Name) and each.id == "F" for each in node.args)


class _Wrap(ast.NodeTransformer):
    def __init__(self, site: ast.expr) -> None:
        self._site = site

    def visit(self, node: ast.AST) -> Any:
        node = super().visit(node)
        if node is not self._site:
            return node
        return ast.Call(ast.Name("_off", ast.Load()), [node], [])


def _off(value: Any, state: SimpleNamespace) -> Any:
    """Return a value with an error of 1 %; integers, shapes and other objects stay unchanged."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        first, *rest = value
        return (_off(first, state), *rest)
    if isinstance(value, tuple):
        return value._replace(**{value._fields[0]: _off(value[0], state)})
    if isinstance(value, (*_ARRAYS, float, np.floating)) and not isinstance(value, bool):
        state.reached = True
        return value * FACTOR
    return value


def is_detected(norm: Norm, rows: list[Row]) -> bool:
    """Return whether a row deviates by more than its tolerance, or fails."""
    for row in rows:
        try:
            found = deviations(norm, row)
        except Exception:  # noqa: BLE001 - an error that breaks the method is detected
            return True
        if max(found.values()) > row.tolerance:
            return True
    return False


def survey(name: str, norm: Norm) -> tuple[int, list[str]]:
    """Return the number of detected errors of a method, and descriptions of the others."""
    rows = [row for row in ROWS if row.norm == name]
    caught, missed = 0, []
    for mutant in mutants(Path(norm.source.file)):
        (changed,) = [each for each in vars(mutant.module)["normlab_norms"]() if each.name == name]
        if is_detected(changed, rows):
            caught += 1
        elif mutant.state.reached:
            missed.append(f"{Path(norm.source.file).name}:{mutant.line}: {mutant.code}")
    return caught, missed


def main(names: list[str]) -> int:
    """Survey these methods, or all that have rows."""
    norms = shipped()
    blind = []
    total = kept = 0
    for name in names or sorted(set(norms) - set(UNPROVED)):
        caught, missed = survey(name, norms[name])
        total, kept = total + caught + len(missed), kept + len(missed)
        print(f"{name}: {caught} of {caught + len(missed)} errors detected", flush=True)
        for text in missed:
            print(f"    not detected: {text}")
        if missed and not caught:
            blind.append(name)
    print(f"all: {total - kept} of {total} errors detected" + (f"; none in {', '.join(blind)}" if blind else ""))
    return bool(blind)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
