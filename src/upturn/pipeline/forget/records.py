"""Takes a subject out of reports, whose texts are masked and so are not what was said."""

from __future__ import annotations

import json
from pathlib import Path

from upturn.pipeline.forget.needles import Needles
from upturn.pipeline.forget.subject import Subject
from upturn.pipeline.reports import records
from upturn.pipeline.workspace import read_json, write_json
from upturn.records import Json
from upturn.report.masking import mask


def clean_reports(folder: Path, subject: Subject) -> int:
    """Drops the subject's rows from reports, and redacts its texts as reports show them.

    Pages are made anew by ``reports.refresh``.

    Returns:
        How many reports were changed.

    Raises:
        CorruptionError: a report was changed by somebody else.
    """
    shown = {mask(text) for text in subject.needles.texts} - set(subject.needles.texts)
    needles = Needles(shown, ())
    changed = 0
    for path in records(folder):
        before = read_json(path)
        text, _ = needles.redact(json.dumps(_without(before, subject.request_ids)))
        after = json.loads(text)
        if after != before:
            write_json(path, after)
            changed += 1
    return changed


def _without(report: Json, ids: set[str]) -> Json:
    kept = {
        side: [row for row in report.get(side, []) if row["example_id"] not in ids]
        for side in ("fixed", "broken")
    }
    return {**report, **kept}
