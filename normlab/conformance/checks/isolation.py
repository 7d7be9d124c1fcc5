"""Check that a method shares nothing, hides nothing, draws nothing from global generators and prints nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.numerics import Array, require_all_close, require_close
from normlab.conformance.subjects.places import HOSTED, STEPPING
from normlab.conformance.subjects.specimen import MODES, PLAIN, Specimen
from normlab.conformance.subjects.stepper import Stepper

#: Inference first, since a training pass would overwrite what an earlier pass has left behind.
_AFTERWARDS = dict(reversed(MODES.items()))


@check(*HOSTED)
def graph_equals_eager(specimen: Specimen) -> None:
    """Compiled, operator by operator, and called directly, it gives the same output, gradients and state."""
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    start = specimen.values()
    hows = [*reversed(specimen.ways_to_run), PLAIN]  # eager first: the others are compared with it
    for mode, training in MODES.items():
        passes, ends = [], []
        for how in hows:
            specimen.assign(start)
            passes.append(specimen.run(inputs, training=training, how=how, frozen=False, cotangent=cotangent))
            ends.append(specimen.values())
        for how, done, end in zip(hows[1:], passes[1:], ends[1:]):
            what = f"{mode}, {how} against eager"
            require_close(done.output, passes[0].output, f"{what}: other output")
            for one, other in zip(done.input_gradients, passes[0].input_gradients):
                require_close(one, other, f"{what}: another gradient of the input")
            message = what + ": another gradient of {name!r}"
            require_all_close(done.gradients, passes[0].gradients, message, tolerance=1e-4)
            require_all_close(end, ends[0], what + ": {name!r} ends with other values")


@check(*HOSTED)
def repeats_itself(specimen: Specimen) -> None:
    """The same pass run twice from the same values gives the same bits."""
    inputs = specimen.inputs()
    for how in specimen.ways_to_run:
        for mode, training in MODES.items():
            one, other = (specimen.run(inputs, training=training, how=how).output for _ in range(2))
            require(np.array_equal(one, other), f"{mode}, {how}: the second pass gives another output")


@check(*HOSTED)
def keeps_no_hidden_state(specimen: Specimen) -> None:
    """A pass changes declared state only: a new block with the same values continues in the same way."""
    for how in specimen.ways_to_run:
        specimen.run(specimen.inputs("before"), training=True, how=how, frozen=False)
        new = specimen.copy()
        for mode, training in _AFTERWARDS.items():
            done, expected = (
                each.run(specimen.inputs("after"), training=training, how=how, frozen=False).output
                for each in (specimen, new)
            )
            hint = "it remembers something that is not declared by self.state()"
            require_close(done, expected, f"{mode}, {how}: a used block and a new one with its values differ; {hint}")
        require_all_close(specimen.values(), new.values(), how + ": {name!r} changes differently in a new block")


@check(*HOSTED)
def instances_share_nothing(specimen: Specimen) -> None:
    """An instance gives the same outputs whether or not another one trains in between."""
    one, other = specimen.copy(), specimen.copy()
    start = one.values()

    def outputs(how: str, *, interrupted: bool) -> list[Array]:
        one.assign(start)
        one.run(specimen.inputs("one"), training=True, how=how, frozen=False)
        if interrupted:
            other.run([5 + 3 * x for x in specimen.inputs("two")], training=True, how=how, frozen=False)
        return [one.run(specimen.inputs(), training=training, how=how).output for training in _AFTERWARDS.values()]

    for how in specimen.ways_to_run:
        pairs = zip(_AFTERWARDS, outputs(how, interrupted=False), outputs(how, interrupted=True))
        for mode, alone, interrupted in pairs:
            require_close(alone, interrupted, f"{mode}, {how}: another instance's training changes this one's output")


@check(*HOSTED)
def saves_and_loads(specimen: Specimen) -> None:
    """Parameters and states saved to a file and loaded into a new block give the same bits."""
    specimen.run(specimen.inputs("before"), training=True, frozen=False)
    new = Specimen(specimen.norm, specimen.place)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "block.params")
        specimen.block.save_parameters(file)
        new.block.load_parameters(file)
    for mode, training in _AFTERWARDS.items():
        one, other = (each.run(specimen.inputs(), training=training).output for each in (specimen, new))
        require(np.array_equal(one, other), f"{mode}: the block that loaded the file gives another output")


@check(*HOSTED)
def devices_agree(specimen: Specimen) -> None:
    """A second device gives the same output, gradients and state as the first."""
    two = specimen.copy(devices=2)
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    for how in specimen.ways_to_run:
        for mode, training in MODES.items():
            first, second = (
                two.run(inputs, training=training, how=how, frozen=False, cotangent=cotangent, device=device)
                for device in (0, 1)
            )
            require_close(second.output, first.output, f"{mode}, {how}: the second device gives another output")
            for one, other in zip(second.input_gradients, first.input_gradients):
                require_close(one, other, f"{mode}, {how}: the second device gives another gradient of the input")
            require_all_close(two.values(1), two.values(0), f"{mode}, {how}: {{name!r}} differs between the devices")


@check(*HOSTED, *STEPPING)
def draws_no_global_randomness(subject: Specimen | Stepper) -> None:
    """Building and running it leaves the global generators of Python, NumPy and MXNet unchanged."""
    drew_from = subject.side_effects.drew_from
    hint = "; draw in a parameter's initializer, which has a key" if "mx.random" in drew_from else ""
    require(not drew_from, f"it draws from {' and '.join(drew_from)}{hint}")


@check(*HOSTED, *STEPPING)
def is_quiet(subject: Specimen | Stepper) -> None:
    """Building and running it prints nothing and raises no warnings."""
    printed, warned = subject.side_effects.printed.strip(), subject.side_effects.warned
    require(not printed, f"it prints {printed.partition(chr(10))[0][:60]!r}")
    require(not warned, f"it warns: {'; '.join(warned)[:120]}")
