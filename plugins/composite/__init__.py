"""Methods that learn which of several to use."""
