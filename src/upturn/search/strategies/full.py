"""All combinations of a small catalogue, each on every row."""

from __future__ import annotations

from dataclasses import dataclass

from upturn.search.study import Study


@dataclass(frozen=True)
class FullStrategy:
    """Goes through the space in its order; a budget that is too small leaves the last ones out."""

    def run(self, study: Study) -> None:
        study.extend([(study.entries[0], study.rows)])
        for number in range(study.space.size):
            if not study.left or study.full:
                return
            entry = study.enter(study.space.at(number))
            if entry is not None:
                study.extend([(entry, study.rows)])
