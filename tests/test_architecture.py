"""The rules of docs/architecture.md; the order of the layers is held by import-linter in `make lint`."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict

import pytest
from cli_tools import ROOT

PACKAGE = ROOT / "normlab"
#: A file name may stand twice in the tree if it is one of these, a command, a plugin, or a family of checks.
REPEATED = {"__init__", "__main__", "base"}
SHORT, LONG = 60, 400
#: Short modules with one importer that something loads by name, or that keep a heavy import out of it.
LOADED_BY_NAME = {
    "normlab.backend.passes.pipeline": "the one entry of the passes",
    "normlab.conformance.listening": "what a function does besides returning: it prints, warns, draws",
    "normlab.optimizers.flatten": "no optimizer's own: the training loop flattens parameters for all",
    "normlab.study.analysis.notes": "sentences, apart from the numbers",
    "normlab.conformance.checks.learning": "a family of checks has a file, as a command has",
    "normlab.conformance.pytest_support": "the package gives its name on first use",
    "normlab.norms.none": "a built-in method, loaded by the catalogue",
    "normlab.norms.batch_layer": "the package gives its name on first use",
    "normlab.training.augmentation": "what specs name, without NumPy, which the augmenter loads",
}
ROOT_MODULES = 6


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(name):
    """Return the modules of normlab that a module imports, inside functions and for annotations too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in FILES else node.module)
    return (found & FILES.keys()) - {name}


GRAPH = {name: imports_of(name) for name in FILES}
IMPORTERS = defaultdict(set)
for importer, imported in GRAPH.items():
    for each in imported:
        IMPORTERS[each].add(importer)


def is_package(name):
    return FILES[name].stem == "__init__"


def is_command(name):
    return FILES[name].parent == PACKAGE / "cli"


def test_the_root_has_at_most_six_modules():
    modules = [path.stem for path in PACKAGE.glob("*.py")]
    assert len(modules) <= ROOT_MODULES, modules


def test_no_modules_import_each_other_in_a_circle():
    # a package hands on the names of its own modules, and they may not import it
    graph = {name: {each for each in imported if each != "normlab"} for name, imported in GRAPH.items()}
    graph["normlab"] = set()
    while True:
        leaves = {name for name, imported in graph.items() if not imported}
        if not leaves:
            break
        graph = {name: imported - leaves for name, imported in graph.items() if name not in leaves}
    # what is left is on a circle, or imports one
    while graph:
        used = set().union(*graph.values())
        unused = graph.keys() - used
        if not unused:
            break
        graph = {name: imported for name, imported in graph.items() if name not in unused}
    assert not graph, sorted(graph)


def test_no_file_name_stands_twice():
    names = Counter(
        path.stem
        for name, path in FILES.items()
        if path.stem not in REPEATED and not is_command(name) and path.parent.name != "checks"
    )
    assert not [name for name, count in names.items() if count > 1]


def test_a_short_file_has_more_than_one_importer():
    short = [
        name
        for name, path in FILES.items()
        if not (is_package(name) or is_command(name) or name in LOADED_BY_NAME)
        and len(path.read_text(encoding="utf-8").splitlines()) < SHORT
        and len(IMPORTERS[name]) == 1
    ]
    assert not short


def test_no_file_is_long():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()}
    assert not {name: length for name, length in lengths.items() if length > LONG}


@pytest.mark.parametrize("name", [name for name in FILES if is_package(name)])
def test_a_package_says_what_others_may_use(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    assigned = [
        target.id
        for node in tree.body
        for target in [*getattr(node, "targets", []), getattr(node, "target", None)]
        if isinstance(target, ast.Name)
    ]
    assert "__all__" in assigned
    assert ast.get_docstring(tree)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT / "plugins"))
)
def test_a_plugin_imports_normlab_and_its_ops_only(path):
    allowed = {"normlab", "normlab.ops"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("normlab."):
            assert node.module in allowed or node.module.startswith("normlab_plugins"), ast.unparse(node)
