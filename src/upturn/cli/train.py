"""``upturn train``: a fine-tune job, from its file to an adapter that ``upturn run`` can gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upturn.cli import console
from upturn.cli.options import AsJson

if TYPE_CHECKING:
    from upturn.pipeline.training.result import TrainResult
    from upturn.records import Json

#: Part of a job's folder name, so no path may hide in it.
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


def train(
    job: Annotated[Path, typer.Argument(help="The job, e.g. jobs/ticket_triage_sft.yaml.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides of the job, or of its config, e.g. optim.learning_rate=1.0e-3."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Preflight only: show what it would train on.")
    ] = False,
    branch: Annotated[
        str | None,
        typer.Option("--branch", help="Start a new job of this name from the newest checkpoint."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train an adapter on curated feedback; the same command again goes on where it stopped."""
    from upturn.cli.training_bar import training_progress
    from upturn.pipeline.training.task import Task
    from upturn.pipeline.training.train import plan_job, train_job
    from upturn.pipeline.training.world import real_train_world

    if branch is not None:
        _check_name(branch)
    task = Task.load(job, overrides)
    world = real_train_world(training_progress())
    if dry_run:
        found = plan_job(task, world).preflight
        if as_json:
            console.answer(found.to_json())
        else:
            console.say(found.text)
        if found.problems:
            raise typer.Exit(2)
        return
    result = train_job(task, world, branch_to=branch)
    if as_json:
        console.answer(result.to_json())
    else:
        show(result, task.job.config)


def show(result: TrainResult, config: str) -> None:
    """Prints a result for a person, with the next command."""
    metric = result.metric
    console.say(f"adapter   {result.adapter_id}  {result.adapter}")
    console.say(
        f"dev       {_number(metric['before'])} before, {_number(metric['after'])} after "
        f"({metric['rows']} rows, {metric['engine']} engine)"
    )
    if result.pair_accuracy is not None:
        console.say(f"pairs     {result.pair_accuracy:.3f} of unseen pairs are ranked right")
    if result.length:
        console.say(f"length    {_length(result.length)}")
    memory = "" if result.peak_mb is None else f", peak {result.peak_mb:,.0f} MB"
    goes = ", resumed" if result.resumed else ""
    console.say(
        f"training  {result.steps} steps, best at {result.best_step}, {result.seconds:.0f} s"
        f"{memory}{goes}{', ' + result.stopped if result.stopped else ''}"
    )
    for warning in result.warnings:
        console.say(f"warning   {warning}")
    if "missing" in result.tracking:
        console.say(f"tracking  missing: {result.tracking['missing']}")
    console.say(f"next      upturn run {config} 'search.space.weights=[{result.job}]'")


def _check_name(name: str) -> None:
    import re

    if not re.fullmatch(_NAME, name):
        raise typer.BadParameter(f"a job's name is letters, digits, _ and -, got {name!r}")


def _length(length: Json) -> str:
    """Wins where the chosen answer is the shorter, the middle and the longer one."""
    rates = [f"{name} {_number(third['win_rate'])}" for name, third in length["thirds"].items()]
    return f"wins where the chosen answer is {', '.join(rates)}; bias: {length['bias']}"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "unknown"
