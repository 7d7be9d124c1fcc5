"""Malicious and mistaken documents in place of a spec. Each must be rejected with an error of one sentence.

Every entry has a name, the bytes, and a part of the expected error.
"""

from __future__ import annotations

GOOD = "dataset: mnist\nmodel: mlp\noptimizer: sgd\ntraining: {steps: 5}\n"


def _alias_bomb(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def _mapping_bomb(levels: int) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, r: *a{n - 1}}}" for n in range(1, levels)]
    return "\n".join(lines)


def _merge_bomb(levels: int) -> str:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, levels)]
    return "\n".join(lines)


_NOT_YAML = {
    "tab indentation": ("model:\n\tname: mlp\n", "a tab; indent with spaces"),
    "tab before the first key": ("\tmodel: mlp\n", "a tab; indent with spaces"),
    "tab in a block scalar": ("a: >\n\tb\n", "a tab"),
    "open double quote": ('a: "x\n', "a quote that is not closed"),
    "open single quote": ("a: 'x\n", "a quote that is not closed"),
    "open list": ("a: [1, 2\n", "a list that is not closed"),
    "open mapping": ("a: {x: 1\n", "a mapping that is not closed"),
    "two colons": ("a: b: c\n", "a ':' that is not allowed here"),
    "key under a value": ("a: 1\n  b: 2\n", "a ':' that is not allowed here"),
    "indentation between": ("a:\n  b: 1\n c: 2\n", "does not match the lines above"),
    "text after a quote": ('a: "b" c\n', "does not match the lines above"),
    "list then mapping": ("- a\nb: c\n", "without '-'"),
    "dash in a line": ("a: - b\n", "a '-' that is not allowed here"),
    "at sign": ("a: @x\n", "put quotes around it"),
    "back quote": ("a: `x`\n", "put quotes around it"),
    "unknown escape": ('a: "\\q"\n', "an unknown escape"),
    "text after a brace": ("{a: b}}\n", "text after the end"),
    "stray bracket": ("a: ]\n", "brackets"),
    "text after a bar": ("a: |x\n  b\n", "begin the text on the next line"),
    "many open brackets": ("a: " + "[" * 10_000, "lists and mappings nested"),
    "garbage": ("}{][:,&*!|>'\"%@`", "not valid YAML"),
}

