"""What ``upturn init`` writes: program, config, fine-tune jobs, and a production log made here."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from upturn.errors import StorageError
from upturn.pipeline.progress import Progress
from upturn.pipeline.workspace import disk_errors, write_text
from upturn.quickstart.write import write_quickstart

LOG = Path("mlruns/quickstart/ticket_triage.jsonl")
_FILES = {
    "ticket_triage.py": Path("programs/ticket_triage.py"),
    "ticket_triage.yaml": Path("configs/ticket_triage.yaml"),
    "ticket_triage_sft.yaml": Path("jobs/ticket_triage_sft.yaml"),
    "ticket_triage_dpo.yaml": Path("jobs/ticket_triage_dpo.yaml"),
    "ticket_triage_kto.yaml": Path("jobs/ticket_triage_kto.yaml"),
}


def write_project(folder: Path, *, progress: Progress, with_log: bool) -> list[Path]:
    """Writes a project that runs at once.

    Args:
        folder: made if missing; a file that is there with other content is never overwritten.
        progress: told what happens.
        with_log: also runs the embedded model to write the sample log.

    Returns:
        The files written.

    Raises:
        StorageError: a file is in the way, or the folder cannot be written; then nothing is.
        MissingExtraError: the log needs the [local] extra.
    """
    template = resources.files("upturn.quickstart") / "template"
    content = {target: (template / name).read_text("utf-8") for name, target in _FILES.items()}
    for target, text in content.items():
        path = folder / target
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise StorageError(
                "a file with other content is in the way",
                where=str(path),
                fix="upturn init OTHER_FOLDER, or move the file",
            )
    with disk_errors(folder):
        for target, text in content.items():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            write_text(folder / target, text)
    written = [folder / target for target in content]
    if with_log and not (folder / LOG).exists():
        write_quickstart(folder / LOG, progress=progress)
        written.append(folder / LOG)
    return written
