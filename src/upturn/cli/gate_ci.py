"""Where ``upturn gate`` writes its decision for a build."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upturn.cli.writing import check_out, write_out

if TYPE_CHECKING:
    from upturn.gate import GateReport

#: The file that GitHub Actions shows on the job's page; every step adds to it.
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Files to write; they are checked before anything is read.

    Attributes:
        ci: add to the job's page where the environment names its file.
        summary: Markdown file, or None.
        junit: JUnit XML file, or None.

    Raises:
        InputError: a file's suffix says something else.
        StorageError: a file's folder does not exist.
    """

    ci: bool
    summary: Path | None
    junit: Path | None

    def __post_init__(self) -> None:
        if self.summary is not None:
            check_out(self.summary, (".md",), option="--summary")
        if self.junit is not None:
            check_out(self.junit, (".xml",), option="--junit")

    def write(self, report: GateReport) -> str:
        """Writes the files and returns the Markdown.

        Raises:
            StorageError: a file cannot be written.
        """
        from upturn.pipeline.workspace import disk_errors
        from upturn.report.ci import ci_summary, junit

        text = ci_summary(report)
        if self.summary is not None:
            write_out(self.summary, {".md": lambda: text})
        if self.junit is not None:
            write_out(self.junit, {".xml": lambda: junit(report)})
        page = os.environ.get(STEP_SUMMARY) if self.ci else None
        if page:
            with disk_errors(Path(page)), Path(page).open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")
        return text
