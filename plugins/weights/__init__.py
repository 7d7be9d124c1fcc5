"""Methods that act on weights instead of activations."""
