"""Whether a judge may stand in for people: its agreement with them, held against a standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upturn.errors import DataError
from upturn.judges.agreement import Agreement, Weights, agreement
from upturn.judges.bias import Bias, biases
from upturn.judges.labels import Judged
from upturn.records import Json


@dataclass(frozen=True, kw_only=True)
class Standard:
    """What a judge must show.

    Attributes:
        min_kappa: the least agreement; 0.6 is where Landis and Koch (1977, Biometrics 33) call it
            substantial.
        min_rows: rows with a human verdict below which nothing is shown.
        weights: of disagreement between graded verdicts.
    """

    min_kappa: float = 0.6
    min_rows: int = 50
    weights: Weights = "none"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a file of labels says of a judge.

    Attributes:
        agreement: with people.
        biases: every check that the file allows.
        calibrated: the interval's lower end reaches ``min_kappa``, on ``min_rows`` rows or more.
        why: the finding with its numbers, in a sentence.
        standard: what it was held against.
    """

    agreement: Agreement
    biases: tuple[Bias, ...]
    calibrated: bool
    why: str
    standard: Standard

    def to_json(self) -> dict[str, Json]:
        return {
            "calibrated": self.calibrated,
            "why": self.why,
            "agreement": self.agreement.to_json(),
            "biases": [b.to_json() for b in self.biases],
            "min_kappa": self.standard.min_kappa,
            "min_rows": self.standard.min_rows,
            "weights": self.standard.weights,
        }


def calibrate(rows: Sequence[Judged], standard: Standard, *, seed: int = 0) -> Calibration:
    """Holds a judge against a standard.

    Raises:
        DataError: graded weights were asked for and the verdicts are words.
    """
    if standard.weights != "none" and any(isinstance(r.judge, str) for r in rows):
        raise DataError(
            f"weights {standard.weights} need verdicts that are numbers, got words",
            fix="write the verdicts as numbers in [0, 1], or use weights none",
        )
    found = agreement(
        [r.judge for r in rows],
        [r.human for r in rows],
        [r.group for r in rows],
        weights=standard.weights,
        seed=seed,
    )
    lacks = _lacks(found, rows, standard)
    return Calibration(
        agreement=found,
        biases=biases(rows, seed=seed),
        calibrated=not lacks,
        why=lacks or f"The judge agrees with people: {_shown(found)}.",
        standard=standard,
    )


def _lacks(found: Agreement, rows: Sequence[Judged], standard: Standard) -> str:
    """What keeps the judge from being calibrated, or ""."""
    if found.kappa is None or found.low is None:
        return (
            f"Kappa is undefined: judge and people both gave the one verdict {rows[0].human!r} to "
            f"all {found.rows} rows. Label rows of at least two kinds."
        )
    if found.rows < standard.min_rows:
        return (
            f"Only {found.rows} rows have a human verdict, at least {standard.min_rows} are "
            f"needed: {_shown(found)}."
        )
    if found.low < standard.min_kappa:
        return (
            f"The judge does not surely agree with people: {_shown(found)}, and the lower end must "
            f"reach {standard.min_kappa:g}."
        )
    return ""


def _shown(found: Agreement) -> str:
    return (
        f"kappa {found.kappa:.3f} [{found.low:.3f}, {found.high:.3f}] on {found.rows} rows in "
        f"{found.groups} groups"
    )
