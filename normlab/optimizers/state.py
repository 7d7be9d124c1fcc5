"""The state of MXNet's optimizers as plain arrays and counts, so that no pickle is needed to keep it.

Devices hold the same state, since each gets the same gradients; it is read from the first and written to all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normlab.backend.mxnet import mxnet
from normlab.errors import CheckpointError

if TYPE_CHECKING:
    from numpy.typing import NDArray

mx = mxnet()


def arrays(trainer: Any, names: Sequence[str]) -> list[tuple[str, Any]]:
    """MXNet's arrays of state on the first device, named `<parameter>/<index>`.

    Args:
        trainer: The `gluon.Trainer`.
        names: Its parameters' structural names, in its order.
    """
    states = trainer._updaters[0].states  # noqa: SLF001 - MXNet's own way out is pickle
    return [
        (f"{names[index]}/{place}", array)
        for index in sorted(states)
        for place, array in enumerate(_flat(states[index]))
    ]


def updates(trainer: Any, names: Sequence[str]) -> dict[str, int]:
    """How many updates of each parameter the optimizer has counted."""
    optimizer = trainer.optimizer
    device = trainer._contexts[0].device_id  # noqa: SLF001 - MXNet's own way out is pickle
    counts = optimizer._all_index_update_counts.get(device, {})  # noqa: SLF001 - MXNet's own way out is pickle
    return {names[index]: int(count) for index, count in sorted(counts.items())}


def restore(trainer: Any, names: Sequence[str], stored: Mapping[str, NDArray[Any]], counted: Mapping[str, int]) -> None:
    """Bring a fresh trainer to where another was.

    Args:
        trainer: The `gluon.Trainer`.
        names: Its parameters' structural names, in its order.
        stored: What `arrays` gave, as NumPy's.
        counted: What `updates` gave.

    Raises:
        CheckpointError: They are not those of this optimizer and these parameters.
    """
    optimizer = trainer.optimizer
    place = {name: index for index, name in enumerate(names)}
    _require("optimizer's parameters", {name.rpartition("/")[0] for name in stored} | set(counted), set(place))
    for updater, context in zip(trainer._updaters, trainer._contexts):  # noqa: SLF001 - MXNet's own way out is pickle
        for name in counted:
            index = place[name]
            parameter = trainer._params[index]  # noqa: SLF001 - MXNet's own way out is pickle
            updater.states[index] = optimizer.create_state_multi_precision(index, parameter.data(context))
            updater.states_synced[index] = True
        found = {
            f"{names[index]}/{at}": array
            for index, state in updater.states.items()
            for at, array in enumerate(_flat(state))
        }
        for name in {*found, *stored}:
            put(f"optimizer state {name}", stored.get(name), [found[name]] if name in found else [])
        counts = {place[name]: count for name, count in counted.items()}
        optimizer._all_index_update_counts[context.device_id] = counts  # noqa: SLF001 - MXNet's own way out is pickle
    optimizer._set_current_context(trainer._contexts[0].device_id)  # noqa: SLF001 - MXNet's own way out is pickle
    optimizer.num_update = max([optimizer.begin_num_update, *counted.values()])


def put(name: str, value: NDArray[Any] | None, targets: Sequence[Any]) -> None:
    """Write a stored array into MXNet's, whose form it must have.

    Raises:
        CheckpointError: One is absent, or they differ in shape or type.
    """
    if value is None or not targets:
        raise CheckpointError(f"{name}: {'not stored' if value is None else 'stored, but not there'}; {_REMEDY}")
    for target in targets:
        if value.shape != target.shape or value.dtype != target.dtype:
            raise CheckpointError(
                f"{name}: {value.dtype} {value.shape} is stored; expected {target.dtype.__name__} {target.shape}; "
                f"{_REMEDY}"
            )
        target[:] = mx.nd.array(value, ctx=target.context, dtype=target.dtype)


_REMEDY = "the checkpoint is of another network or optimizer: --again begins the run anew"


def _require(what: str, found: set[str], known: set[str]) -> None:
    strange = found - known
    if strange:
        raise CheckpointError(f"{what}: {min(strange)} is stored, but not there; {_REMEDY}")


def _flat(state: Any) -> Iterator[Any]:
    """The arrays of a state, which MXNet nests in tuples and lists, or leaves out."""
    if isinstance(state, (tuple, list)):
        for part in state:
            yield from _flat(part)
    elif state is not None:
        yield state
