"""Asks one proposer: checks what it offers, and cuts demo sets to what a prompt may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from upturn.errors import ProgramError, UpturnError
from upturn.propose.base import Demos, Evidence, Proposal, Proposer, events_of
from upturn.records import Json, canonical_json


def ask(proposer: Proposer, evidence: Evidence) -> list[Proposal]:
    """Returns the proposer's choices, none of them longer than the evidence allows.

    A demo set with more than ``max_demos`` demos or ``max_prompt_chars`` characters loses its last
    ones, and ``evidence.tell`` is told how many sets did. What runs now is never cut: a search must
    be able to stay.

    Raises:
        ProgramError: the proposer raised, or offers what is no choice of this program.
        UpturnError: from the evaluator.
    """
    try:
        proposals = list(proposer.propose(evidence))
        for proposal in proposals:
            _check(proposal, evidence)
    except UpturnError:
        raise
    except Exception as error:  # a newcomer's code may raise anything
        raise ProgramError(
            f"the proposer failed: {type(error).__name__}: {error}", where=proposer.name
        ) from error
    return _fitting(proposals, proposer.name, evidence)


def demo_chars(demo: Mapping[str, Json]) -> int:
    """Characters in a demo's values."""
    return sum(len(str(v)) for v in demo.values())


def _check(proposal: Proposal, evidence: Evidence) -> None:
    parts = (proposal.instruction, proposal.demos, proposal.setting)
    given = sum(part is not None for part in parts)
    if given != 1:
        raise ProgramError(
            f"a proposal must have one of instruction, demos, setting, got {given}",
            where=proposal.origin,
        )
    known = ("",) if proposal.setting is not None else tuple(evidence.program.predictors)
    if proposal.predictor not in known:
        raise ProgramError(
            f"a proposal's predictor must be one of {known}, got {proposal.predictor!r}",
            where=proposal.origin,
        )
    canonical_json([*map(dict, proposal.demos or ()), proposal.instruction, proposal.setting])


def _fitting(proposals: Sequence[Proposal], name: str, evidence: Evidence) -> list[Proposal]:
    fitting: list[Proposal] = []
    lengths: list[int] = []
    for proposal in proposals:
        kept = _kept(proposal, evidence)
        if kept < len(proposal.demos or ()):
            if evidence.max_demos == 0:
                continue
            lengths.append(kept)
            if kept == 0:
                continue
            assert proposal.demos is not None
            proposal = _cut(proposal, kept, evidence)
        fitting.append(proposal)
    if lengths:
        evidence.tell(name, _sentence(lengths, evidence))
    return fitting


def _cut(proposal: Proposal, kept: int, evidence: Evidence) -> Proposal:
    assert proposal.demos is not None
    shorter = replace(proposal, demos=proposal.demos[:kept], origin=f"{proposal.origin}:cut")
    if len(proposal.example_ids) != len(proposal.demos):
        return shorter
    ids = proposal.example_ids[:kept]
    rows = {e.id: e for e in evidence.train}
    events = events_of(rows[i] for i in ids if i in rows)
    return replace(shorter, example_ids=ids, event_ids=events)


def _kept(proposal: Proposal, evidence: Evidence) -> int:
    """How many of the first demos fit."""
    demos = proposal.demos or ()
    if demos in _running(proposal.predictor, evidence):
        return len(demos)
    room = evidence.max_prompt_chars
    kept = min(len(demos), evidence.max_demos)
    while room is not None and sum(map(demo_chars, demos[:kept])) > room:
        kept -= 1
    return kept


def _running(predictor: str, evidence: Evidence) -> list[Demos]:
    candidates = (evidence.start, evidence.program.seed)
    return [c.states[predictor].demos for c in candidates if predictor in c.states]


def _sentence(lengths: Sequence[int], evidence: Evidence) -> str:
    limits = [f"{evidence.max_demos} demos"]
    if evidence.max_prompt_chars is not None:
        limits.append(f"{evidence.max_prompt_chars:,} characters")
    return (
        f"demo sets cut to {min(lengths)} to {max(lengths)} demos: {len(lengths)}; "
        f"a set may hold {' and '.join(limits)}"
    )
