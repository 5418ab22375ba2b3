"""Data sets: groups, splits and frozen snapshots with a sealed holdout."""

from upturn.datasets.groups import GroupReport, GroupRules, group_examples, text_of
from upturn.datasets.labelled import Columns, LabelledData, read_labelled
from upturn.datasets.near_duplicates import near_duplicate_clusters
from upturn.datasets.power import check_decidable, rows_at_least, rows_to_decide
from upturn.datasets.seal import HoldoutSeal
from upturn.datasets.snapshot import Snapshot, freeze
from upturn.datasets.split import Order, SplitRules, Splits, make_splits

__all__ = [
    "Columns",
    "GroupReport",
    "GroupRules",
    "HoldoutSeal",
    "LabelledData",
    "Order",
    "Snapshot",
    "SplitRules",
    "Splits",
    "check_decidable",
    "freeze",
    "group_examples",
    "make_splits",
    "near_duplicate_clusters",
    "read_labelled",
    "rows_at_least",
    "rows_to_decide",
    "text_of",
]
