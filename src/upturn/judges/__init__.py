"""Judges that stand in for people: how well they agree with people, and what sways them."""

from upturn.judges.agreement import Agreement, agreement
from upturn.judges.bias import Bias, biases
from upturn.judges.calibration import Calibration, Standard, calibrate
from upturn.judges.drift import Drift, drift
from upturn.judges.labels import Judged, read_judged

__all__ = [
    "Agreement",
    "Bias",
    "Calibration",
    "Drift",
    "Judged",
    "Standard",
    "agreement",
    "biases",
    "calibrate",
    "drift",
    "read_judged",
]
