"""Proof of pairing from the digests of runs."""

from __future__ import annotations

from study_support import SPEC, history

from normlab import experiment
from normlab.spec import parse_spec
from normlab.study.analysis.pairing import differences, pairing
from normlab.study.design.arms import Arm


def arm(label, *runs):
    return Arm(label, {"norm": label}, {}, runs)


def digests(**changes):
    return {"data": "d", "initialization": "i", "batches": "b", "augmentation": "a", **changes}


def test_arms_that_share_everything_are_paired():
    arms = [arm(label, *(history(label, seed) for seed in range(3))) for label in ("none", "batch")]
    assert pairing(arms) == "paired: init, batches"
    with_augmentation = [arm(label, history(label, digests=digests())) for label in ("none", "batch")]
    assert pairing(with_augmentation) == "paired: init, batches, augmentation"


def test_what_differs_is_said_with_arms_and_seeds():
    arms = [
        arm("none", history("none", 0, digests=digests()), history("none", 1, digests=digests())),
        arm("batch", history("batch", 0, digests=digests()), history("batch", 1, digests=digests(initialization="x"))),
    ]
    first, second = pairing(arms).splitlines()
    assert first == "paired: batches, augmentation"
    assert second == "not paired: init of none from batch (seed 1): the shared weights were drawn otherwise"
    (found,) = differences(arms)
    assert (found.what, found.seed, found.groups) == ("initialization", 1, (("none",), ("batch",)))


def test_other_data_and_other_batches_are_told_apart():
    arms = [
        arm("none", history("none", digests=digests())),
        arm("batch", history("batch", digests=digests(data="e", batches="c"))),
    ]
    text = pairing(arms)
    assert "not paired: data of none from batch (seed 0): the data sets are not the same" in text
    assert "not paired: batches of none from batch (seed 0): the training examples came in another order" in text
    assert text.startswith("paired: init, augmentation")


def test_runs_that_stopped_early_are_not_taken_for_unpaired():
    arms = [
        arm("none", history("none", digests=digests())),
        arm("batch", history("batch", accuracy=None, steps=10, digests=digests(batches="up to step 10"))),
    ]
    assert pairing(arms) == "paired: init, batches, augmentation"


def test_draws_of_networks_with_dropout_are_paired_or_what_differs_is_said():
    def arms(*draws):
        told = [digests(**({} if one is None else {"draws": one})) for one in draws]
        return [arm(label, history(label, digests=each)) for label, each in zip(("none", "batch"), told)]

    assert pairing(arms("x", "x")) == "paired: init, batches, augmentation, draws"
    assert pairing(arms("x", "y")).splitlines() == [
        "paired: init, batches, augmentation",
        "not paired: draws of none from batch (seed 0): other dropout layers, or a norm that draws among them",
    ]
    assert "only one side tells of dropout" in pairing(arms("x", None))


def test_arms_without_a_common_seed_are_not_paired():
    arms = [arm("none", history("none", 0)), arm("batch", history("batch", 1))]
    assert pairing(arms) == "not paired: no two arms have a run of the same seed"


def test_biases_in_the_place_of_a_norms_shift_are_told():
    arms = [
        arm("none", history("none", network={"optional_biases": 32})),
        arm("batch", history("batch", network={"optional_biases": 0})),
    ]
    assert pairing(arms).splitlines() == [
        "paired: init, batches",
        "biases that stand where no norm brings a shift, beside what is paired: none 32, batch 0",
    ]


def test_the_reason_names_parameters_that_only_one_side_has(tmp_path):
    runs = []
    for hidden in ("[16, 16]", "[16]"):
        spec = parse_spec(SPEC, "small.yaml", [f"model.hidden={hidden}", "norm=none", "training.steps=2"])
        runs.append(experiment.run(spec, out=tmp_path))
    text = pairing([arm("deep", runs[0]), arm("flat", runs[1])])
    assert "init of deep from flat (seed 0)" in text
    assert "dense" in text
