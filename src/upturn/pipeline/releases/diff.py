"""What differs between two registered versions, from their files alone: no model is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from upturn.pipeline.releases.names import ADOPTION, find_version
from upturn.records import Candidate, Json, PromptState, canonical_json
from upturn.registry import RegisteredVersion, Registry
from upturn.report.changes import Change, as_patch, changes, setting_changes


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two versions.

    Attributes:
        version, turn, candidate: names of it.
        verdict: the gate's; "" for the program as written.
        score: on the holdout of its own decision, or of the other's where that measured both.
        n: rows behind the score; None where there is none.
        weights: id of its adapter, with base and job where known; "" without one.
    """

    version: str
    turn: str
    candidate: str
    verdict: str
    score: float | None
    n: int | None
    weights: str


@dataclass(frozen=True, kw_only=True)
class VersionDiff:
    """Two versions of a program, and what the second changes.

    Attributes:
        program: its name.
        a, b: the two.
        compared: effect, low, high and n of the decision that compared just these two, b - a.
        changes: predictor by predictor.
        settings: a line for each setting that differs.
        gone: predictors that only the first has.
    """

    program: str
    a: Side
    b: Side
    compared: Mapping[str, Json] | None
    changes: tuple[Change, ...]
    settings: tuple[str, ...]
    gone: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        made = asdict(self)
        for change, told in zip(self.changes, made["changes"], strict=True):
            told["instruction"] = as_patch(change.instruction).splitlines()
        return made

    def lines(self) -> list[str]:
        """Returns the diff as text for a person."""
        out = [f"{self.program}: version {self.a.version} -> version {self.b.version}"]
        for side in (self.a, self.b):
            score = "no score" if side.score is None else f"{side.score:.3f} on {side.n} rows"
            gate = side.verdict or ("as written" if side.turn == ADOPTION else "no verdict")
            weights = f", weights {side.weights}" if side.weights else ""
            out.append(f"  version {side.version}: {gate}, {score}, turn {side.turn}{weights}")
        if self.compared is not None:
            c = self.compared
            out.append(
                f"  compared by the gate: {c['effect']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}] "
                f"on {c['n']} rows"
            )
        out += [line for change in self.changes for line in _shown(change)]
        out += [f"{name}: only in version {self.a.version}" for name in self.gone]
        out += self.settings
        if not (self.changes or self.settings or self.gone):
            out.append("the same prompt, settings and weights")
        return out


def diff_versions(registry: Registry, program: str, a: str, b: str) -> VersionDiff:
    """Compares two versions.

    Args:
        registry: holds them.
        program: whose they are.
        a, b: as ``find_version`` takes them.

    Raises:
        InputError: there is no such version.
        CorruptionError: files do not match their hashes.
    """
    left, right = (find_version(registry, program, name) for name in (a, b))
    old, new = _with_all(left.candidate, right.candidate), right.candidate
    compared = right.report if _baseline(right) == left.version else None
    numbers = ("effect", "low", "high", "n")
    if compared is not None and any(compared.get(k) is None for k in numbers):
        compared = None
    return VersionDiff(
        program=program,
        a=_side(left, other=right),
        b=_side(right, other=left),
        compared={k: compared[k] for k in numbers} if compared else None,
        changes=tuple(changes(old, new)),
        settings=tuple(setting_changes(old, new)),
        gone=tuple(n for n in left.candidate.states if n not in new.states),
    )


def _with_all(old: Candidate, new: Candidate) -> Candidate:
    """The old prompt with an empty state for predictors that only the new one has."""
    blank = {name: PromptState(instruction="") for name in new.states if name not in old.states}
    return Candidate(states={**old.states, **blank}, settings=old.settings)


def _baseline(version: RegisteredVersion) -> str:
    return str(version.manifest.get("facts", {}).get("champion", ""))


def _side(version: RegisteredVersion, *, other: RegisteredVersion) -> Side:
    score, n = version.report.get("challenger_score"), version.report.get("n")
    if score is None and _baseline(other) == version.version:
        score, n = other.report.get("baseline_score"), other.report.get("n")
    return Side(
        version=version.version,
        turn=version.turn,
        candidate=version.candidate.id,
        verdict=str(version.report.get("verdict") or ""),
        score=None if score is None else float(score),
        n=None if score is None or n is None else int(n),
        weights=_weights(version),
    )


def _weights(version: RegisteredVersion) -> str:
    name = version.candidate.settings.get("weights")
    if name is None:
        return ""
    facts = version.manifest.get("facts", {})
    said = [f"{k} {facts[f'weights_{k}']}" for k in ("base", "job") if facts.get(f"weights_{k}")]
    return f"{name} ({', '.join(said)})" if said else str(name)


def _shown(change: Change) -> list[str]:
    """What one predictor's prompt gains and loses, as lines."""
    demos = [("+", d) for d in change.added] + [("-", d) for d in change.removed]
    counts = f"{change.kept} in both, {len(change.added)} new, {len(change.removed)} gone"
    return [
        f"{change.predictor}: instruction {'changed' if change.instruction else 'the same'}, "
        f"demos {counts}",
        *(f"  {line}" for line in as_patch(change.instruction).splitlines()),
        *(f"  {mark} demo {canonical_json(demo)}" for mark, demo in demos),
    ]
