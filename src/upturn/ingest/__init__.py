"""Takes feedback in from files and services: streamed, resumable, every record accounted for."""

from upturn.ingest.limits import Limits
from upturn.ingest.loop import ingest
from upturn.ingest.options import Options
from upturn.ingest.preview import Preview, Previewed, preview
from upturn.ingest.report import IngestReport, Progress, SourceReport
from upturn.ingest.source import Record, RecordStream, open_records

__all__ = [
    "IngestReport",
    "Limits",
    "Options",
    "Preview",
    "Previewed",
    "Progress",
    "Record",
    "RecordStream",
    "SourceReport",
    "ingest",
    "open_records",
    "preview",
]
