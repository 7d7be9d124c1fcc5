"""The catalogue: hook specifications, discovery through pluggy, look-up by name."""

from normlab.catalog.entries import DataSource, Model
from normlab.catalog.lookup import Catalog, catalog

__all__ = ["Catalog", "DataSource", "Model", "catalog"]
