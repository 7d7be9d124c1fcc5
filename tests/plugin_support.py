"""Valid and broken plugins for tests, as files and as distributions installed without pip."""

# ruff: noqa: E501 - a table is easier to read with one row per line
from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

import pytest

HEAD = '''
from normlab import DataSource, Model, Norm, NormLayer, hookimpl

class Wanted(NormLayer):
    """Pass on."""

    def __init__(self, epsilon: float = 1e-5, **site):
        super().__init__(**site)

    def hybrid_forward(self, F, x):
        return F.identity(x)

'''

HOOK = """
@hookimpl
def normlab_norms():
    yield Norm("wanted", layer=Wanted)
"""

GOOD = HEAD + HOOK


def method(name: str) -> str:
    """Return a good plugin that registers a method of this name."""
    return GOOD.replace("wanted", name)


class Bad(NamedTuple):
    """A plugin that can't be used."""

    text: str | bytes
    reason: str
    status: str = "broken"
    #: Whether it would register the norm `wanted`.
    brings: bool = True


def layer(signature: str) -> str:
    """Return a plugin whose layer has this constructor."""
    return GOOD.replace("self, epsilon: float = 1e-5, **site", signature)


def hook(body: str) -> str:
    """Return a plugin whose hook has this body."""
    return GOOD.replace('yield Norm("wanted", layer=Wanted)', body)


