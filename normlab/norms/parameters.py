"""What all methods with parameters of their own have in common: declarations, the mode, running state."""

from __future__ import annotations

from typing import Any, Callable, ClassVar, NamedTuple

from normlab.backend.initializers import Initializer
from normlab.errors import PluginBroken


class Declared(NamedTuple):
    """A parameter or state that a method declares.

    Attributes:
        shape: Its shape as a function of the number of channels.
        initializer: How it starts.
        trainable: Whether the optimizer changes it.
        learning_rate_factor: By how much its learning rate differs from that of the weights.
        state: Whether it is running state, changed by `update()`.
    """

    shape: Callable[[int], tuple[int, ...]]
    initializer: Initializer
    trainable: bool
    state: bool
    learning_rate_factor: float = 1.0


def _per_channel(channels: int) -> tuple[int, ...]:
    return (channels,)


class Parameterized:
    """Declarations and mode, for methods that act on activations and on weights alike."""

    #: Whether the output for one example depends on the other examples of the batch, in training.
    depends_on_batch: ClassVar[bool] = False
    #: The fewest examples of a batch with which training makes sense.
    minimum_batch: ClassVar[int] = 1
    #: Whether `hybrid_forward` can be traced; a method that uses `mx.autograd.Function` can't.
    hybridizable: ClassVar[bool] = True

    def __init__(self) -> None:
        self.declared: dict[str, Declared] = {}
        self._updates: dict[str, Any] = {}

    def parameter(
        self,
        name: str,
        initializer: Initializer = "ones",
        shape: Callable[[int], tuple[int, ...]] = _per_channel,
        *,
        trainable: bool = True,
        learning_rate_factor: float = 1.0,
    ) -> None:
        """Declare a parameter, which `hybrid_forward` receives by its name.

        Args:
            name: Its name; names that start with gamma or beta are spared weight decay where that is asked.
            initializer: How it starts.
            shape: Its shape, as a function of the number of channels; `(C,)` by default.
            trainable: False for a constant of the method.
            learning_rate_factor: By how much its learning rate differs from that of the weights.
        """
        self.declared[name] = Declared(shape, initializer, trainable, False, learning_rate_factor)

    def state(
        self,
        name: str,
        initializer: Initializer = "zeros",
        shape: Callable[[int], tuple[int, ...]] = _per_channel,
    ) -> None:
        """Declare running state, which `hybrid_forward` receives by its name and `update()` changes."""
        self.declared[name] = Declared(shape, initializer, trainable=False, state=True)

    @property
    def training(self) -> bool:
        """Whether this pass trains: a plain value, in a graph too (see `normlab.backend.tracing`)."""
        from normlab.backend.tracing import is_training  # noqa: PLC0415 - loads MXNet, which listing does without

        return is_training()

    def update(self, **states: Any) -> None:
        """Give states their new values, as of the end of this forward pass; gradients don't flow into them.

        Args:
            **states: The new values by the states' names.

        Raises:
            PluginBroken: In predict mode, where state must not change, or for a name that is no state.
        """
        for name, value in states.items():
            if name not in self.declared or not self.declared[name].state:
                raise PluginBroken(f"{type(self).__name__}.update: {name!r} is no declared state of this method")
            if not self.training:
                raise PluginBroken(f"{type(self).__name__}.update: state {name!r} may change in training only")
            self._updates[name] = value

    def take_updates(self) -> dict[str, Any]:
        """The new states of the last pass, which are then forgotten."""
        updates, self._updates = self._updates, {}
        return updates
