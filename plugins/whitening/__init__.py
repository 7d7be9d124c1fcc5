"""Methods that decorrelate activations, not only standardize them."""
