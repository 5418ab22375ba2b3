"""From labelled rows to a snapshot: caps, groups, splits that remember, slices, evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from upturn.config import Config
from upturn.datasets import (
    Balance,
    CurateRules,
    GroupReport,
    GroupRules,
    History,
    Method,
    Order,
    Preview,
    Snapshot,
    SplitRules,
    Terms,
    curate,
    freeze,
    group_examples,
    preview,
)
from upturn.datasets.slices import Slicer, SliceRules
from upturn.pipeline.rows import Rows
from upturn.pipeline.workspace import Workspace
from upturn.records import Example, Json
from upturn.report.data_card_source import EVIDENCE, evidence_to_json


@dataclass(frozen=True, kw_only=True)
class Curated:
    """Rows that are ready to be split.

    Attributes:
        examples: grouped rows, with their slices.
        report: how they fell into groups.
        rows: where they came from; dropped: reason -> rows that curation left out.
        terms: what the split must respect.
        preview: the splits to be.
    """

    examples: list[Example]
    report: GroupReport
    rows: Rows
    dropped: Mapping[str, int]
    terms: Terms
    preview: Preview


@dataclass(frozen=True)
class Curator:
    """Curates the rows of one config in one workspace."""

    config: Config
    workspace: Workspace

    def curate(self, rows: Rows) -> Curated:
        """Applies caps, groups rows, recalls earlier snapshots, and cuts slices.

        Raises:
            DataError: a group is too large, or the rows cannot be split.
        """
        section = self.config.curate
        kept, dropped = curate(
            rows.examples,
            rules=CurateRules(
                max_per_user=section.max_per_user,
                max_per_template=section.max_per_template,
                max_per_week=section.max_per_week,
                threshold=self.config.split.near_duplicate,
            ),
        )
        threshold = self.config.split.near_duplicate
        grouped, report = group_examples(kept, rules=GroupRules(threshold=threshold))
        terms = self._terms(report)
        shown = preview(grouped, rules=self.split_rules, terms=terms)
        slices = section.slices
        if slices.by_rule or slices.clusters:
            # Fitted on train alone: dev and holdout must not shape the slices they are cut into.
            rules = SliceRules(
                by_rule=slices.by_rule, clusters=slices.clusters, seed=self.config.seed
            )
            grouped = Slicer.fit(shown.train, rules).apply(grouped)
            shown = preview(grouped, rules=self.split_rules, terms=terms)
        return Curated(
            examples=grouped,
            report=report,
            rows=rows,
            dropped=Counter(rows.dropped) + Counter(dropped),
            terms=terms,
            preview=shown,
        )

    def freeze(self, curated: Curated) -> Snapshot:
        """Writes the snapshot.

        Raises:
            StorageError: it cannot be written.
        """
        return freeze(
            curated.examples,
            rules=self.split_rules,
            folder=self.workspace.snapshots,
            provenance=self._provenance(curated),
            abstained=curated.rows.abstained,
            dropped=curated.dropped,
            grouping=curated.report.to_json(),
            terms=curated.terms,
        )

    @property
    def split_rules(self) -> SplitRules:
        """The stated sizes of the splits."""
        split = self.config.split
        return SplitRules(
            holdout=split.holdout, dev=split.dev, order=Order(split.order), seed=self.config.seed
        )

    def _terms(self, report: GroupReport) -> Terms:
        return Terms(
            history=self._history(),
            joined=report.joined,
            unstated=self.config.privacy.unstated_consent,
            balance=tuple(
                Balance(field=b.field, method=Method(b.method), ratio=b.ratio)
                for b in self.config.curate.balance
            ),
        )

    def _history(self) -> History:
        """Recalls the snapshots that this config ever froze in this workspace."""
        split = self.config.split
        if not split.remember:
            return History()
        folders = sorted(p.parent for p in self.workspace.snapshots.glob("*/manifest.json"))
        ours = [
            s
            for s in map(Snapshot.load, folders)
            if s.manifest["provenance"].get("config") == self.config.name
        ]
        return History.of(ours, retired=split.retired, threshold=split.near_duplicate)

    def _provenance(self, curated: Curated) -> dict[str, Json]:
        rows = curated.rows
        provenance = {"config": self.config.name, **rows.provenance}
        if rows.evidence is None:
            return provenance
        evidence = replace(rows.evidence, cluster_sizes=curated.report.cluster_sizes)
        return {**provenance, EVIDENCE: evidence_to_json(evidence)}
