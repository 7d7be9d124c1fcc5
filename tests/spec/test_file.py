"""Reading specs from files and the command line, and reporting all their mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.errors import ExitStatus, SpecError
from normlab.spec import Part, load_spec, parse_spec

GOOD = "dataset: mnist\nmodel: mlp\noptimizer: sgd\ntraining: {steps: 5}\n"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(**files):
    for stem, text in files.items():
        Path(f"{stem}.yaml").write_text(text)


def refusal(path="a.yaml", *overrides, **options):
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides, **options)
    assert caught.value.status is ExitStatus.SPEC
    return str(caught.value)


def test_a_good_file_loads():
    write(a=GOOD)
    spec = load_spec("a.yaml")
    assert spec.name == "a"
    assert spec.dataset == Part(name="mnist")
    assert load_spec(Path("a.yaml")) == spec
    assert str(spec.document.place(("model",))) == "a.yaml:2:8"


def test_name_in_the_file_takes_precedence_over_the_name_of_the_file():
    write(a=GOOD + "name: other\n")
    assert load_spec("a.yaml").name == "other"


def test_seed_device_and_overrides_take_precedence_over_the_file():
    write(a=GOOD + "seed: 1\ndevice: gpu\n")
    spec = load_spec("a.yaml", ["training.steps=7", "seed=2", "norm=batch", "norm.epsilon=0.1"], seed=3, device="cpu")
    assert (spec.training.steps, spec.seed, spec.device) == (7, 3, ("cpu",))
    assert spec.norm == (Part(name="batch", parameters={"epsilon": 0.1}),)


def test_all_mistakes_are_reported_at_once_with_their_places():
    write(a="dataset: mnist\nmodel: mlp\ntraining:\n  stps: 5\nseed: fast\nnorm: {epsilon: 1}\n")
    assert refusal("a.yaml", "seed=-1", "nonsense", "hybridize=no", device="gpux").split("\n") == [
        "-s nonsense: not a setting; expected key=value, such as optimizer.learning_rate=0.1",
        "--device gpux: device: expected auto, cpu, cpu:N, gpu or gpu:N, got 'gpux'",
        "-s hybridize=no: hybridize: expected true or false, got 'no'; write false",
        "-s seed=-1: seed: expected a whole number from 0 to 4294967295, got -1",
        "a.yaml:1:1: optimizer: missing; add 'optimizer: sgd'",
        "a.yaml:4:3: training.stps: unknown key; did you mean 'steps'?",
        "a.yaml:6:7: norm.name: missing; add 'name: ...'",
    ]


def test_invalid_override_of_a_valid_file():
    write(a=GOOD)
    assert refusal("a.yaml", "seed").startswith("-s seed: not a setting")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("training: 5", "a.yaml:4:11: training: expected a mapping, got 5"),
        ("training: {}", "training: expected either steps or epochs, got neither; write e.g. steps: 1000"),
        ("training: {steps: 1, epochs: 1}", "training: expected either steps or epochs, got both"),
        ("training: {epochs: fast}", "a.yaml:4:20: training.epochs: expected a number above 0, got 'fast'"),
        ("training: {steps: 1, batch_size: 0}", "training.batch_size: expected a whole number above 0, got 0"),
    ],
)
def test_errors_of_the_training_budget(text, line):
    write(a=GOOD.replace("training: {steps: 5}", text))
    assert line in refusal()


def test_missing_file_suggests_a_similar_name():
    Path("configs").mkdir()
    write(**{"configs/mnist_bn": GOOD, "configs/mnist_none": GOOD})
    meant = "no such file; did you mean 'configs/mnist_bn.yaml'?"
    assert refusal("configs/mnst_bn.yaml") == f"configs/mnst_bn.yaml: {meant}"
    assert refusal("configs/mnist_bn") == f"configs/mnist_bn: {meant}"
    assert refusal("configs/x.yaml").endswith("; the folder 'configs' contains mnist_bn.yaml and mnist_none.yaml")
    assert refusal("config/x.yaml").endswith("no such file; the folder 'config' does not exist either")
    assert refusal("x.yaml").endswith("no such file; this folder contains no YAML file")
    assert "no such file" in refusal("configs/mnist_bn.yaml/x.yaml")


def test_long_lists_of_files_are_cut():
    write(**{f"spec{n}": GOOD for n in range(9)})
    assert refusal("zzz").endswith(
        "this folder contains spec0.yaml, spec1.yaml, spec2.yaml, spec3.yaml, spec4.yaml, ..."
    )


def test_folder_instead_of_a_file():
    Path("configs").mkdir()
    assert refusal("configs") == "configs: a folder; expected a YAML file; the folder 'configs' contains no YAML file"


def test_file_without_permission_to_read(monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert refusal() == "a.yaml: can't be read (Permission denied); expected a YAML file; check its permissions"


@pytest.mark.parametrize("path", ["a\0b.yaml", "x" * 5000])
def test_impossible_paths(path):
    assert "can't be read" in refusal(path)


def test_loop_of_links_is_reported():
    Path("a.yaml").symlink_to("b.yaml")
    Path("b.yaml").symlink_to("a.yaml")
    assert "can't be read" in refusal()


def test_byte_order_mark_is_accepted():
    Path("a.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_spec("a.yaml").dataset.name == "mnist"
    assert parse_spec("\ufeff" + GOOD).dataset.name == "mnist"


def test_extending_another_file():
    Path("base").mkdir()
    write(**{"base/common": GOOD + "norm: {name: batch, epsilon: 0.1}\nseed: 4\n"})
    write(a="extends: base/common.yaml\nseed: 5\nnorm: {predict: batch}\n")
    spec = load_spec("a.yaml")
    assert spec.name == "a"
    assert spec.seed == 5
    assert spec.norm[0].parameters == {"epsilon": 0.1, "predict": "batch"}
    assert str(spec.document.place(("model",))) == "base/common.yaml:2:8"


def test_of_several_extended_files_the_later_takes_precedence_and_the_file_itself_over_all():
    write(a="extends: [b.yaml, c.yaml]\nseed: 3\n", b=GOOD + "seed: 1\ndescription: b\n", c="seed: 2\ndescription: c\n")
    spec = load_spec("a.yaml")
    assert (spec.seed, spec.description) == (3, "c")


def test_extends_is_relative_to_the_file_that_contains_it():
    for folder in ("one", "one/two"):
        Path(folder).mkdir()
    write(**{"base": GOOD, "one/two/b": "extends: ../../base.yaml\n", "one/a": "extends: two/b.yaml\n"})
    assert load_spec("one/a.yaml").dataset.name == "mnist"


def test_mistake_in_an_extended_file_is_reported_in_that_file():
    write(a="extends: b.yaml\n", b=GOOD + "sed: 1\n")
    assert refusal() == "b.yaml:5:1: sed: unknown key; did you mean 'seed'?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("extends: base.yml", "a.yaml:1:10: extends: base.yml: no such file; did you mean 'base.yaml'?"),
        (
            "extends: sub/x.yaml",
            "a.yaml:1:10: extends: sub/x.yaml: no such file; the folder 'sub' does not exist either",
        ),
        ("extends: a.yaml", "a.yaml:1:10: extends: a.yaml: extends itself in a circle"),
        ("extends: [base.yaml, b.yaml]", "b.yaml:1:10: extends: a.yaml: extends itself in a circle"),
        ("extends: 5", "a.yaml:1:10: extends: expected the name of a file, or a list of names, got 5"),
        ("extends:", "extends: expected the name of a file, or a list of names, got null"),
        ("extends: {a: b}", "extends: expected the name of a file, or a list of names, got a mapping"),
        ("extends: [base.yaml, 5]", "a.yaml:1:22: extends: expected the name of a file"),
        ("extends: []", "extends: expected the name of a file, or a list of names, got a list of 0"),
        ("extends: .", "a.yaml:1:10: extends: .: a folder"),
        ("extends: bad.yaml", "bad.yaml:1:5: not valid YAML"),
    ],
)
def test_invalid_extends(text, says):
    write(a=text, base=GOOD, b="extends: a.yaml\n", bad="a: b: c\n")
    assert says in refusal()


def test_chains_of_eight_files_are_read_and_of_nine_rejected():
    write(**{f"f{n}": f"extends: f{n + 1}.yaml\n" for n in range(1, 9)}, f9=GOOD)
    assert load_spec("f2.yaml").dataset.name == "mnist"
    assert "f8.yaml:1:10: extends: f9.yaml: too many files extend each other; expected at most 8 in a chain" in refusal(
        "f1.yaml"
    )


def test_number_of_extended_files_is_limited():
    write(**{f"f{n}": f"extends: [f{n + 1}.yaml, f{n + 1}.yaml]\n" for n in range(1, 8)}, f8=GOOD)
    assert "too many files; expected at most 16 for one spec" in refusal("f1.yaml")


def test_nodes_are_counted_over_all_files():
    big = "description: x\nmodel: {name: mlp, hidden: [" + "1, " * 6_000 + "]}\n"
    write(a="extends: [b.yaml, c.yaml]\n", b=GOOD.replace("model: mlp\n", "") + big, c=big)
    assert load_spec("b.yaml").model.name == "mlp"
    assert "over 10000 keys and values in total" in refusal()


def test_plugins_are_relative_to_the_file_that_names_them(tmp_path):
    Path("specs").mkdir()
    write(**{"specs/base": GOOD + "plugins: [../norms/a.py, /abs/b.py]\n", "a": "extends: specs/base.yaml\n"})
    assert load_spec("a.yaml").plugins == (str(tmp_path / "norms/a.py"), "/abs/b.py")
    assert load_spec("a.yaml", ["plugins=[c.py]"]).plugins == (str(tmp_path / "c.py"),)
    assert parse_spec(GOOD + "plugins: [d.py]").plugins == (str(tmp_path / "d.py"),)
    assert "plugins.0: expected text that is not empty, got 5" in refusal("a.yaml", "plugins=[5]")


def test_errors_of_a_text_name_its_source():
    with pytest.raises(SpecError, match=r"<text>:1:4: 012"):
        parse_spec("a: 012")
    with pytest.raises(SpecError, match=r"study.yaml:5:1: sed: unknown key"):
        parse_spec(GOOD + "sed: 1", "study.yaml")
    assert parse_spec(GOOD, "study.yaml", ["seed=1"], device="cpu").name == "study"


@pytest.mark.parametrize("name", ["mnist_bn", "mnist_none"])
def test_shipped_specs_load_and_round_trip(name):
    spec = load_spec(ROOT / "configs" / f"{name}.yaml")
    assert spec.name == name
    assert parse_spec(spec.to_yaml(), f"{name}.yaml") == spec


def test_shipped_specs_have_the_exact_settings_of_the_experiment():
    bn, none = (load_spec(ROOT / "configs" / f"{name}.yaml") for name in ("mnist_bn", "mnist_none"))
    assert bn.model.parameters == {
        "hidden": [100, 100],
        "activation": "tanh",
        "output_activation": "tanh",
        "norm_sites": [0],
        "norm_position": "after",
        "weight_initializer": {"name": "truncated_normal", "sigma": 0.1},
        "bias_initializer": {"name": "truncated_normal", "sigma": 0.1},
    }
    assert bn.norm == (Part(name="batch", parameters={"epsilon": 0.001, "predict": "batch"}),)
    assert bn.loss == Part(name="sigmoid_cross_entropy", parameters={"reduction": "sum"})
    assert bn.optimizer == Part(name="sgd", parameters={"learning_rate": 0.01})
    assert (bn.training.steps, bn.training.batch_size) == (1000, 100)
    assert (bn.evaluation.every, bn.evaluation.splits, bn.evaluation.batch_size) == (20, ("train", "test"), "all")
    assert (bn.dataset.dump(), bn.seed, bn.device) == ({"name": "mnist"}, 0, ("auto",))
    changed = {key for key, value in bn.dump().items() if none.dump()[key] != value}
    assert changed == {"name", "description", "norm", "optimizer"}
    assert none.norm == (Part(name="none"),)
    assert none.optimizer == Part(name="sgd", parameters={"learning_rate": 0.00001})


def test_shipped_specs_explain_every_setting():
    for path in sorted((ROOT / "configs").glob("mnist_*.yaml")):
        lines = path.read_text().split("\n")
        for number, line in enumerate(lines):
            if line and not line.startswith(("#", " ", "description:")):
                block = [line, *(inner for inner in lines[number + 1 : number + 9] if inner.startswith(" "))]
                assert lines[number - 1].startswith("#") or all("#" in inner for inner in block[1:]), (path.name, line)
