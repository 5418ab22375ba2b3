"""Suites before the gate: both sides run them before the holdout is opened.

An outage in here costs no look: where it might turn a suite's result, the turn stops and goes on
later from the answers that were paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from upturn.config.section import did_you_mean
from upturn.config.suites import SuiteSection
from upturn.errors import ConfigError, OutageError
from upturn.evaluate import CandidateRunner, Evaluator
from upturn.gate import GuardResult
from upturn.lm import Meter
from upturn.lm.connect import Connection
from upturn.pipeline.opening import Engines
from upturn.pipeline.parts import Parts
from upturn.records import Candidate, Json
from upturn.suites import (
    ANSWERS,
    Bound,
    Filling,
    Judge,
    SuiteResult,
    bind,
    open_suite,
    run_suite,
)
from upturn.weights.adapter import Adapter

#: Ids that a guard's note shows.
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A suite of a config, fitted to its program.

    Attributes:
        bound: its rows.
        share: the share of them that must pass.
        or_no_worse: it is enough that no row fails which the other side passes.
        judge: name of the model that grades, where rows are graded.
    """

    bound: Bound
    share: float = 1.0
    or_no_worse: bool = False
    judge: str | None = None

    @property
    def name(self) -> str:
        return self.bound.suite.name

    def calls(self, challengers: int) -> int:
        """Calls that the champion and so many challengers take together at most."""
        return (1 + challengers) * self.bound.calls

    def question(self) -> Json:
        """What a turn's id holds of it: another text or rule is another question."""
        examples = [e.inputs for r in self.bound.rows for e in r.examples.values()]
        outputs = [r.outputs for r in self.bound.rows]
        rule = [self.name, self.share, self.or_no_worse, self.judge]
        return [self.bound.suite.fingerprint, *rule, repr(examples), outputs]


def open_suites(
    parts: Parts, sections: Sequence[SuiteSection] | None = None
) -> tuple[Standing, ...]:
    """Reads the suites of a config and fits them to its program; calls nothing.

    Args:
        parts: the config's objects; paths are relative to its root.
        sections: which; those under ``gate.suites`` where None.

    Raises:
        DataError: a file or a row breaks a rule, or does not fit the program.
        ConfigError: two suites have one name, or a judge is missing.
    """
    found = parts.config.gate.suites if sections is None else sections
    opened = tuple(_open(parts, section) for section in found)
    twice = [name for name, n in Counter(s.name for s in opened).items() if n > 1]
    if twice:
        raise ConfigError(
            f"a suite's name must be its own, got {twice[0]!r} twice",
            where="gate.suites",
            fix="give one of them another `name`",
        )
    return opened


def judge_suites(
    suites: Sequence[Standing],
    champion: Candidate,
    challenger: Candidate,
    *,
    parts: Parts,
    engines: Engines,
    adapters: Mapping[str, Adapter],
    tell: Callable[[str], None],
) -> tuple[GuardResult, ...]:
    """Runs champion and challenger on every suite; answers that were paid for cost nothing.

    Args:
        suites: opened with ``open_suites``.
        champion: what runs now; its share is shown beside, and says whether a failure is new.
        challenger: what must pass.
        parts: the config's objects.
        engines: what both run on, and the judges.
        adapters: trained weights, by id.
        tell: told of every suite in a sentence.

    Raises:
        OutageError: rows without an answer decide whether a suite is passed.
        BudgetExceededError: a cap was reached.
    """
    if not suites:
        return ()
    with open_runner(parts, engines.connection, engines.others, adapters) as runner:
        found: list[GuardResult] = []
        for suite in suites:
            before = run_standing(suite, champion, runner, engines.others)
            after = run_standing(suite, challenger, runner, engines.others)
            found.append(guard(suite, before, after))
            tell(
                f"{suite.name}: champion passes {before.passed} of {len(before.rows)}, challenger "
                f"{after.passed}; {found[-1].limit:.0%} must pass"
            )
    return tuple(found)


