"""From a study file or the command line to the design of a study."""

from __future__ import annotations

import pytest
from study_support import SPEC, STUDY, TUNED, design, written

from normlab.cli.process import perform
from normlab.errors import SpecError
from normlab.spec import Place, load_spec
from normlab.study.design import options
from normlab.study.design.study_file import FIRST_TUNING_SEED, design_from, labels, load_study
from normlab.study.run import check
from normlab.study.storage import as_file, folder_of


def told(folder, study, **options):
    with pytest.raises(SpecError) as error:
        design(folder, study, **options)
    return str(error.value)


def test_a_study_file_says_arms_seeds_and_baseline(tmp_path):
    found = design(tmp_path)
    assert [arm.label for arm in found.arms] == ["none", "batch"]
    assert found.question.name == "study"
    assert found.question.baseline == "none"
    assert found.question.scientific == ("norm",)
    assert found.question.seeds == (0, 1)
    assert found.points == []


def test_an_arm_is_the_base_spec_with_its_settings_as_extends_would_lay_them(tmp_path):
    found = design(tmp_path)
    none, batch = (found.final_spec(arm, {}, 7) for arm in found.arms)
    assert none.norm[0].dump() == {"name": "none"}
    assert batch.norm[0].dump() == {"name": "batch", "epsilon": 0.001}  # its own parameters, from the base
    assert none.seed == batch.seed == 7
    assert {**none.dump(), "norm": 0} == {**batch.dump(), "norm": 0}


def test_without_none_the_first_arm_is_the_baseline(tmp_path):
    study = STUDY.replace("none, batch", "batch, layer")
    assert design(tmp_path, study).question.baseline == "batch"
    assert design(tmp_path, study + "baseline: layer\n").question.baseline == "layer"


def test_several_scientific_keys_make_an_arm_of_each_combination(tmp_path):
    study = STUDY + "  # more\n"
    study = study.replace("  norm: [none, batch]", "  norm: [none, batch]\n  training.batch_size: [16, 32]")
    found = design(tmp_path, study)
    assert [arm.label for arm in found.arms] == [
        "none, batch_size 16", "none, batch_size 32", "batch, batch_size 16", "batch, batch_size 32",
    ]  # fmt: skip
    assert found.final_spec(found.arms[0], {}, 0).training.batch_size == 16


def test_labels_are_as_short_as_keeps_arms_apart_and_can_be_given(tmp_path):
    assert labels("norm", ["none", {"name": "group", "groups": 4}]) == ["none", "group"]
    two = [{"name": "group", "groups": 4}, {"name": "group", "groups": 8}, ["ibn", "agc"]]
    assert labels("norm", two) == ["group groups=4", "group groups=8", "ibn+agc"]
    assert labels("training.batch_size", [16, 32]) == ["batch_size 16", "batch_size 32"]
    study = STUDY.replace("[none, batch]", "{without: none, BN: {name: batch, epsilon: 0.1}}")
    assert [arm.label for arm in design(tmp_path, study).arms] == ["without", "BN"]


def test_arms_written_out_may_differ_in_several_keys(tmp_path):
    study = """
    spec: small.yaml
    arms:
      old: {norm: none, optimizer.learning_rate: 0.001}
      new: {norm: batch}
    """
    found = design(tmp_path, study)
    assert found.question.scientific == ("norm", "optimizer.learning_rate")
    old, new = (found.final_spec(arm, {}, 0) for arm in found.arms)
    assert old.optimizer.parameters["learning_rate"] == 0.001
    assert new.optimizer.parameters["learning_rate"] == 0.1


def test_the_spec_may_stand_in_the_study_and_extend_a_file(tmp_path):
    study = STUDY.replace("spec: small.yaml", "spec: {extends: small.yaml, training: {steps: 50}}")
    found = design(tmp_path, study)
    assert found.base.training.steps == 50
    assert found.base.training.batch_size == 32
    assert found.base.name == "small"


def test_every_arm_has_the_same_trials_on_validation_with_seeds_of_their_own(tmp_path):
    found = design(tmp_path, TUNED)
    assert found.points == [{"optimizer.learning_rate": value} for value in (0.01, 0.1, 1e30)]
    assert found.question.tuning_seeds == (FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1)
    assert not set(found.question.tuning_seeds) & set(found.question.seeds)
    for arm in found.arms:
        trial = found.trial_spec(arm, found.points[0], FIRST_TUNING_SEED)
        assert trial.evaluation.splits == ("validation",)
        assert trial.evaluation.every == trial.training.steps == 10
        assert trial.optimizer.parameters["learning_rate"] == 0.01
        assert found.final_spec(arm, found.points[0], 0).evaluation.splits == ("train", "test")


