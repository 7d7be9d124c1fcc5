"""Layers with one fault each in what they keep, share, draw, print, or fail to do."""

from __future__ import annotations

import random
import warnings

import numpy as np
from faulty.sound import Batch, Example

from normlab.backend.mxnet import mxnet


class VarianceNeverUpdated(Batch):
    """Updates its running mean only."""

    def remember(self, F, running_mean, running_var, mean, var):
        self.update(running_mean=0.9 * running_mean + 0.1 * mean)


class UpdatesAtInference(Batch):
    """Updates its state in every pass."""

    def statistics_at_inference(self, F, mean, var, running_mean, running_var):
        self.remember(F, running_mean, running_var, mean, var)
        return running_mean, running_var


class OperatorWrites(Batch):
    """Passes its state to an operator that writes to it in the backward pass, and updates it as well."""

    def hybrid_forward(self, F, x, gamma, beta, running_mean, running_var):
        super().hybrid_forward(F, x, gamma, beta, running_mean, running_var)
        options = {"momentum": 0.9, "eps": self.epsilon, "fix_gamma": False, "axis": 1}
        return F.BatchNorm(x, gamma, beta, running_mean, running_var, **options)


class UsesBatchAtInference(Batch):
    """Uses the statistics of the batch at inference."""

    def statistics_at_inference(self, F, mean, var, running_mean, running_var):
        return mean, var


class Undeclared(Batch):
    """Does not declare that it depends on the batch."""

    depends_on_batch = False


class DeclaredWithoutNeed(Example):
    """Declares that it depends on the batch, but does not."""

    depends_on_batch = True


class TooFewExamples(Batch):
    """Claims that one example is enough."""

    minimum_batch = 1


class TiedToBatchSize(Example):
    """Assumes the size of the first batch for all batches."""

    hybridizable = False

    def hybrid_forward(self, F, x, **parameters):
        self.count = getattr(self, "count", x.shape[0])
        return super().hybrid_forward(F, x, **parameters) * (x.shape[0] / self.count)


class RemembersCalls(Batch):
    """Keeps its statistics in an attribute that is not declared."""

    hybridizable = False
    kept = None

    def remember(self, F, running_mean, running_var, mean, var):
        super().remember(F, running_mean, running_var, mean, var)
        self.keep((mean.detach(), var.detach()))

    def keep(self, statistics):
        self.kept = statistics

    def statistics_at_inference(self, F, mean, var, running_mean, running_var):
        return self.kept or (running_mean, running_var)


class SharesState(RemembersCalls):
    """Keeps its statistics in an attribute of the class, shared by all instances."""

    def keep(self, statistics):
        type(self).kept = statistics


class DrawsFromMXNet(Example):
    """Adds noise from MXNet's global generator."""

    def hybrid_forward(self, F, x, **parameters):
        y = super().hybrid_forward(F, x, **parameters)
        noise = F.random.uniform(shape=(1, 1, 1))
        return F.reshape_like(F.broadcast_add(F.reshape(y, (0, 0, -1)), noise), x)


class DrawsFromNumPy(Example):
    """Draws from NumPy's global generator."""

    def hybrid_forward(self, F, x, **parameters):
        return super().hybrid_forward(F, x, **parameters) * float(np.random.uniform(0.9, 1.1))


class DrawsFromPython(Example):
    """Draws from Python's global generator."""

    def hybrid_forward(self, F, x, **parameters):
        return super().hybrid_forward(F, x, **parameters) * random.uniform(0.9, 1.1)  # noqa: S311 - the fault


class Prints(Example):
    """Prints its input."""

    def hybrid_forward(self, F, x, **parameters):
        print(x)  # noqa: T201 - the fault
        return super().hybrid_forward(F, x, **parameters)


class Warns(Example):
    """Warns when it is built."""

    def __init__(self, **site):
        super().__init__(**site)
        warnings.warn("this may change", stacklevel=1)


class GraphDiffers(Example):
    """Computes something else when it is compiled."""

    def hybrid_forward(self, F, x, **parameters):
        return super().hybrid_forward(F, x, **parameters) * (1.01 if F is mxnet().nd else 1)


class WorksOnFirstDeviceOnly(Example):
    """Returns zeros on other devices."""

    hybridizable = False

    def hybrid_forward(self, F, x, **parameters):
        y = super().hybrid_forward(F, x, **parameters)
        return y if x.context.device_id == 0 else F.zeros_like(y)


class CouldBeCompiled(Example):
    """Declares that it cannot be compiled, although it can."""

    hybridizable = False
