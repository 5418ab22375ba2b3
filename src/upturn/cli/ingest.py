"""``upturn ingest``: take feedback in from files and services; streamed, resumable, counted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson

if TYPE_CHECKING:
    from upturn.events import Event
    from upturn.ingest import IngestReport, Options, Preview, Progress

#: Seconds between two lines where nobody watches a bar.
EVERY_S = 10.0

Scrub = tuple["Callable[[Event], Event]", Callable[[str], str]]


Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Files, folders, - for the standard input, or mlflow:URI#EXPERIMENT.",
    ),
]
Store = Annotated[
    str | None,
    typer.Option("--store", help="Where events go: a path, sqlite:/// or postgresql:// URL."),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="The sources' format, or map:FILE; recognised by default."),
]
AsPreview = Annotated[
    bool,
    typer.Option("--preview", help="Show what the first records would become; store nothing."),
]
Shown = Annotated[int, typer.Option("--records", min=1, help="How many records --preview shows.")]
Rejects = Annotated[
    Path | None,
    typer.Option(
        "--rejects", help="Where rejects are listed: FILE.jsonl, or a folder; beside the store."
    ),
]
Restart = Annotated[
    bool,
    typer.Option("--restart/--resume", help="Start anew; by default a broken-off run goes on."),
]
NoScrub = Annotated[bool, typer.Option("--no-scrub", help="Leave e-mails, cards and keys in.")]
Names = Annotated[
    bool, typer.Option("--names", help="Take names of persons out too; needs the extra [names].")
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="The key of the pseudonyms; made where it is absent."),
]


def ingest(
    paths: Sources,
    store: Store = None,
    format: Format = None,
    as_json: AsJson = False,
    preview: AsPreview = False,
    records: Shown = 5,
    rejects: Rejects = None,
    restart: Restart = False,
    no_scrub: NoScrub = False,
    names: Names = False,
    key_file: KeyFile = None,
) -> None:
    """Take requests and feedback in from files and services, each event once."""
    from upturn.ingest import Options

    scrub, scrub_text = _scrub(no_scrub, names, key_file)
    options = Options(scrub_text=scrub_text, resume=not restart)
    if preview:
        _preview(paths, scrub, records, format, options, as_json)
        return
    if store is None:
        raise typer.BadParameter("name where events go with --store, or ask for --preview")
    report = _ingest(paths, store, scrub, rejects, format, options)
    _warn(report)
    if as_json:
        console.answer(report.to_json())
    else:
        _show(report)


def _scrub(no_scrub: bool, names: bool, key_file: Path | None) -> Scrub:
    if no_scrub:
        return (lambda event: event), (lambda text: text)
    from upturn.privacy import Pseudonyms, Scrubber, ScrubRules

    scrubber = Scrubber(ScrubRules(names=names), Pseudonyms.from_key_file(key_file))
    return scrubber.event, scrubber.text


def _ingest(
    paths: list[str],
    url: str,
    scrub: Callable[[Event], Event],
    rejects: Path | None,
    format: str | None,
    options: Options,
) -> IngestReport:
    from upturn.ingest import ingest
    from upturn.store import FeedbackStore

    with FeedbackStore.open(url) as store, _progress() as told:
        return ingest(
            paths,
            store,
            scrub=scrub,
            rejects=rejects or _beside(url),
            importer=format,
            progress=told,
            options=options,
        )


def _beside(url: str) -> Path:
    """Returns the folder of rejects: beside a SQLite store, else in the working directory."""
    path = url.removeprefix("sqlite:///")
    return Path("upturn-rejects") if "://" in path else Path(path).parent / "rejects"


def _warn(report: IngestReport) -> None:
    """Says on stderr what was not taken."""
    if report.rejected:
        _tell(f"warning: {report.rejected} rejected: no event came of these records, or parts")
    if report.conflicts:
        _tell(f"warning: {report.conflicts} conflicts: the id names another event; not stored")
    for path in report.rejects:
        _tell(f"  line and reason of each: {path}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(report: IngestReport) -> None:
    for source in report.sources:
        console.say(f"{source.source}: {source.format or 'no format'}")
        console.say(f"  {_told(source.counts)}")
        if source.resumed_from:
            console.say(f"  went on after {source.resumed_from} records of an earlier run")
    if len(report.sources) > 1:
        names = report.sources[0].counts
        console.say(f"in all\n  {_told({name: report.count(name) for name in names})}")


def _told(counts: Mapping[str, int]) -> str:
    """Returns the counts as text; those that are seldom anything are left out where they are 0."""
    always = ("requests", "feedback", "duplicates", "conflicts", "rejected")
    others = [name for name in ("forgotten", "empty") if counts[name]]
    return ", ".join(f"{name} {counts[name]}" for name in (*always, *others))


def _preview(
    paths: list[str],
    scrub: Callable[[Event], Event],
    records: int,
    format: str | None,
    options: Options,
    as_json: bool,
) -> None:
    from upturn.ingest import preview

    for path in paths:
        shown = preview(path, scrub=scrub, records=records, importer=format, options=options)
        if as_json:
            console.answer(shown.to_json())
        else:
            _show_preview(shown)


def _show_preview(shown: Preview) -> None:
    console.say(f"{shown.source}: {shown.format or 'no format'}; nothing was stored")
    rows: list[list[str]] = []
    for record in shown.records:
        at = str(record.record)
        for event in record.events:
            line = event.to_json()
            what = line.pop("kind")
            del line["upturn"]
            told = [f"{k}: {v}" for k, v in line.items() if v not in (None, {}, "")]
            rows.append([at, what, "\n".join(told)])
        rows += [[at, "rejected", f"{r.field} {r.reason}".strip()] for r in record.refusals]
        if not record.events and not record.refusals:
            rows.append([at, "nothing", "a record that holds no event"])
    console.table(["record", "gives", "what"], rows)


@contextmanager
def _progress() -> Generator[Callable[[Progress], None]]:
    """Draws a bar where a person watches; elsewhere says a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines().told
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[name]}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar).told