def test_trials_of_a_spec_with_epochs_are_evaluated_at_the_end_alone(tmp_path):
    spec = SPEC.replace("steps: 30", "epochs: 2.5")
    study = TUNED.replace(", steps: 10", "")
    found = design(tmp_path, study, spec)
    trial = found.trial_spec(found.arms[0], found.points[0], 5)
    assert trial.training.epochs == 2.5
    assert trial.evaluation.every > 10**6


def test_a_range_gives_readable_values_with_both_bounds(tmp_path):
    study = TUNED.replace("[0.01, 0.1, 1.0e+30]", "{from: 1.0e-4, to: 1, scale: log, count: 9}")
    values = [point["optimizer.learning_rate"] for point in design(tmp_path, study).points]
    assert values == [0.0001, 0.0003162, 0.001, 0.003162, 0.01, 0.03162, 0.1, 0.3162, 1]
    study = TUNED.replace(
        "optimizer.learning_rate: [0.01, 0.1, 1.0e+30]", "training.batch_size: {from: 8, to: 32, count: 4}"
    )
    assert [point["training.batch_size"] for point in design(tmp_path, study).points] == [8, 16, 24, 32]


def test_the_study_written_out_is_the_same_study(tmp_path):
    found = design(tmp_path, TUNED)
    again = design_from(as_file(found), {})
    assert again.question == found.question
    assert again.identity() == found.identity()
    assert folder_of(again, "out") == folder_of(found, "out")
    more = design(tmp_path, TUNED.replace("seeds: 2\n", "seeds: 3\n"))
    assert more.identity() != found.identity()


def with_grid(grid):
    return TUNED.replace("[0.01, 0.1, 1.0e+30]", grid)


MISTAKES = {
    "unknown key": (STUDY + "sedes: 3\n", "study.yaml:5:1: sedes: unknown key; did you mean 'seeds'?"),
    "no such spec": (STUDY.replace("small", "smal"), "study.yaml:1:7: spec: "),
    "neither": ("spec: small.yaml\n", "expected either scientific or arms, got neither"),
    "bad norm parameter": (STUDY.replace("batch]", "{name: batch, 3: 1}]"), "study.yaml:3:"),
    "no arm's key": (STUDY.replace("  norm: [none, batch]", "  seed: [1, 2]"), "'seed' can't differ between arms"),
    "same arm twice": (STUDY.replace("none, batch", "batch, batch"), "is the same as 'batch'"),
    "baseline": (STUDY + "baseline: nune\n", "study.yaml:5:11: baseline: no arm 'nune'; did you mean 'none'?"),
    "overlapping seeds": (TUNED.replace("seeds: 2, steps", "seeds: [1], steps"), "1 is a seed of the final runs too"),
    "more tunings than seeds": (TUNED.replace("repeats: 1", "repeats: 3"), "at most the 2 final seeds"),
    "trial seeds that can't be shared out": (
        TUNED.replace("repeats: 1, seeds: 2", "repeats: 2, seeds: [7, 8, 9]"), "expected a divisor of the 3 tuning"
    ),
    "seeds": (STUDY.replace("seeds: 2", "seeds: many"), "study.yaml:4:8: seeds: expected a number of seeds or a list"),
    "seed twice": (STUDY.replace("seeds: 2", "seeds: [1, 1]"), "1 twice; expected each seed once"),
    "seed's type": (STUDY.replace("seeds: 2", "seeds: [1, one]"), "study.yaml:4:12: seeds.1: expected a whole"),
    "range": (with_grid("{from: 0, to: 1, scale: log, count: 3}"), "expected from above 0"),
    "range key": (with_grid("{from: 0, too: 1, count: 3}"), "unknown key; did you mean 'to'?"),
    "too many points": (with_grid("{from: 0, to: 1, count: 5000}"), "from 2 to 1000, got 5000"),
    "tuned and compared": (TUNED.replace("optimizer.learning_rate:", "norm:"), "norm is compared and tuned at once"),
    "split not evaluated": (STUDY + "split: validation\n", "validation is not evaluated"),
    "value": (with_grid("[0.01, 0.01]"), "0.01 twice"),
    "threshold": (STUDY + "thresholds: [95]\n", "study.yaml:5:14: thresholds.0: expected a number above 0 and below 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place(tmp_path, name):
    study, expected = MISTAKES[name]
    message = told(tmp_path, study)
    assert expected in message
    assert str(tmp_path) in message
    assert len(message.splitlines()) <= 3


def test_parameters_of_parts_are_checked_in_all_arms_before_anything_runs(tmp_path):
    study = STUDY.replace("[none, batch]", "[none, {name: batch, epsilno: 1}, bach]")
    with pytest.raises(SpecError) as error:
        check(design(tmp_path, study))
    lines = str(error.value).splitlines()
    assert "study.yaml:3:30: norm.epsilno: unknown key; did you mean 'epsilon'?" in lines[0]
    assert "did you mean 'batch'?" in lines[1]


def test_the_command_line_makes_a_study_of_a_spec(tmp_path):
    written(tmp_path)
    given = {
        "scientific": options.norms("none,group:groups=4;epsilon=1e-3,batch+agc"),
        "nuisance": options.sweeps(["optimizer.learning_rate=1e-3..1:log:4"]),
        "seeds": options.seeds("3,5"),
    }
    found = load_study(tmp_path / "small.yaml", given, ["training.steps=5"])
    assert [arm.label for arm in found.arms] == ["none", "group", "batch+agc"]
    assert found.arms[1].plain() == {"norm": {"name": "group", "groups": 4, "epsilon": 0.001}}
    assert found.arms[2].plain() == {"norm": ["batch", "agc"]}
    assert found.question.nuisance == {"optimizer.learning_rate": (0.001, 0.01, 0.1, 1)}
    assert found.question.seeds == (3, 5)
    assert found.base.training.steps == 5
    assert found.question.name == "small"


def test_the_command_line_wins_over_a_study_file(tmp_path):
    found = design(tmp_path, options={"seeds": (4, Place("--seeds 4")), "tuning.seeds": (3, Place("--tuning-seeds 3"))})
    assert found.question.seeds == (0, 1, 2, 3)
    assert load_spec(tmp_path / "small.yaml") == found.base


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda: options.norms("none,,batch"), "nothing between two ','"),
        (lambda: options.norms("none,Group"), "no norm"),
        (lambda: options.norms("group:4"), "expected NAME=VALUE"),
        (lambda: options.norms("group:"), "no norm"),
        (lambda: options.sweeps(["optimizer.learning_rate"]), "expected KEY=FROM..TO:log:COUNT"),
        (lambda: options.sweeps(["x="]), "expected KEY=FROM..TO:log:COUNT"),
        (lambda: options.seeds("five"), "expected how many"),
        (lambda: options.seeds("1,-2"), "expected how many"),
    ],
)
def test_an_option_that_is_no_study_says_what_was_expected(call, advice):
    with pytest.raises(SpecError, match=r"^--"):
        call()
    with pytest.raises(SpecError) as error:
        call()
    assert advice in str(error.value)


