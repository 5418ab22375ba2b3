"""Designs: when the gate looks at a holdout's rows, and how the error is spent. One file each."""

from upturn.gate.designs.base import Asked, Design, Interim, Plan, plan_stages
from upturn.gate.designs.registry import design, design_names

__all__ = ["Asked", "Design", "Interim", "Plan", "design", "design_names", "plan_stages"]