_REFUSED = {
    "python object": ("a: !!python/object/apply:os.system ['true']\n", "the tag '!!python/object/apply:os.system'"),
    "python name": ("a: !!python/name:os.system\n", "the tag"),
    "own tag": ("a: !include /etc/passwd\n", "the tag '!include'"),
    "standard tag": ("a: !!binary aGVsbG8=\n", "the tag '!!binary'"),
    "tag on a mapping": ("!!set {a, b}\n", "the tag '!!set'"),
    "tag on a list": ("a: !!omap [b: 1]\n", "the tag '!!omap'"),
    "tag on a key": ("!!str a: 1\n", "a key that is not a plain word"),
    "bare exclamation mark": ("a: ! 12\n", "the tag '!'"),
    "verbatim tag": ("a: !<tag:yaml.org,2002:int> 3\n", "the tag"),
    "tag directive": ("%TAG ! tag:yaml.org,2002:python/\n---\na: !object x\n", "begins with '%'"),
    "many tag directives": ("".join(f"%TAG !{n}! x\n" for n in range(15_000)) + "---\na: 1\n", "begins with '%'"),
    "unknown directive": ("%FOO bar\n---\na: 1\n", "begins with '%'"),
    "late tag directives": ("a: 1\n...\n" + "".join(f"%TAG !{n}! x\n" for n in range(9_000)), "begins with '%'"),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "duplicate key 'a' (first: hostile.yaml:1:1)"),
    "duplicate key, other spelling": ("a: 1\n'a': 3\n", "duplicate key 'a'"),
    "duplicate key inside": ("a: {b: 1, b: 2}\n", "duplicate key 'b' (first: hostile.yaml:1:5)"),
    "number as key": ("1: a\n", "the key 1 is not text"),
    "true as key": ("true: a\n", "the key true is not text"),
    "null as key": ("~: a\n", "the key null is not text"),
    "nothing as key": ("?\n: a\n", "the key null is not text"),
    "empty key": ('"": a\n', "a key that is empty or not printable"),
    "key with a line break": ('"a\\nb": 1\n', "a key that is empty or not printable"),
    "key that turns the text around": ('"a\\u202Eb": 1\n', "a key that is empty or not printable"),
    "long key": ("k" * 101 + ": 1\n", "a key of 101 characters"),
    "list as key": ("? [a, b]\n: 1\n", "a key that is not a plain word"),
    "mapping as key": ("{a: b}: c\n", "a key that is not a plain word"),
    "deep keys": ("? " * 5_000 + "a\n", "a key that is not a plain word"),
    "alias as key": ("a: &x b\n*x : c\n", "a key that is not a plain word"),
    "anchor on a key": ("&x a: 1\n", "a key that is not a plain word"),
    "self-reference in a list": ("a: &a [*a]\n", "refers to a value that contains it"),
    "self-reference in a mapping": ("a: &a {b: {c: *a}}\n", "refers to a value that contains it"),
    "self-reference by merging": ("a: &a\n  <<: *a\n", "refers to a value that contains it"),
    "alias without anchor": ("a: *nobody\n", "the alias '*nobody' is not defined"),
    "alias before anchor": ("a: *x\nb: &x 1\n", "the alias '*x' is not defined"),
    "anchor twice": ("a: &x 1\nb: &x 2\n", "duplicate anchor '&x'"),
    "alias bomb": (_alias_bomb(9), "over 10000 keys and values"),
    "alias bomb of mappings": (_mapping_bomb(12), "over 10000 keys and values"),
    "depth by aliases": (
        "\n".join(["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]),
        "lists and mappings nested",
    ),
    "merging a scalar": ("a: {<<: 5}\n", "'<<' has 5"),
    "merging a list of scalars": ("a: {<<: [1, 2]}\n", "'<<' has 1"),
    "merging nothing": ("<<:\n", "'<<' has null"),
    "merging twice": ("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", "duplicate key '<<'"),
    "depth 21": ("a: " + "[" * 20 + "]" * 20 + "\n", "nested over 20 levels deep"),
    "depth 10,000 in brackets": ("a: " + "[" * 10_000 + "]" * 10_000 + "\n", "lists and mappings nested"),
    "depth 10,000 in braces": ("{a: " * 10_000 + "1" + "}" * 10_000 + "\n", "nested over 20 levels deep"),
    "depth by dashes": ("a:\n" + "- " * 5_000 + "b\n", "nested over 20 levels deep"),
    "depth by indentation": (
        "\n".join(" " * n + f"k{n}:" for n in range(500)),
        "nested over 20 levels deep",
    ),
    "10,001 entries": ("a: [" + "1, " * 10_001 + "]\n", "over 10000 keys and values"),
    "20,000 keys": ("\n".join(f"k{n}: 1" for n in range(20_000)), "over 10000 keys and values"),
    "two documents": ("a: 1\n---\nb: 2\n", "a second document begins"),
    "many documents": ("a: 1\n" + "---\n" * 50_000, "a second document begins"),
    "leading zero": ("a: 012\n", "012: a whole number can't begin with 0"),
    "negative leading zero": ("a: -007\n", "-007: a whole number can't begin with 0"),
    "not a number": ("a: .nan\n", ".nan: not a finite number"),
    "infinity": ("a: .inf\n", ".inf: not a finite number"),
    "negative infinity": ("a: -.INF\n", "not a finite number"),
    "overflowing float": ("a: 1e999\n", "1e999: not a finite number"),
    "65-bit integer": ("a: 9223372036854775808\n", "more than 64 bits"),
    "negative 65-bit integer": ("a: -9223372036854775809\n", "more than 64 bits"),
    "long hexadecimal": ("a: 0x" + "F" * 17 + "\n", "more than 64 bits"),
    "long octal": ("a: 0o" + "7" * 30 + "\n", "more than 64 bits"),
    "4,301 digits": ("a: " + "9" * 4301 + "\n", "more than 64 bits"),
    "200,000 digits": ("a: " + "9" * 200_000 + "\n", "more than 64 bits"),
    "200,000 digits of a float": ("a: " + "9" * 200_000 + ".0\n", "not a finite number"),
    "bell": ('a: "\\a"\n', "the control character U+0007"),
    "terminal escape": ('a: "\\e[31m"\n', "the control character U+001B"),
    "nul escape": ('a: "\\0"\n', "the control character U+0000"),
    "carriage return in text": ('a: "x\\ry"\n', "the control character U+000D"),
    "empty": ("", "no settings"),
    "only a comment": ("# nothing\n", "no settings"),
    "only a marker": ("---\n", "no settings"),
    "list at the top": ("- a\n- b\n", "a list of 2 at the top"),
    "text at the top": ("hello\n", "'hello' at the top"),
    "number at the top": ("5\n", "5 at the top"),
    "300 kB of comment": ("# " + "x" * 300_000 + "\n", "over 256 kB"),
    "10 MB in one scalar": ("a: " + "x" * 10_000_000 + "\n", "over 256 kB"),
}

_BYTES = {
    "UTF-16 with mark": ("a: 1\n".encode("utf-16"), "UTF-16"),
    "UTF-16, big end first": (b"\xfe\xff" + "a: 1\n".encode("utf-16-be"), "UTF-16"),
    "UTF-16 without mark": ("a: 1\n".encode("utf-16-le"), "UTF-16"),
    "UTF-32": ("a: 1\n".encode("utf-32"), "UTF-16 or UTF-32"),
    "latin-1": ("name: x\ndescription: caf\xe9\n".encode("latin-1"), "hostile.yaml:2:17: the byte 0xe9 is not UTF-8"),
    "surrogate in UTF-8": (b"a: \xed\xa0\x80\n", "is not UTF-8"),
    "overlong UTF-8": (b"a: \xc0\xaf\n", "is not UTF-8"),
    "cut UTF-8": ("a: \u20ac".encode()[:-1], "is not UTF-8"),
    "a binary file": (b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)), "is not UTF-8"),
    "a gzip file": (b"\x1f\x8b\x08\x00" + bytes(20), "UTF-16 or UTF-32, or a binary file"),
    "nul bytes": (b"a: b\x00c\n", "the character U+0000"),
    "escape bytes": (b"a: \x1b[31mred\n", "the character U+001B"),
    "a noncharacter": ("a: \uffff\n".encode(), "the character U+FFFF"),
    "delete": (b"a: \x7f\n", "the character U+007F"),
}

