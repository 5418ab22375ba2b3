"""A metric that is a judge: whether it may gate, and what must be said of it first."""

from __future__ import annotations

from upturn.config.judge import JudgeSection
from upturn.errors import ConfigError
from upturn.judges import Calibration, Standard, calibrate, read_judged
from upturn.pipeline.parts import Parts

_WHERE = "gate.judge"


def judge_notices(parts: Parts) -> tuple[str, ...]:
    """Returns what a reader must know of the judge before the verdict; costs no call.

    Args:
        parts: the config's objects.

    Raises:
        ConfigError: the judge is not calibrated, and the config does not allow that.
        DataError: the file of labels breaks a rule.
        StorageError: it cannot be read.
    """
    section = parts.config.gate.judge
    if section is None:
        return ()
    found = calibration(parts, section)
    if found is None:
        return (_allowed(section, "Nobody compared it with people: gate.judge.labels is not set."),)
    swayed = tuple(b.note for b in found.biases if b.found)
    if found.calibrated:
        return swayed
    return (_allowed(section, found.why), *swayed)


def calibration(parts: Parts, section: JudgeSection) -> Calibration | None:
    """Returns what the config's file of labels says of the judge; None where there is no file.

    Raises:
        DataError: the file breaks a rule.
        StorageError: it cannot be read.
    """
    if section.labels is None:
        return None
    scores = None if section.scores is None else parts.root / section.scores
    rows = read_judged(parts.root / section.labels, scores)
    standard = Standard(
        min_kappa=section.min_kappa, min_rows=section.min_rows, weights=section.weights
    )
    return calibrate(rows, standard, seed=parts.config.seed)


def _allowed(section: JudgeSection, why: str) -> str:
    """The notice of a judge that is not calibrated, where that is allowed.

    Raises:
        ConfigError: it is not.
    """
    if section.uncalibrated == "refuse":
        file = section.labels or "LABELS.jsonl"
        raise ConfigError(
            f"a judge that gates must agree with people. {why}",
            where=_WHERE,
            fix=f"let people score more answers and see `upturn judge {file}`, mend the judge, or "
            "set gate.judge.uncalibrated=allow and have every report say so",
        )
    return f"The metric is a judge that is not calibrated. {why}"
