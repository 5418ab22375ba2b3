"""Suites run on one version, without a gate: for whoever writes a suite or looks at a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from upturn.config.suites import SuiteSection
from upturn.errors import InputError, OutageError
from upturn.evaluate import CandidateRunner
from upturn.lm import AnswerCache, Meter
from upturn.lm.connect import Connection
from upturn.pipeline.opening import Opener
from upturn.pipeline.parts import Parts
from upturn.pipeline.releases.names import version_to_run
from upturn.pipeline.seams import World
from upturn.pipeline.suites import Standing, open_runner, open_suites, run_standing
from upturn.pipeline.weights import champion_adapter
from upturn.pipeline.workspace import disk_errors
from upturn.records import Candidate, Json
from upturn.suites import SuiteResult


@dataclass(frozen=True, kw_only=True)
class SuiteLine:
    """One suite's result, and what it takes."""

    standing: Standing
    result: SuiteResult

    @property
    def ok(self) -> bool:
        """Whether the share that must pass did."""
        return self.result.share >= self.standing.share - 1e-12

    def to_json(self) -> dict[str, Json]:
        suite = self.standing.bound.suite
        head = {"name": suite.name, "source": suite.source, "fingerprint": suite.fingerprint}
        return {**head, "ok": self.ok, "pass": self.standing.share, **self.result.to_json()}


@dataclass(frozen=True, kw_only=True)
class SuiteRun:
    """What became of some suites on one version; ``calls`` were paid now."""

    program: str
    version: str
    candidate_id: str
    lines: tuple[SuiteLine, ...]
    calls: int

    @property
    def ok(self) -> bool:
        return all(line.ok for line in self.lines)

    def to_json(self) -> dict[str, Json]:
        return {
            "program": self.program,
            "version": self.version,
            "candidate_id": self.candidate_id,
            "ok": self.ok,
            "calls": self.calls,
            "suites": [line.to_json() for line in self.lines],
        }


def run_suites(parts: Parts, world: World, *, version: str, paths: Sequence[str]) -> SuiteRun:
    """Runs suites on a version; answers that were paid for cost nothing.

    Args:
        parts: the config's objects.
        world: the outside.
        version: a version, ``champion``, or ``seed`` for the program as written.
        paths: suites by path or name; those of the config where none are given. What the config
            says of one of them holds here, too.

    Raises:
        InputError: there is no such version, or no suite.
        UpturnError: a suite breaks a rule, or the model cannot be used.
    """
    suites = open_suites(parts, _sections(parts, paths))
    with parts.workspace.locked(), disk_errors(parts.workspace.folder):
        with world.store(parts) as (_, registry):
            registered = version_to_run(registry, parts.config.name, version)
        candidate = registered.candidate if registered else parts.program.seed
        adapter = champion_adapter(registered, parts.workspace) if registered else None
        adapters = {adapter.id: adapter} if adapter else {}
        meter = Meter(parts.caps)
        with ExitStack() as stack:
            cache = stack.enter_context(AnswerCache(parts.workspace.cache, turn="suite"))
            opened = Opener(parts, world, cache, meter, stack)
            names = [*(s.judge for s in suites), candidate.settings.get("model")]
            others = opened.named(n for n in names if n in parts.config.models)
            main = opened.main()
            runner = stack.enter_context(open_runner(parts, main, others, adapters))
            lines = tuple(_line(s, candidate, runner, others) for s in suites)
    return SuiteRun(
        program=parts.config.name,
        version=version,
        candidate_id=candidate.id,
        lines=lines,
        calls=meter.totals().calls,
    )


def _line(
    suite: Standing, candidate: Candidate, runner: CandidateRunner, others: Mapping[str, Connection]
) -> SuiteLine:
    result = run_standing(suite, candidate, runner, others)
    if result.unknown:
        raise OutageError(
            f"suite {suite.name}: {len(result.unknown)} rows could not reach the model",
            fix="run the same command again when it is back: what was paid for is kept",
        )
    return SuiteLine(standing=suite, result=result)


def _sections(parts: Parts, paths: Sequence[str]) -> Sequence[SuiteSection]:
    known = parts.config.gate.suites
    if not paths:
        if not known:
            raise InputError(
                "there must be a suite to run, the config has none",
                where=str(parts.path),
                fix="--suite safety, --suite FILE.jsonl, or gate.suites in the config",
            )
        return known
    return [
        next((s for s in known if path in (s.path, s.name)), SuiteSection(path=path))
        for path in paths
    ]
