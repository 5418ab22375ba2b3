"""Data sets: curation, groups, splits and frozen snapshots with a sealed holdout."""

from upturn.datasets.balance import Balance, Method
from upturn.datasets.curate import CurateRules, curate, week_of
from upturn.datasets.diff import SnapshotDiff, compare_snapshots, find_snapshot
from upturn.datasets.groups import GroupReport, GroupRules, group_examples, text_of
from upturn.datasets.history import History
from upturn.datasets.labelled import Columns, LabelledData, read_labelled
from upturn.datasets.near_duplicates import near_duplicate_clusters
from upturn.datasets.power import check_decidable, rows_at_least, rows_to_decide
from upturn.datasets.seal import HoldoutSeal
from upturn.datasets.snapshot import Preview, Snapshot, freeze, preview
from upturn.datasets.split import Order, Split, SplitRules
from upturn.datasets.terms import Terms

__all__ = [
    "Balance",
    "Columns",
    "CurateRules",
    "GroupReport",
    "GroupRules",
    "History",
    "HoldoutSeal",
    "LabelledData",
    "Method",
    "Order",
    "Preview",
    "Snapshot",
    "SnapshotDiff",
    "Split",
    "SplitRules",
    "Terms",
    "check_decidable",
    "compare_snapshots",
    "curate",
    "find_snapshot",
    "freeze",
    "group_examples",
    "near_duplicate_clusters",
    "preview",
    "read_labelled",
    "rows_at_least",
    "rows_to_decide",
    "text_of",
    "week_of",
]
