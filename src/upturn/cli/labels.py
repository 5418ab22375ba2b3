"""``upturn labels``: what the feedback in a store says is right, how sure that is, and why."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson, OptionalProgram

if TYPE_CHECKING:
    from datetime import datetime

    from upturn.labels import Labelling
    from upturn.labels.propensity import SelectionReport
    from upturn.store import FeedbackStore

Store = Annotated[
    str | None, typer.Option("--store", help="Where events are: a path, or a database URL.")
]
Now = Annotated[
    str | None,
    typer.Option("--now", help="Label as of this time (ISO 8601 with a zone); now by default."),
]
MinAge = Annotated[
    float,
    typer.Option("--min-age-hours", min=0.0, help="Younger requests wait; none by default."),
]

app = typer.Typer(
    name="labels",
    help="Show what feedback says is right, field by field, with its probability.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def labels(
    context: typer.Context,
    store: Store = None,
    as_json: AsJson = False,
    program: OptionalProgram = None,
    now: Now = None,
    min_age_hours: MinAge = 0.0,
) -> None:
    """Show what feedback says is right, field by field, with its probability."""
    if context.invoked_subcommand is not None:
        # ``why`` after options of its own: those before it belong to it just as well.
        context.obj = (store, program, now, min_age_hours)
        return
    from upturn.labels import compile_labels
    from upturn.labels.age import Age
    from upturn.labels.answers import label_lines

    at = _time(now)
    with _opened(store) as events:
        made = compile_labels(events, now=at, min_age_hours=min_age_hours, program=program)
        if as_json:
            age = Age(at, min_age_hours)
            console.answer_lines(label_lines(events, made, age, program=program))
            return
        _show(made, _selection(events, made, program))


@app.command()
def why(
    context: typer.Context,
    request_id: Annotated[str, typer.Argument(help="The request.")],
    store: Store = None,
    as_json: AsJson = False,
    program: OptionalProgram = None,
    now: Now = None,
    min_age_hours: MinAge = 0.0,
) -> None:
    """Show the chain of one request: its events, how they were read, and what came of them."""
    from upturn.errors import DataError
    from upturn.labels import compile_labels
    from upturn.labels.why import explain, lines

    before = context.obj or (None, None, None, 0.0)
    url, at = store or before[0], _time(now or before[2])
    with _opened(url) as events:
        request = events.request(request_id)
        if request is None:
            raise DataError(
                f"request must be in the store, got {request_id!r}",
                fix="list them with: upturn labels --store URL --json",
            )
        made = compile_labels(
            events,
            now=at,
            min_age_hours=min_age_hours or before[3],
            program=program or before[1],
        )
        told = explain(made, request, events.feedback_on(request_id))
    if as_json:
        console.answer(told.to_json())
        return
    for line in lines(told):
        console.say(line)


def _time(now: str | None) -> datetime:
    from datetime import UTC, datetime

    if now is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(now)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise typer.BadParameter(f"--now must be ISO 8601 with a zone, got {now!r}")
    return at


@contextmanager
def _opened(url: str | None) -> Generator[FeedbackStore]:
    from upturn.store import FeedbackStore

    if url is None:
        raise typer.BadParameter("name where events are with --store")
    with FeedbackStore.open(url, create=False) as store:
        yield store


def _selection(
    events: FeedbackStore, made: Labelling, program: str | None
) -> SelectionReport | None:
    from upturn.labels.propensity import selection_report

    return selection_report(events.exposures(program=program), made.right)


def _show(made: Labelling, selection: SelectionReport | None) -> None:
    """Prints the summary for a person."""
    rows, without = len(made.rows), sum(made.reasons.values())
    console.say(f"{rows} of {rows + without} requests have a label for every field")
    by_rule: dict[tuple[str, str], list[float]] = {}
    for row in made.rows:
        for name, label in row.fields.items():
            by_rule.setdefault((name, label.reason), []).append(label.probability)
    if by_rule:
        console.table(
            ["field", "rule that says most", "labels", "mean probability"],
            [
                [name, rule, str(len(p)), f"{sum(p) / len(p):.3f}"]
                for (name, rule), p in sorted(by_rule.items())
            ],
        )
    if made.reasons:
        console.say("requests without:")
        console.table(["reason", "requests"], [[k, str(v)] for k, v in made.reasons.items()])
    for report in made.distrusted:
        console.say(report.why)
    if made.calibration is not None:
        console.say(made.calibration.sentence)
    if selection is not None:
        console.say(selection.sentence)
