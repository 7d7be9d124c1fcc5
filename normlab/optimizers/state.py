"""The state of MXNet's optimizers as plain arrays and counts, which can be stored without pickle.

All devices have the same state, because they get the same gradients; it is read from the first and written to all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from normlab.backend.mxnet import mxnet
from normlab.errors import CheckpointError

mx = mxnet()


def read_arrays(trainer: Any, names: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the arrays of state on the first device, MXNet's own, named `<parameter>/<index>`.

    Args:
        trainer: The `gluon.Trainer`.
        names: The structural names of its parameters, in its order.
    """
    states = trainer._updaters[0].states  # noqa: SLF001 - MXNet's public interface uses pickle
    return [
        (f"{names[index]}/{place}", array)
        for index in sorted(states)
        for place, array in enumerate(_flat(states[index]))
    ]


def read_updates(trainer: Any, names: Sequence[str]) -> dict[str, int]:
    """Return the number of updates of each parameter that the optimizer has counted."""
    optimizer = trainer.optimizer
    device = trainer._contexts[0].device_id  # noqa: SLF001 - MXNet's public interface uses pickle
    counts = optimizer._all_index_update_counts.get(device, {})  # noqa: SLF001 - MXNet's public interface uses pickle
    return {names[index]: int(count) for index, count in sorted(counts.items())}


def restore(trainer: Any, names: Sequence[str], stored: Mapping[str, NDArray[Any]], counted: Mapping[str, int]) -> None:
    """Restore the state of another trainer in a new one.

    Args:
        trainer: The `gluon.Trainer`.
        names: The structural names of its parameters, in its order.
        stored: The result of `read_arrays`, as NumPy arrays.
        counted: The result of `read_updates`.

    Raises:
        CheckpointError: The state is of another optimizer or of other parameters.
    """
    optimizer = trainer.optimizer
    place = {name: index for index, name in enumerate(names)}
    _require("optimizer's parameters", {name.rpartition("/")[0] for name in stored} | set(counted), set(place))
    for updater, context in zip(trainer._updaters, trainer._contexts):  # noqa: SLF001 - MXNet's public interface uses pickle
        for name in counted:
            index = place[name]
            parameter = trainer._params[index]  # noqa: SLF001 - MXNet's public interface uses pickle
            updater.states[index] = optimizer.create_state_multi_precision(index, parameter.data(context))
            updater.states_synced[index] = True
        found = {
            f"{names[index]}/{at}": array
            for index, state in updater.states.items()
            for at, array in enumerate(_flat(state))
        }
        for name in {*found, *stored}:
            write_array(f"optimizer state {name}", stored.get(name), [found[name]] if name in found else [])
        counts = {place[name]: count for name, count in counted.items()}
        optimizer._all_index_update_counts[context.device_id] = counts  # noqa: SLF001 - MXNet's public interface uses pickle
    optimizer._set_current_context(trainer._contexts[0].device_id)  # noqa: SLF001 - MXNet's public interface uses pickle
    optimizer.num_update = max([optimizer.begin_num_update, *counted.values()])


def write_array(name: str, value: NDArray[Any] | None, targets: Sequence[Any]) -> None:
    """Write a stored array to arrays of MXNet's.

    Args:
        name: What the array is, for messages.
        value: The stored array, or None if there is none.
        targets: An array on each device, or none.

    Raises:
        CheckpointError: One is missing, or they differ in shape or type.
    """
    if value is None or not targets:
        raise CheckpointError(
            f"{name}: {'not stored' if value is None else 'stored, but this run has none'}; {_REMEDY}"
        )
    for target in targets:
        if value.shape != target.shape or value.dtype != target.dtype:
            raise CheckpointError(
                f"{name}: {value.dtype} {value.shape} is stored; expected {target.dtype.__name__} {target.shape}; "
                f"{_REMEDY}"
            )
        target[:] = mx.nd.array(value, ctx=target.context, dtype=target.dtype)


_REMEDY = "the checkpoint is of another network or optimizer; use --again to start the run over"


def _require(what: str, found: set[str], known: set[str]) -> None:
    unknown = found - known
    if unknown:
        raise CheckpointError(f"{what}: {min(unknown)} is stored, but this run has no such parameter; {_REMEDY}")


def _flat(state: Any) -> Iterator[Any]:
    """Return the arrays of a state, which MXNet nests in tuples and lists, or None."""
    if isinstance(state, (tuple, list)):
        for part in state:
            yield from _flat(part)
    elif state is not None:
        yield state
