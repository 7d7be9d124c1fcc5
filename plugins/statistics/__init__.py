"""Methods that normalize activations by statistics of the batch, of channels, groups or positions."""