# valid YAML that is not a valid spec: the schema must reject it
_NO_SPEC = {
    "no for false": ("hybridize: no\n", "hybridize: expected true or false, got 'no'; write false"),
    "off for false": ("hybridize: off\n", "hybridize: expected true or false, got 'off'; write false"),
    "y for true": ("hybridize: y\n", "hybridize: expected true or false, got 'y'"),
    "one for true": ("hybridize: 1\n", "hybridize: expected true or false, got 1"),
    "sexagesimal": ("seed: 12:30:45\n", "seed: expected a whole number from 0 to 4294967295, got '12:30:45'"),
    "date": ("seed: 2026-11-24\n", "got '2026-11-24'"),
    "underscores": ("seed: 1_000\n", "got '1_000'; write it without '_'"),
    "float for a whole number": ("seed: 1e3\n", "got 1000.0; write 1000"),
    "binary number": ("seed: 0b11\n", "got '0b11'"),
    "true for a number": ("seed: true\n", "got true"),
    "name that is a path": ("name: ../../etc/passwd\n", "name: expected a name of letters"),
    "name that is hidden": ("name: .hidden\n", "name: expected a name of letters"),
    "name with a line break": ('name: "a\\n"\n', "name: expected a name of letters"),
    "name in other letters": ("name: \u0430bc\n", "name: expected a name of letters"),
    "long name": ("name: " + "a" * 300 + "\n", "name: expected a name of letters"),
    "norm that is a path": ("norm: ../../x\n", "norm: expected a name of lowercase letters"),
    "5,000 unknown keys": ("\n".join(f"key{n}: 1" for n in range(4_900)) + "\n", "... and 4880 more"),
    "long unknown key": ("k" * 100 + ": 1\n", "unknown key"),
    "merges of merges": (_merge_bomb(9), "unknown key"),
    "deep part": ("norm: {name: x, a: " + "[" * 15 + "]" * 15 + "}\n", "norm"),
}

HOSTILE: dict[str, tuple[bytes, str]] = {
    **{name: (text.encode(), says) for name, (text, says) in {**_NOT_YAML, **_REFUSED}.items()},
    **_BYTES,
    **{name: ((GOOD + text).encode(), says) for name, (text, says) in _NO_SPEC.items()},
}
