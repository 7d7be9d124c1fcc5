"""Data sets: what one is, those that normlab ships, and the store that finds, fetches and verifies their files.

A data set is a function whose signature is the schema of its YAML block and whose result is a
`Dataset`. `normlab.datasets.plugin` lists the shipped ones.
"""

from normlab.datasets.base import Dataset, Split

__all__ = ["Dataset", "Split"]
