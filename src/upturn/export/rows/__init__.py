"""The rows of a snapshot in formats that others read: one file per written format."""

from upturn.export.rows.base import KtoRow, Material, Needs, Pair, Writer
from upturn.export.rows.registry import writer, writer_names
from upturn.export.rows.rendering import Message, Rendering, plain_rendering

__all__ = [
    "KtoRow",
    "Material",
    "Message",
    "Needs",
    "Pair",
    "Rendering",
    "Writer",
    "plain_rendering",
    "writer",
    "writer_names",
]
