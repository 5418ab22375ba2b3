"""How many holdout rows a paired comparison needs before it is worth a look."""

from __future__ import annotations

import math
from statistics import NormalDist

from upturn.errors import ConfigError, DataError


def rows_to_decide(
    min_gain: float, alpha: float, *, power: float = 0.8, discordance: float = 0.3
) -> int:
    """Returns how many independent rows a one-sided paired test needs to show a gain.

    n = (z(1-alpha) * sqrt(psi) + z(power) * sqrt(psi - d^2))^2 / d^2, with gain d and share of
    discordant rows psi (Connor, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43, 1987). Where groups hold several rows that go alike,
    more rows are needed.

    Args:
        min_gain: the gain to show, a fraction in (0, 1).
        alpha: one-sided error level in (0, 0.5).
        power: probability of showing it, in (0.5, 1).
        discordance: share of rows on which champion and challenger differ; at least ``min_gain``
            is used, for a gain needs that many.

    Raises:
        ConfigError: an argument is out of range.
    """
    if not (0 < min_gain < 1 and 0 < alpha < 0.5 <= power < 1 and 0 < discordance <= 1):
        raise ConfigError(
            "min_gain in (0, 1), alpha in (0, 0.5), power in [0.5, 1) and discordance in (0, 1] "
            f"must hold, got {min_gain}, {alpha}, {power}, {discordance}"
        )
    psi = max(discordance, min_gain)
    z = NormalDist().inv_cdf
    root = z(1 - alpha) * math.sqrt(psi) + z(power) * math.sqrt(psi - min_gain**2)
    return math.ceil((root / min_gain) ** 2)


def rows_at_least(min_gain: float, alpha: float) -> int:
    """Returns the rows below which a gain of ``min_gain`` can never be significant.

    Best case: every row that differs is won. The exact sign test then gives ``0.5 ** won``, so
    ``won >= log2(1 / alpha)`` rows must make up the gain.
    """
    won = math.ceil(-math.log2(alpha) - 1e-9)
    return math.ceil(won / min_gain - 1e-9)


def check_decidable(
    rows: int,
    min_gain: float,
    alpha: float,
    *,
    power: float = 0.8,
    discordance: float = 0.3,
    where: str = "",
) -> int:
    """Returns how many rows it takes to show the gain with the given power.

    The caller may warn where ``rows`` is less. All arguments as in :func:`rows_to_decide`.

    Raises:
        DataError: even with every differing row won, ``rows`` rows cannot show the gain.
        ConfigError: an argument is out of range.
    """
    needed = rows_to_decide(min_gain, alpha, power=power, discordance=discordance)
    least = rows_at_least(min_gain, alpha)
    if rows < least:
        raise DataError(
            f"a holdout of {rows} rows can never show a gain of {min_gain:g} at alpha {alpha:g}: "
            f"that takes at least {least} rows, and about {max(least, needed)} to show it in "
            f"{power:.0%} of cases",
            where=where,
            fix="collect more feedback, raise split.holdout, or look for a larger gain",
        )
    return max(least, needed)
