"""The search on scripted rows: finds the better prompt, stops the worse, re-scores fairly."""

import numpy as np
import pytest

from upturn.errors import BudgetExceededError
from upturn.propose import Proposal
from upturn.records import Candidate, Evaluation, Example, Outcome, PromptState, Row, content_hash
from upturn.search import Catalogue, RaceRules, Search, SearchRules


class ScriptedEvaluator:
    """A candidate's true score is written in its instruction; rows differ in difficulty."""

    def __init__(self, limit=10**9):
        self.paid = 0
        self.limit = limit
        self.seen = set()

    def evaluate(self, candidate, examples):
        rows = []
        for e in examples:
            if (candidate.id, e.id) not in self.seen:
                self.seen.add((candidate.id, e.id))
                self.paid += 1
                if self.paid > self.limit:
                    raise BudgetExceededError("calls must stay below the cap")
            score = float(
                _uniform(e.id) * 0.5 + _uniform(candidate.id, e.id) * 0.5 < _skill(candidate)
            )
            rows.append(Row(example_id=e.id, group=e.group, outcome=Outcome.SCORED, score=score))
        return Evaluation(candidate_id=candidate.id, rows=tuple(rows))


def _skill(candidate):
    state = candidate.states["p"]
    return float(state.instruction) + sum(d["gain"] for d in state.demos)


def _uniform(*key):
    return int(content_hash(key, length=12), 16) / 16**12


def catalogue():
    instructions = [0.3, 0.4, 0.5]
    gains = [-0.1, 0.0, 0.05, 0.1, 0.2]
    return Catalogue.build(
        [Proposal(predictor="p", origin="a", instruction=f"{v:.2f}") for v in instructions]
        + [Proposal(predictor="p", origin="b", demos=({"gain": g},)) for g in gains]
        + [Proposal(predictor="p", origin="none", demos=())]
    )


START = Candidate(states={"p": PromptState(instruction="0.40")})
ROWS = [Example(id=f"r{i}", inputs={}, labels={}, group=str(i)) for i in range(160)]
FRESH = [Example(id=f"f{i}", inputs={}, labels={}, group=f"f{i}") for i in range(120)]


def search(evaluator, n_trials=14, seed=0, **more):
    return Search(
        catalogue(),
        START,
        searched=ROWS,
        fresh=FRESH,
        evaluator=evaluator,
        rules=SearchRules(n_trials=n_trials, finalists=3, startup=6, race=RaceRules()),
        seed=seed,
        **more,
    )


def test_the_catalogue_names_by_content_and_spells_candidates():
    made = catalogue()
    assert made.size == 18
    choices = made.choices(START)
    assert made.candidate(choices).id == START.id
    assert made.origins(choices) == {"p.instruction": "a", "p.demos": "none"}
    assert Catalogue.build(reversed(list(_proposals(made)))).id == made.id


def _proposals(made):
    return [p for options in made.options.values() for p in options.values()]


def test_the_search_ends_with_something_clearly_better():
    gains = []
    for seed in range(5):
        result = search(ScriptedEvaluator(), seed=seed).run()
        assert result.trials[0].candidate.id == START.id
        assert START.id not in {f.candidate.id for f in result.finalists}
        gains.append(_skill(result.finalists[0].candidate) - 0.4)
    assert np.mean(gains) >= 0.2


def test_races_stop_the_plainly_worse_and_say_why():
    result = search(ScriptedEvaluator(), n_trials=20).run()
    stopped = [t for t in result.trials if not t.finished]
    assert stopped
    assert all(len(t.evaluation.rows) < len(ROWS) for t in stopped)
    assert all("worse on" in t.reason for t in stopped if not t.repeated)


def test_a_repeated_candidate_costs_nothing():
    evaluator = ScriptedEvaluator()
    result = search(evaluator, n_trials=30).run()
    repeats = [t for t in result.trials if t.repeated]
    assert repeats
    distinct = {t.candidate.id for t in result.trials}
    assert evaluator.paid <= len(distinct) * len(ROWS) + 4 * len(FRESH)


def test_the_same_seed_gives_the_same_trials_and_another_seed_others():
    runs = [
        [t.candidate.id for t in search(ScriptedEvaluator(), seed=s).run().trials]
        for s in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_finalists_fresh_scores_are_not_optimistic():
    searched, fresh = [], []
    for seed in range(12):
        best = search(ScriptedEvaluator(), n_trials=18, seed=seed).run().finalists[0]
        truth = Evaluation(
            candidate_id="x",
            rows=ScriptedEvaluator().evaluate(best.candidate, _many()).rows,
        ).score
        searched.append(best.searched.score - truth)
        fresh.append(best.fresh.score - truth)
    assert abs(np.mean(fresh)) < 0.05


def _many():
    return [Example(id=f"m{i}", inputs={}, labels={}, group=str(i)) for i in range(3000)]


def test_a_cap_ends_the_search_with_what_it_has():
    with pytest.raises(BudgetExceededError):
        search(ScriptedEvaluator(limit=50)).run()
    allowed = iter(["", "", "the rest is set aside"])
    result = search(ScriptedEvaluator(), may_go_on=lambda: next(allowed)).run()
    assert len(result.trials) == 3
    assert result.stopped == "the rest is set aside"
    assert result.finalists


def test_the_journal_is_rewritten_and_readable_by_optuna(tmp_path):
    import optuna

    journal = tmp_path / "s" / "study.journal"
    for _ in range(2):
        result = search(ScriptedEvaluator(), n_trials=5, journal=journal).run()
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(journal))
    )
    study = optuna.load_study(study_name="search", storage=storage)
    assert [t.user_attrs["candidate"] for t in study.trials] == [
        t.candidate.id for t in result.trials
    ]
    assert [t.value for t in study.trials] == pytest.approx([t.estimate for t in result.trials])