BAD = {
    "import_error": Bad("import no_such_module\n" + GOOD, r"can't be imported: ModuleNotFoundError: .*no_such_module.*:1\)"),
    "syntax_error": Bad(GOOD + "def\n", r"can't be imported: SyntaxError: invalid syntax \(.*\.py:17\)"),
    "exits": Bad("import sys\nsys.exit(3)\n" + GOOD, r"can't be imported: SystemExit: 3 \(.*\.py:2\)"),
    "raises": Bad("raise RuntimeError('two\\nlines')\n" + GOOD, r"can't be imported: RuntimeError: two lines \(.*\.py:1\)"),
    "raises_base_exception": Bad(
        "class Odd(BaseException): pass\nraise Odd\n" + GOOD, r"can't be imported: Odd \(.*\.py:2\)"
    ),
    "raises_exception_without_text": Bad(
        "class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd\n" + GOOD,
        r"can't be imported: Odd: \(its message can't be read\)",
    ),
    "raises_escape_codes": Bad("raise RuntimeError('\\x1b[2Jboo')\n" + GOOD, r"RuntimeError: \?\[2Jboo"),
    "null_bytes": Bad(GOOD + "\0", r"can't be imported: .*null bytes"),
    "not_utf8": Bad(GOOD.encode() + b"'\xff'\n", r"can't be imported: SyntaxError: .*utf-8"),
    "newer_normlab": Bad(
        "from normlab import NormOfTomorrow\n" + GOOD, r"NormOfTomorrow.*it may need another version of normlab than 0\."
    ),
    "misspelt_hook": Bad(
        GOOD.replace("normlab_norms", "normlab_norm"), r"unknown hook 'normlab_norm'; did you mean 'normlab_norms'\?"
    ),
    "undecorated_hook": Bad(
        GOOD.replace("@hookimpl\n", ""), r"normlab_norms is not marked as a hook; put @hookimpl before it$"
    ),
    "undecorated_and_misspelt": Bad(
        GOOD.replace("@hookimpl\n", "").replace("normlab_norms", "normlab_norm"),
        r"normlab_norm is not marked as a hook; put @hookimpl before it and call it normlab_norms",
    ),
    "parameter_with_default": Bad(
        GOOD.replace("normlab_norms()", "normlab_norms(all=True)"), r"normlab_norms has a parameter 'all', but hooks take no arguments"
    ),
    "parameter": Bad(GOOD.replace("normlab_norms()", "normlab_norms(config)"), r"normlab_norms has a parameter 'config'"),
    "wrapper": Bad(GOOD.replace("@hookimpl", "@hookimpl(wrapper=True)"), r"normlab_norms is a wrapper; write @hookimpl"),
    "hook_raises": Bad(hook('yield Norm("wanted", layer=Wanted); 1 / 0'), r"normlab_norms fails: ZeroDivisionError"),
    "hook_exits": Bad(hook('raise SystemExit(3)\n    yield "wanted"'), r"normlab_norms fails: SystemExit: 3 \(.*\.py:16\)"),
    "returns_none": Bad(hook('Norm("wanted", layer=Wanted)'), r"normlab_norms returns None; write `yield Norm\(\.\.\.\)` in it"),
    "returns_one": Bad(hook('return Norm("wanted", layer=Wanted)'), r"returns an object of type Norm; write `yield"),
    "returns_text": Bad(hook('return "wanted"'), r"returns an object of type str; write `yield"),
    "yields_text": Bad(hook('yield "wanted"'), r"normlab_norms yields an object of type str; expected Norm objects"),
    "yields_class": Bad(hook('Norm("wanted"); yield Wanted'), r"yields the class Wanted; expected Norm objects"),
    "wrong_arguments": Bad(hook('yield Norm("wanted", Layer=Wanted)'), r"normlab_norms fails: TypeError: .*'Layer'"),
    "invalid_name": Bad(hook('yield Norm("Not-A-Name", layer=Wanted)'), r"norm 'Not-A-Name': not a valid name", brings=False),
    "name_that_is_no_text": Bad(hook("yield Norm(7, layer=Wanted)"), r"norm 7: not a valid name", brings=False),
    "name_twice": Bad(
        hook('yield from (Norm("wanted", layer=Wanted) for _ in range(2))'), r"yields two entries with the name 'wanted'"
    ),
    "name_of_a_built_in": Bad(
        hook('yield Norm("wanted", layer=Wanted); yield Norm("batch", layer=Wanted)'),
        r"norm 'batch' is taken by normlab \S+ \(.*norms/batch\.py\) and can't be replaced; rename it",
        "duplicate",
    ),
    "other_hooks": Bad(
        "NORMLAB_HOOKS = 99\n" + GOOD, r"needs version 99 of the hooks, but this normlab has 1; update", "incompatible"
    ),
    "no_way": Bad(hook('yield Norm("wanted")'), r"norm 'wanted': has no way to act; pass Norm one of layer=, weight="),
    "way_that_is_no_class": Bad(
        hook('yield Norm("wanted", layer=Wanted())'), r"layer is an object of type Wanted; expected a class .* NormLayer"
    ),
    "way_of_another_class": Bad(
        hook('yield Norm("wanted", weight=Wanted)'), r"weight is the class Wanted; expected a class derived from NormWeight"
    ),
    "title_that_is_no_text": Bad(
        hook('yield Norm("wanted", layer=Wanted, title=None)'), r"norm 'wanted': title is None; expected text"
    ),
    "no_type": Bad(layer("self, epsilon=1e-5, **site"), r"norm 'wanted': Wanted: parameter 'epsilon' has no type; write"),
    "type_of_nothing": Bad(
        layer("self, epsilon: 'Nothing' = 1, **site"), r"the type of 'epsilon' can't be read: name 'Nothing'"
    ),
    "type_that_is_no_schema": Bad(layer("self, epsilon: object() = 1, **site"), r"Wanted: (its signature can't|the type of)"),
    "no_site": Bad(layer("self, epsilon: float = 1e-5"), r"Wanted does not take what the network passes: in_channels, .*\*\*site"),
    "parameter_of_the_site": Bad(
        layer("self, layout: str = 'NC', **site"), r"Wanted has a parameter 'layout', which the network passes"
    ),
    "parameter_called_name": Bad(layer("self, name: str = 'x', **site"), r"a parameter can't be called 'name'"),
    "model_of_other_arguments": Bad(
        GOOD + '\n@hookimpl\ndef normlab_models():\n    yield Model("net", lambda shape: None)\n',
        r"model 'net': the function <lambda> does not take the arguments \(sites, shape, classes, \*, \.\.\.\)",
    ),
    "data_of_other_arguments": Bad(
        GOOD + '\n@hookimpl\ndef normlab_datasets():\n    yield DataSource("data", lambda folder: None)\n',
        r"data set 'data': the function <lambda> does not take the arguments \(\*, \.\.\.\)",
    ),
    "model_that_is_none": Bad(
        GOOD + '\n@hookimpl\ndef normlab_models():\n    yield Model("net", None)\n', r"model 'net': None is not a function"
    ),
    "no_hook": Bad(HEAD, r"has no hook; expected a function marked with @hookimpl", brings=False),
}  # fmt: skip


def write(path, text):
    """Write text or bytes."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def distribution(site, name, modules, entry_points=None, version="1.0"):
    """Install a distribution into a folder, as pip leaves it.

    Args:
        site: The folder.
        name: Name of the distribution.
        modules: Texts of modules, by path without `.py`.
        entry_points: Modules by name of the entry point, or the text of `entry_points.txt`; by default all modules.
        version: Version of the distribution.
    """
    for module, text in modules.items():
        file = site / f"{module}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, text)
    if not isinstance(entry_points, str):
        points = {module: module for module in modules} if entry_points is None else entry_points
        entry_points = "\n".join(["[normlab]", *(f"{point} = {value}" for point, value in points.items())])
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nA plugin.\n")
    write(info / "entry_points.txt", entry_points)
    importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path for distributions; its modules are removed from `sys.modules` afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("NORMLAB_PLUGINS", raising=False)
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
