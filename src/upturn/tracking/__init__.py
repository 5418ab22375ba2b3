"""Tracking: what a turn leaves in MLflow. ``base`` is the contract, ``mlflow*`` the one backend."""

from upturn.tracking.base import RunKind, RunRecord, RunState, Tracker, TurnInfo, TurnStatus

__all__ = ["RunKind", "RunRecord", "RunState", "Tracker", "TurnInfo", "TurnStatus"]