def test_values_with_brackets_and_exponents_stay_whole():
    assert options.norms("a:x=[1,2];y=1e+3,b")[0] == {"norm": [{"name": "a", "x": [1, 2], "y": 1000.0}, "b"]}
    assert options.sweeps(["a.b=[1,2],[3]", "c=0..1:3"])[0] == {
        "a.b": [[1, 2], [3]], "c": {"from": 0, "to": 1, "scale": "linear", "count": 3},
    }  # fmt: skip
    assert options.seeds("3,")[0] == [3]


def test_a_spec_without_norms_is_no_study(tmp_path, capsys):
    path = written(tmp_path).with_name("small.yaml")
    assert perform(["compare", str(path)]) == 2
    assert "add e.g. --norms none,batch" in capsys.readouterr().err


def test_shipped_studies_are_sound():
    for name in ("notebook", "mnist_fair"):
        found = load_study(f"configs/studies/{name}.yaml")
        check(found)
        batch = next(arm for arm in found.arms if arm.label == "batch")
        parameters = found.final_spec(batch, (found.points or [{}])[0], 0).norm[0].parameters
        assert parameters == {"epsilon": 0.001, "predict": "batch"}
        assert len(found.question.seeds) == 10


def test_tuning_is_repeated_five_times_unless_there_are_fewer_seeds(tmp_path):
    text = TUNED.replace("repeats: 1, seeds: 2", "seeds: 2")
    few = load_study(written(tmp_path, text)).question
    assert (few.repeats, few.trial_seeds(0), few.trial_seeds(1)) == (
        2, (FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1), (FIRST_TUNING_SEED + 2, FIRST_TUNING_SEED + 3)
    )  # fmt: skip
    many = load_study(written(tmp_path, text.replace("\nseeds: 2", "\nseeds: 12"))).question
    assert many.repeats == 5
    assert [many.repeat_of(seed) for seed in range(7)] == [0, 1, 2, 3, 4, 0, 1]
    assert len(many.tuning_seeds) == len(set(many.tuning_seeds)) == 10


def test_arms_that_tuning_makes_the_same_are_refused(tmp_path):
    text = STUDY.replace("norm: [none, batch]", "norm: [{name: group, groups: 2}, {name: group, groups: 4}]")
    path = written(tmp_path, text + "nuisance:\n  norm.groups: [2, 4]\n")
    with pytest.raises(SpecError, match=r"arms .* and .* train the same once norm\.groups is tuned"):
        check(load_study(path))
