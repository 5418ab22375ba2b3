"""A version as a folder that leaves the house: plain files, a manifest, a card."""

from upturn.export.bundle import export_version, verify
from upturn.export.loading import Loaded, load_bundle

__all__ = ["Loaded", "export_version", "load_bundle", "verify"]
