"""How a decision gets into the ledger: evidence first, then the entry, then its mirror."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from upturn.pipeline.audit.freezing import freeze_evidence
from upturn.pipeline.audit.mirroring import mirror_head
from upturn.pipeline.judge import Judgement
from upturn.pipeline.releases.release import Releases
from upturn.pipeline.result import TurnResult
from upturn.pipeline.workspace import Workspace
from upturn.records import Json, Verdict

#: First characters of an input that names the evidence of another challenger of the same look.
RIVAL = "evidence_rival_"


def record_decision(
    releases: Releases,
    result: TurnResult,
    judgement: Judgement | None,
    *,
    workspace: Workspace,
    config: str,
    inputs: Mapping[str, str],
) -> None:
    """Freezes what a turn's decision rests on, and records it. May be repeated.

    Args:
        releases: the ledger, and the registry that mirrors it.
        result: the turn's.
        judgement: the gate's decision; None where there was nothing to judge.
        workspace: keeps the evidence.
        config: the resolved config, as YAML.
        inputs: name -> hash or id of snapshot, holdout, champion and model.
    """
    inputs = {**inputs, "config": hashlib.sha256(config.encode()).hexdigest()}
    more: dict[str, Json] = {"looks": result.looks}
    if judgement is None:
        named = dict(inputs)
        report: Mapping[str, Json] = {k: getattr(result, k) for k in ("effect", "low", "high", "n")}
    else:
        named = {**inputs, **_evidence(workspace, judgement)}
        report = judgement.report.to_json()
        # What this look could spend, and what all looks together may.
        looks = releases.ledger.looks(judgement.report.holdout)
        spent = sum(look.alpha for look in looks if look.turn == result.turn)
        more["alpha"] = {"spent": spent, "of": judgement.inputs[0].rules.alpha}
        if judgement.released.withheld:
            # What history shows instead of the exact report.
            more["released"] = {k: getattr(result, k) for k in ("effect", "low", "high", "n")}
        if judgement.report.verdict is Verdict.PROMOTE:
            more["version"] = result.version
    releases.ledger.append_decision(
        program=result.program,
        turn=result.turn,
        verdict=Verdict(result.verdict),
        report=report,
        inputs=named,
        more=more,
    )
    mirror_head(releases.registry, releases.ledger, result.program)


def _evidence(workspace: Workspace, judgement: Judgement) -> dict[str, str]:
    """Freezes every challenger; the one that counts is ``evidence``."""
    frozen = [freeze_evidence(workspace, given) for given in judgement.inputs]
    own = frozen.pop(judgement.chosen)
    rivals = {f"{RIVAL}{number}": sha256 for number, sha256 in enumerate(frozen, start=1)}
    return {"challenger": judgement.report.challenger_id, "evidence": own, **rivals}
