"""The commands, in the order of the flow. To add one: write its file, name it here."""

from __future__ import annotations

import typer

from upturn import __version__
from upturn.cli import (
    approve,
    cache,
    collect,
    compare,
    dataset,
    diff,
    doctor,
    evaluate,
    expire,
    export,
    forget,
    gate,
    history,
    ingest,
    init,
    judge,
    labels,
    ledger,
    ls,
    promote,
    report,
    rollback,
    snapshot,
    suite,
    train,
    turn,
    ui,
    validate,
    verify,
    why,
)

# Plain help: rich's help panels alone would double the start-up time.
app = typer.Typer(
    name="upturn",
    help="Turns production feedback into better LLM programs, and ships a change only when a "
    "sealed holdout says it is better.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Turns production feedback into better LLM programs, gated by a sealed holdout."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


for command in (
    init.init,
    validate.validate,
    collect.collect,
    ingest.ingest,
    turn.run,
    train.train,
    gate.gate,
    judge.judge,
    suite.suite,
    evaluate.evaluate,
    compare.compare,
    report.report,
    promote.promote,
    approve.approve,
    rollback.rollback,
    history.history,
    diff.diff,
    why.why,
    ledger.ledger,
    verify.verify,
    export.export,
    forget.forget,
    expire.expire,
    dataset.dataset,
    ls.ls,
    doctor.doctor,
    ui.ui,
):
    app.command()(command)
app.add_typer(cache.app)
app.add_typer(labels.app)
app.add_typer(snapshot.app)
