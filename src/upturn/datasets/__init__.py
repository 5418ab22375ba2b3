"""Data sets: groups, splits and frozen snapshots with a sealed holdout."""

from upturn.datasets.groups import GroupReport, GroupRules, group_examples, text_of
from upturn.datasets.labelled import Columns, LabelledData, read_labelled
from upturn.datasets.near_duplicates import near_duplicate_clusters
from upturn.datasets.power import check_decidable, rows_at_least, rows_to_decide
from upturn.datasets.seal import HoldoutSeal
from upturn.datasets.snapshot import Preview, Snapshot, freeze, preview
from upturn.datasets.split import Order, SplitRules

__all__ = [
    "Columns",
    "GroupReport",
    "GroupRules",
    "HoldoutSeal",
    "LabelledData",
    "Order",
    "Preview",
    "Snapshot",
    "SplitRules",
    "check_decidable",
    "freeze",
    "group_examples",
    "near_duplicate_clusters",
    "preview",
    "read_labelled",
    "rows_at_least",
    "rows_to_decide",
    "text_of",
]
