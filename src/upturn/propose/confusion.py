"""Contrastive rules for what is most often taken for something else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from upturn.programs import PredictorFields
from upturn.propose.base import Evidence, Proposal, events_of
from upturn.propose.credit import Fault, faults, leader
from upturn.propose.words import contrast_words, supporting
from upturn.records import Example


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What tells the right label from the one that is answered in its place.

    Attributes:
        text: a sentence, with a blank before it.
        failed: dev rows where the two were confused; they say which labels, never which words.
        shown: train rows of the right label that the words come from.
    """

    text: str
    failed: tuple[Example, ...]
    shown: tuple[Example, ...]


@dataclass(frozen=True)
class ConfusionProposer:
    """Appends a rule for each of the most frequent confusions to the instruction.

    A confusion is a right label and the label answered instead, in a closed output field, over the
    failed rows of the search's part of dev that the predictor is to blame for. Its rule names the
    train words that tell the two apart: ``When it mentions X or Y choose a, not b.``
    """

    name: str = "confusion"
    tops: tuple[int, ...] = (1, 3, 5)
    words: int = 4

    def propose(self, evidence: Evidence) -> Iterable[Proposal]:
        blamed, candidate = faults(evidence), leader(evidence)
        for predictor, fields in evidence.program.predictors.items():
            base = candidate.states[predictor].instruction
            for field in _closed(fields):
                rules = self._rules(evidence.train, fields, field, blamed[predictor])
                rules = [rule for rule in rules if rule.text not in base]
                for top in sorted({min(top, len(rules)) for top in self.tops if rules}):
                    origin = f"{self.name}:{field}:{top}"
                    yield _proposal(predictor, origin, base, rules[:top])

    def _rules(
        self, train: Sequence[Example], fields: PredictorFields, field: str, own: Sequence[Fault]
    ) -> list[Rule]:
        """A rule for each confusion that words can tell apart, most frequent first."""
        # One closed field needs no name: there is nothing else to choose.
        what = f"the {field} " if len(_closed(fields)) > 1 else ""
        found = ranked(own, field)
        pairs = list(found)[: 2 * max(self.tops)]
        made = (self._rule(train, field, what, pair, found[pair]) for pair in pairs)
        return [rule for rule in made if rule is not None]

    def _rule(
        self,
        train: Sequence[Example],
        field: str,
        what: str,
        pair: tuple[str, str],
        failed: Sequence[Example],
    ) -> Rule | None:
        right, answered = pair
        rows = [e for e in train if str(e.labels.get(field)) in pair]
        words = contrast_words(rows, field).get(right, [])[: self.words]
        if not words:
            return None
        shown = supporting(rows, field, {right: words}, limit=16)
        text = f" When it mentions {' or '.join(words)} choose {what}{right}, not {answered}."
        return Rule(text=text, failed=tuple(failed), shown=tuple(shown))


def ranked(own: Sequence[Fault], field: str) -> Mapping[tuple[str, str], list[Example]]:
    """(right label, answered label) -> the rows where they were confused, most frequent first.

    A row counts as much as its label is sure.
    """
    found: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for fault in own:
        right, answered = fault.example.labels.get(field), fault.wrote.get(field)
        if right is not None and answered is not None and str(right) != str(answered):
            found[str(right), str(answered)].append(fault.example)
    order = sorted(found, key=lambda pair: (-sum(e.weight for e in found[pair]), pair))
    return {pair: found[pair] for pair in order}


def _closed(fields: PredictorFields) -> list[str]:
    return [f for f, labels in fields.outputs.items() if labels]


def _proposal(predictor: str, origin: str, base: str, rules: Sequence[Rule]) -> Proposal:
    shown = [e for rule in rules for e in rule.shown]
    failed = [e for rule in rules for e in rule.failed]
    return Proposal(
        predictor=predictor,
        origin=origin,
        instruction=base + "".join(rule.text for rule in rules),
        example_ids=tuple(dict.fromkeys(e.id for e in shown)),
        event_ids=events_of([*failed, *shown]),
    )


PROPOSER = ConfusionProposer
