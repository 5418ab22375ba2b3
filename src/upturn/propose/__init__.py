"""Proposers: where the search's choices come from. One file each."""

from upturn.propose.balanced import BalancedProposer
from upturn.propose.base import Evidence, Proposal, Proposer
from upturn.propose.bootstrapped import BootstrappedProposer
from upturn.propose.contrast import ContrastProposer
from upturn.propose.labelled import LabelledProposer
from upturn.propose.nearest import NearestProposer
from upturn.propose.seed import SeedProposer

#: Name in a config -> proposer. The order is the order in which they run.
PROPOSERS: dict[str, type[Proposer]] = {
    "seed": SeedProposer,
    "contrast": ContrastProposer,
    "labelled": LabelledProposer,
    "balanced": BalancedProposer,
    "nearest": NearestProposer,
    "bootstrapped": BootstrappedProposer,
}

__all__ = ["PROPOSERS", "Evidence", "Proposal", "Proposer"]
