"""Whether every decision in a ledger is the one that its frozen evidence leads to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from upturn import __version__
from upturn.errors import CorruptionError
from upturn.gate import GateReport
from upturn.gate.challengers import rival_of, step_down
from upturn.gate.frozen import Inputs, thaw
from upturn.ledger import Entry, EntryKind
from upturn.pipeline.audit.deciding import RIVAL
from upturn.pipeline.audit.freezing import read_evidence
from upturn.pipeline.audit.problem import Problem, finding
from upturn.pipeline.workspace import Workspace
from upturn.records import Json, Verdict, canonical_json

#: Another processor may add the same numbers in another order: relative, and about 0.
_NEAR, _NOUGHT = 1e-9, 1e-15


@dataclass(kw_only=True)
class Checked:
    """What the decisions came to; fills as they are checked.

    Attributes:
        decisions: of a gate; rederived, without_evidence: see ``Verification``.
        budgets: (holdout, turn) -> alpha of all looks together.
    """

    decisions: int = 0
    rederived: int = 0
    without_evidence: int = 0
    budgets: dict[tuple[str, str], float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    evidence: set[str] = field(default_factory=set)


def check_decisions(entries: Sequence[Entry], workspace: Workspace) -> Checked:
    """Derives every decision again, and compares each number of its report."""
    found = Checked()
    for place, entry in enumerate(entries):
        if entry.kind is EntryKind.DECISION:
            with finding(entry, found.problems):
                _check(entry, entries[:place], workspace, found)
    held = {p.stem for p in workspace.evidence.glob("*.json")}
    if extra := len(held - found.evidence):
        found.remarks.append(f"files of evidence that no decision of this ledger names: {extra}")
    return found


def _check(entry: Entry, before: Sequence[Entry], workspace: Workspace, found: Checked) -> None:
    report: Mapping[str, Json] = entry.data["report"]
    if "holdout" not in report:
        # Of an older version, or of a turn that found nothing to put before the gate.
        if entry.format == 1:
            found.decisions += 1
            found.without_evidence += 1
        elif entry.data["verdict"] == Verdict.PROMOTE:
            raise _broken("a decision without a gate must not say PROMOTE")
        return
    found.decisions += 1
    recorded = GateReport.from_json(report)
    inputs = _thawed(entry, "evidence", workspace, found)
    found.budgets[recorded.holdout, recorded.turn] = inputs.rules.alpha
    _check_entry(entry, recorded, inputs)
    _check_look(recorded, before, inputs)
    decided_by = str(read_evidence(workspace, entry.inputs["evidence"]).get("upturn", ""))
    remark = _compare(recorded, inputs.decide(), decided_by=decided_by)
    names = [name for name in entry.inputs if name.startswith(RIVAL)]
    _check_rivals(recorded, [_thawed(entry, name, workspace, found) for name in names])
    if remark:
        found.remarks.append(f"decision {entry.number} is derived again {remark}")
    found.rederived += 1


def _thawed(entry: Entry, name: str, workspace: Workspace, found: Checked) -> Inputs:
    sha256 = entry.inputs.get(name, "")
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise _broken("a decision of the gate must name its evidence by its sha256")
    found.evidence.add(sha256)
    return thaw(read_evidence(workspace, sha256))


def _check_rivals(recorded: GateReport, given: Sequence[Inputs]) -> None:
    """The other challengers of the look: what the report tells of them, and their rows."""
    if len(given) != len(recorded.rivals):
        raise _broken(
            f"the evidence of every challenger must be frozen, there are {len(given)} files for "
            f"{len(recorded.rivals)} rivals"
        )
    for told, inputs in zip(recorded.rivals, given, strict=True):
        if not _near(asdict(told), asdict(rival_of(inputs.decide()))):
            raise _broken(
                f"the frozen evidence must lead to what was recorded of {told.candidate_id}, it "
                "does not"
            )


def _check_entry(entry: Entry, recorded: GateReport, inputs: Inputs) -> None:
    """What the entry says of itself besides the report."""
    pairs = (
        ("verdict", entry.data["verdict"], str(recorded.verdict)),
        ("turn", entry.data["turn"], recorded.turn),
        ("holdout", entry.inputs["holdout"], recorded.holdout),
        ("champion", entry.inputs["champion"], recorded.baseline_id),
        ("challenger", entry.inputs["challenger"], recorded.challenger_id),
        ("alpha of all looks", entry.data["alpha"]["of"], inputs.rules.alpha),
    )
    for name, said, is_so in pairs:
        if said != is_so:
            raise _broken(f"the entry's {name} must be that of its report, {is_so}, got {said}")


def _check_look(recorded: GateReport, before: Sequence[Entry], inputs: Inputs) -> None:
    looks = [
        e.data
        for e in before
        if e.kind is EntryKind.LOOK
        and (e.data["holdout"], e.data["turn"]) == (recorded.holdout, recorded.turn)
    ]
    if not looks or looks[-1]["number"] != recorded.look:
        raise _broken(
            f"a decision must rest on a look that was recorded before, there is no look "
            f"{recorded.look} of turn {recorded.turn} at holdout {recorded.holdout[:12]}"
        )
    alpha = float(looks[-1]["alpha"])
    p_values = [recorded.p_value, *(r.p_value for r in recorded.rivals)]
    levels = [recorded.alpha, *(r.alpha for r in recorded.rivals)]
    known = [1.0 if p is None else p for p in p_values]
    m = len(levels)
    fixed = inputs.rules.design.name == "fixed"
    due = step_down(known, alpha) if fixed and m > 1 else (alpha / m,) * m
    if sorted(zip(known, due, strict=True)) != sorted(zip(known, levels, strict=True)):
        raise _broken(f"a look that may spend {alpha:.6g} must not give its challengers {levels}")


def _compare(recorded: GateReport, derived: GateReport, *, decided_by: str) -> str:
    """Returns how both are not the same to the last digit, "" where they are; raises where they
    differ. What another version decided may read otherwise now, and must have the same numbers."""
    said, found = recorded.to_json(), derived.to_json()
    wrong = [name for name in found if not _near(said.get(name), found[name])]
    if wrong and decided_by != __version__:
        wrong = [name for name in wrong if not _near(_mute(said.get(name)), _mute(found[name]))]
        if not wrong:
            return f"but for its sentences: version {decided_by} wrote it, this is {__version__}"
    if wrong:
        shown = "; ".join(
            f"{n}: recorded {_short(said.get(n))}, derived {_short(found[n])}" for n in wrong[:3]
        )
        raise CorruptionError(
            f"the frozen evidence must lead to the report that was recorded, it does not: {shown}",
            fix=f"verify with the version that decided (evidence names it; this is {__version__}); "
            "if it differs there too, the report was never the gate's",
        )
    if canonical_json(said) == canonical_json(found):
        return ""
    return "to nine digits: another processor or numpy adds in another order"


def _mute(value: Json) -> Json:
    """The same value without its sentences; a word alone, such as a verdict, is none."""
    if isinstance(value, Mapping):
        return {k: _mute(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_mute(v) for v in value]
    return "" if isinstance(value, str) and " " in value else value


def _near(a: Json, b: Json) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return set(a) == set(b) and all(_near(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_near, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=_NEAR, abs_tol=_NOUGHT)
    return canonical_json(a) == canonical_json(b)


def _short(value: Json) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _broken(what: str) -> CorruptionError:
    return CorruptionError(what)
