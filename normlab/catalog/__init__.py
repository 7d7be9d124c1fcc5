"""The catalogue of norms, networks and data sets: discover plugins, validate them, look up their entries by name."""

from normlab.catalog.hookspecs import DataSource, Model
from normlab.catalog.registry import Catalog, catalog

__all__ = ["Catalog", "DataSource", "Model", "catalog"]
