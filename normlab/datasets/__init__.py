"""Data sets: their types, those that normlab ships, and the store that finds, downloads and verifies their files.

A data set is a function whose signature is the schema of its YAML block and which returns a `Dataset`.
`normlab.datasets.plugin` registers the shipped ones.
"""

from normlab.datasets.base import Dataset, Split

__all__ = ["Dataset", "Split"]
