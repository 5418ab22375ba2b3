"""A version as a folder that leaves the house: plain files, a manifest, a card."""

from upturn.export.bundle import export_version, verify

__all__ = ["export_version", "verify"]