def open_runner(
    parts: Parts,
    connection: Connection,
    others: Mapping[str, Connection],
    adapters: Mapping[str, Adapter],
) -> Evaluator:
    """Returns what runs a suite's rows: here, wherever the search itself runs."""
    return Evaluator(
        parts.program,
        ANSWERS,
        connection,
        # The connection's own meter counts and caps; this one only collects what a row called.
        Meter(),
        concurrency=parts.config.model.concurrency,
        connections=others,
        adapters=adapters,
    )


def run_standing(
    suite: Standing, candidate: Candidate, runner: CandidateRunner, others: Mapping[str, Connection]
) -> SuiteResult:
    """Runs one suite for one candidate."""
    judge = Judge(others[suite.judge]) if suite.judge and suite.bound.suite.graded else None
    return run_suite(suite.bound, candidate, runner, judge=judge)


def guard(suite: Standing, before: SuiteResult, after: SuiteResult) -> GuardResult:
    """Judges a suite.

    Raises:
        OutageError: what is unknown decides.
    """
    ok = _passes(suite, before, after, kind=False)
    if ok != _passes(suite, before, after, kind=True):
        lost = after.unknown or before.unknown
        raise OutageError(
            f"suite {suite.name} cannot be judged: {len(lost)} rows could not reach the model, "
            f"{_listed(lost)}",
            fix="run the same command again when it is back: what was paid for is kept",
        )
    return GuardResult(
        name=f"suite {suite.name}",
        baseline=before.share,
        challenger=after.share,
        # Where nothing new fails, the challenger passes what the champion does, or more.
        limit=min(suite.share, before.share) if ok and suite.or_no_worse else suite.share,
        ok=ok,
        note=_note(before, after),
        n=len(after.rows),
        unit="share",
    )


def _passes(suite: Standing, before: SuiteResult, after: SuiteResult, *, kind: bool) -> bool:
    """Whether a suite is passed, if every unknown row were kind to the challenger, or none."""
    failed = set(after.failed) | (set() if kind else set(after.unknown))
    if 1 - len(failed) / len(after.rows) >= suite.share - 1e-12:
        return True
    forgiven = set(before.failed) | (set(before.unknown) if kind else set())
    return suite.or_no_worse and failed <= forgiven


def _note(before: SuiteResult, after: SuiteResult) -> str:
    failed = after.failed
    if not failed:
        return f"{len(after.rows)} rows"
    new = [name for name in failed if name not in set(before.failed)]
    parts = [f"{len(failed)} of {len(after.rows)} rows failed"]
    # What is new says more than what was broken before.
    parts.append(f"new: {_listed(new)}" if new else f"none of them new: {_listed(failed)}")
    if after.invalid:
        parts.append(f"{after.invalid} grades could not be read")
    return "; ".join(parts)


def _listed(ids: Iterable[str]) -> str:
    names = list(ids)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _open(parts: Parts, section: SuiteSection) -> Standing:
    suite = open_suite(section.path, parts.root, name=section.name)
    models = parts.config.models
    if suite.graded and section.judge is None:
        raise ConfigError(
            f"suite {suite.name} is graded by a model, so it must name its judge",
            where="gate.suites",
            fix=f"{{path: {section.path}, judge: NAME}} with NAME under `models`",
        )
    if section.judge is not None and section.judge not in models:
        raise ConfigError(
            f"judge must be a name under models, {', '.join(models) or '(none)'}, got "
            f"{section.judge!r}{did_you_mean(section.judge, models)}",
            where="gate.suites",
            fix=f"add {section.judge} under `models`",
        )
    filling = Filling(
        field=section.field, inputs=section.inputs, output=section.output, chat=section.chat
    )
    return Standing(
        bound=bind(suite, parts.program, filling),
        share=section.pass_share,
        or_no_worse=section.or_no_worse,
        judge=section.judge,
    )
