"""What a turn will cost, before anything is spent.

    calls  = (baseline + bootstrapping + search + sides x holdout) rows x predictors + strong model
    tokens = calls x what the prompts of a dry pass hold (``quote_prompts``)
    money  = tokens x the config's prices;  time = calls x a pace

The search's part comes from its budget of rows. Caps cut the total, never the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from upturn.config import Config
from upturn.datasets import Preview, Snapshot
from upturn.evaluate import CandidateRunner
from upturn.lm import Totals
from upturn.lm.counting import token_counter
from upturn.pipeline.pace import Pace, assumed_pace, probed_pace
from upturn.pipeline.parts import Parts
from upturn.pipeline.quote_prompts import DryPass, dry_pass
from upturn.pipeline.quote_steps import Steps
from upturn.pipeline.suites import open_suites
from upturn.pipeline.workspace import read_json, write_json
from upturn.records import Candidate, Example, Json
from upturn.report.quote import Quote, Range, Spend, Spent


def quote_turn(parts: Parts, data: Preview | Snapshot, *, start: Candidate, pace: Pace) -> Quote:
    """Says what the turn will cost; formats prompts, calls nothing, reads no holdout row.

    Args:
        parts: the config's objects.
        data: train and dev rows, and how many the holdout has.
        start: the candidate that runs now.
        pace: seconds a call.

    Raises:
        ModelError: a local model's folder lacks a file.
    """
    return Quoting(parts, data, start).quote(pace)


class Quoting:
    """The dry pass of one turn; a pace may be measured on its prompts before the quote is made."""

    def __init__(self, parts: Parts, data: Preview | Snapshot, start: Candidate) -> None:
        self._parts, self._data, self._start = parts, data, start
        self._counter = token_counter(parts.model)
        self.dry: DryPass = dry_pass(
            parts.config,
            parts.program,
            data.train,
            start=start,
            counter=self._counter,
            root=parts.root,
        )

    def quote(self, pace: Pace) -> Quote:
        """Returns the quote at a pace."""
        config = self._parts.config
        predictors, suites = len(self._parts.program.predictors), open_suites(self._parts)
        steps = Steps(config, self._data, self.dry, predictors, suites)
        spends = steps.spends()
        whole = sum(spends.values(), Spend())
        budget = config.budget
        total = replace(
            whole,
            calls=whole.calls.at_most(budget.max_calls),
            usd=whole.usd.at_most(budget.max_usd),
        )
        seconds = total.calls * pace.seconds_per_call
        return Quote(
            program=config.name,
            model=config.model.name,
            parts=spends,
            total=total,
            seconds=seconds.at_most(budget.max_minutes and budget.max_minutes * 60),
            notes=(
                *self._about_tokens(),
                pace.note,
                *_about_caps(config, whole, seconds),
                *steps.notes(),
            ),
        )

    def _about_tokens(self) -> Sequence[str]:
        margin = self._counter.margin
        how = f"4 characters each, +-{margin:.0%}" if margin else "by the model's own tokenizer"
        short, long = self.dry.searched.reads.low, self.dry.searched.reads.high
        return (
            f"input tokens are counted {how}: {self.dry.start.reads.expected:,.0f} a row as it "
            f"runs now, {short:,.0f} to {long:,.0f} in the search",
            f"output tokens run from the labels' length to max_tokens "
            f"({self._parts.config.model.max_tokens})",
            "answers that were paid for before cost nothing, and are not taken off",
        )


def _about_caps(config: Config, whole: Spend, seconds: Range) -> Sequence[str]:
    budget = config.budget
    minutes = seconds * (1 / 60)
    caps = (
        ("max_calls", budget.max_calls, whole.calls),
        ("max_usd", budget.max_usd, whole.usd),
        ("max_minutes", budget.max_minutes, minutes),
    )
    return [
        f"budget.{name}={cap:g} will end the search before its own budget does"
        if wanted.expected > cap
        else f"budget.{name}={cap:g} may end the search early"
        for name, cap, wanted in caps
        if cap is not None and wanted.high > cap
    ]


def open_quote(
    parts: Parts,
    snapshot: Snapshot,
    *,
    start: Candidate,
    runner: CandidateRunner,
    searched: Sequence[Example],
    folder: Path,
) -> Quote:
    """Quotes a turn that begins and writes it into its folder; a resumed turn keeps its quote.

    A local model is timed on the first rows of the baseline, which costs nothing twice.

    Raises:
        OutageError, BudgetExceededError, MetricError: from the runner.
        CorruptionError: the recorded quote does not match its hash.
    """
    path = folder / "quote.json"
    if path.exists():
        return Quote.from_json(read_json(path))
    local = parts.model.is_local
    pace = probed_pace(runner, [start], searched) if local else assumed_pace(parts.model)
    quote = quote_turn(parts, snapshot, start=start, pace=pace)
    write_json(path, quote.to_json())
    return quote


def spent(quote: Quote, totals: Totals, seconds: float) -> tuple[Spent, ...]:
    """Returns each number of the quote beside what this process paid."""
    actual = {f.name: float(getattr(totals, f.name)) for f in fields(quote.total)}
    quoted = {f.name: getattr(quote.total, f.name) for f in fields(quote.total)}
    actual["seconds"], quoted["seconds"] = seconds, quote.seconds
    return tuple(Spent(name=n, quoted=quoted[n], actual=actual[n]) for n in actual)


def spent_json(lines: Sequence[Spent]) -> dict[str, Json]:
    """The same for machines: name -> low, expected, high, actual."""
    return {line.name: line.to_json() for line in lines}