class _Lines:
    """One line every ten seconds, with rate and time left."""

    def __init__(self) -> None:
        self._pace = _Pace()
        self._said = time.monotonic()

    def told(self, progress: Progress) -> None:
        pace = self._pace
        pace.follow(progress)
        if time.monotonic() - self._said < EVERY_S:
            return
        self._said = time.monotonic()
        left = pace.seconds_left(progress)
        about = f", about {left:.0f} s left" if left is not None else ""
        _tell(f"{progress.source}: {progress.events} events, {pace.rate(progress)}{about}")


class _Bar:
    """A bar for each source, by the bytes of its file."""

    def __init__(self, bar: console.Json) -> None:
        self._bar = bar
        self._pace = _Pace()
        self._task: console.Json = None

    def told(self, progress: Progress) -> None:
        if self._pace.follow(progress):
            if self._task is not None:
                self._bar.remove_task(self._task)
            name = f"{progress.number}/{progress.sources} {Path(progress.source).name[-40:]}"
            self._task = self._bar.add_task("", total=progress.size, name=name, rate="")
        rate = self._pace.rate(progress)
        self._bar.update(self._task, completed=progress.consumed, rate=rate)


class _Pace:
    """How fast a source is taken in; begins anew with each."""

    def __init__(self) -> None:
        self._source = 0
        self._start = time.monotonic()
        self._next = self._start

    def follow(self, progress: Progress) -> bool:
        """Says whether this is the first word of a source."""
        if progress.number == self._source:
            return False
        self._source = progress.number
        # The first word comes when the first batch is done.
        self._start, self._next = self._next, time.monotonic()
        return True

    def rate(self, progress: Progress) -> str:
        return f"{progress.events / max(time.monotonic() - self._start, 1e-3):,.0f} events/s"

    def seconds_left(self, progress: Progress) -> float | None:
        if not progress.size or not progress.consumed:
            return None
        passed = time.monotonic() - self._start
        return passed * (progress.size - progress.consumed) / progress.consumed
