"""Checks that a method keeps to itself: nothing shared, nothing hidden, nothing drawn, nothing printed."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np

from normlab.conformance.check import check, require
from normlab.conformance.listening import heard, mxnet_draw
from normlab.conformance.numerics import all_close, close
from normlab.conformance.subjects.places import HOSTED, STEPPING
from normlab.conformance.subjects.specimen import EAGER, GRAPH, MODES, PLAIN, Specimen
from normlab.conformance.subjects.stepper import Stepper

#: The modes in the order in which they show what was left behind: a training pass would put its own in the place.
_AFTERWARDS = dict(reversed(MODES.items()))


@check(*HOSTED)
def graph_equals_eager(specimen: Specimen) -> None:
    """Compiled, operator by operator and called as Gluon users do, it gives the same output, gradients and state."""
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    start = specimen.values()
    for mode, training in MODES.items():
        passes, ends = [], []
        for how in (EAGER, GRAPH, PLAIN):
            specimen.assign(start)
            passes.append(specimen.run(inputs, training=training, how=how, frozen=False, cotangent=cotangent))
            ends.append(specimen.values())
        for how, done, end in zip((GRAPH, PLAIN), passes[1:], ends[1:]):
            what = f"{mode}, {how} against eager"
            close(done.output, passes[0].output, f"{what}: other output")
            for one, other in zip(done.input_gradients, passes[0].input_gradients):
                close(one, other, f"{what}: another gradient of the input")
            all_close(done.gradients, passes[0].gradients, what + ": another gradient of {name!r}", tolerance=1e-4)
            all_close(end, ends[0], what + ": {name!r} ends with other values")


@check(*HOSTED)
def repeats_itself(specimen: Specimen) -> None:
    """The same pass twice, from the same values, gives the same bits."""
    inputs = specimen.inputs()
    for how in (GRAPH, EAGER):
        for mode, training in MODES.items():
            one, other = (specimen.run(inputs, training=training, how=how).output for _ in range(2))
            require(np.array_equal(one, other), f"{mode}, {how}: the second pass gave another output")


@check(*HOSTED)
def keeps_no_hidden_state(specimen: Specimen) -> None:
    """All that a pass leaves behind is declared state: a new block with the same values goes on alike."""
    for how in (GRAPH, EAGER):
        specimen.run(specimen.inputs("before"), training=True, how=how, frozen=False)
        new = specimen.twin()
        for mode, training in _AFTERWARDS.items():
            done, expected = (
                each.run(specimen.inputs("after"), training=training, how=how, frozen=False).output
                for each in (specimen, new)
            )
            hint = "it remembers something that is not declared by self.state()"
            close(done, expected, f"{mode}, {how}: a used block and a new one with its values differ; {hint}")
        all_close(specimen.values(), new.values(), how + ": {name!r} goes on otherwise in a new block")


@check(*HOSTED)
def instances_share_nothing(specimen: Specimen) -> None:
    """What one instance does is the same whether or not another one is used in between."""
    for how in (GRAPH, EAGER):
        outputs = []
        for others in (0, 1):
            one = specimen.twin()
            one.run(specimen.inputs("one"), training=True, how=how, frozen=False)
            for other in [specimen.twin() for _ in range(others)]:
                other.run([5 + 3 * x for x in specimen.inputs("two")], training=True, how=how, frozen=False)
            outputs += [
                one.run(specimen.inputs(), training=training, how=how).output for training in _AFTERWARDS.values()
            ]
        for index, mode in enumerate(_AFTERWARDS):
            close(outputs[index], outputs[index + 2], f"{mode}, {how}: another instance's training changes this one's")


@check(*HOSTED)
def saves_and_loads(specimen: Specimen) -> None:
    """Parameters and state written to a file and read into a new block give the same bits."""
    specimen.run(specimen.inputs("before"), training=True, frozen=False)
    new = Specimen(specimen.norm, specimen.place)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "block.params")
        specimen.block.save_parameters(file)
        new.block.load_parameters(file)
    for mode, training in _AFTERWARDS.items():
        one, other = (each.run(specimen.inputs(), training=training).output for each in (specimen, new))
        require(np.array_equal(one, other), f"{mode}: the block that read the file gives another output")


@check(*HOSTED)
def devices_agree(specimen: Specimen) -> None:
    """On a second device it computes, and keeps as state, what it does on the first."""
    two = specimen.twin(devices=2)
    inputs, cotangent = specimen.inputs(), specimen.inputs("cotangent")[0]
    for how in (GRAPH, EAGER):
        for mode, training in MODES.items():
            first, second = (
                two.run(inputs, training=training, how=how, frozen=False, cotangent=cotangent, device=device)
                for device in (0, 1)
            )
            close(second.output, first.output, f"{mode}, {how}: the second device gives another output")
            for one, other in zip(second.input_gradients, first.input_gradients):
                close(one, other, f"{mode}, {how}: the second device gives another gradient of the input")
            all_close(two.values(1), two.values(0), f"{mode}, {how}: {{name!r}} differs between the devices")


@check(*HOSTED, *STEPPING)
def draws_no_global_randomness(subject: Specimen | Stepper) -> None:
    """Made and run, it leaves the global generators of Python, NumPy and MXNet as they were."""
    before = random.getstate(), str(np.random.get_state())  # noqa: NPY002 - it is this one that must not move
    drawn = mxnet_draw()
    after = mxnet_draw(subject.exercise)
    require(random.getstate() == before[0], "it drew from Python's `random`")
    require(str(np.random.get_state()) == before[1], "it drew from numpy.random")  # noqa: NPY002 - likewise
    require(np.array_equal(drawn, after), "it drew from mx.random; draw in a parameter's initializer, which is keyed")


@check(*HOSTED, *STEPPING)
def is_quiet(subject: Specimen | Stepper) -> None:
    """Made and run, it prints nothing and warns of nothing."""
    printed, warned = heard(subject.exercise)
    require(not printed.strip(), f"it prints {printed.strip().partition(chr(10))[0][:60]!r}")
    require(not warned, f"it warns: {'; '.join(warned)[:120]}")
