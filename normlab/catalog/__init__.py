"""The catalogue: hook specifications, discovery through pluggy, look-up by name."""

from normlab.catalog.hookspecs import DataSource, Model
from normlab.catalog.registry import Catalog, catalog

__all__ = ["Catalog", "DataSource", "Model", "catalog"]
