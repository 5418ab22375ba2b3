"""Trained weights as a folder that a model server starts from, read back before it is handed over.

``targets/`` has one file per server. ``publish`` writes, has a fresh process read it back, and only
then puts the folder where it belongs.
"""

from upturn.export.serving.base import Check, Options, Source
from upturn.export.serving.manifest import verify_files
from upturn.export.serving.publish import Exported, export_serving
from upturn.export.serving.registry import target, target_names

__all__ = [
    "Check",
    "Exported",
    "Options",
    "Source",
    "export_serving",
    "target",
    "target_names",
    "verify_files",
]
