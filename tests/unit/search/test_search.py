"""The live search on scripted rows: finds the better prompt, reports it honestly, survives caps."""

import numpy as np
import pytest

from tests.unit.search.worlds import START, ScriptedRunner, catalogue, examples, proposals, skill
from tests.unit.store.stores import database
from upturn.errors import BudgetExceededError
from upturn.propose import Proposal
from upturn.records import Candidate, PromptState
from upturn.search import Catalogue, Limits, Search, SearchRules, rescore

ROWS, FRESH = examples("r", 160), examples("f", 120)


def search(runner, *, seed=0, rules=None, **more):
    made = catalogue()
    return Search(
        made,
        made.candidate(made.choices(START)),
        searched=ROWS,
        fresh=FRESH,
        runner=runner,
        rules=rules or SearchRules(evaluations=900, n_trials=14),
        seed=seed,
        **more,
    )


def test_the_search_ends_with_something_clearly_better():
    gains = []
    for seed in range(5):
        runner = ScriptedRunner()
        result = search(runner, seed=seed).run()
        assert result.trials[0].candidate.id == START.id
        assert START.id not in {f.candidate.id for f in result.finalists}
        assert runner.paid <= result.evaluations <= 900
        gains.append(skill(result.finalists[0].candidate) - 0.4)
    assert np.mean(gains) >= 0.2


def test_the_reported_score_is_not_optimistic_and_its_interval_holds():
    errors, inside = [], []
    for seed in range(60):
        result = search(_Luck(seed), seed=seed).run()
        best = max((result.start, *result.finalists), key=lambda f: f.estimate)
        truth = np.clip(_mean_right(skill(best.candidate)), 0, 1)
        found = result.reported
        errors.append(found.score - truth)
        inside.append(found.low <= truth <= found.high)
        assert found.rows == len(best.fresh.rows)
    assert abs(np.mean(errors)) <= 3 * np.std(errors) / 60**0.5
    assert np.mean(inside) >= 0.85


class _Luck(ScriptedRunner):
    """The same world with other rows."""

    def __init__(self, seed):
        super().__init__()
        self._seed = seed

    def _row(self, candidate, e):
        from dataclasses import replace

        return replace(
            super()._row(candidate, replace(e, id=f"{e.id}-{self._seed}")), example_id=e.id
        )


def _mean_right(level):
    """P(U/2 + V/2 < level) for independent uniform U, V."""
    return 2 * level**2 if level <= 0.5 else 1 - 2 * (1 - level) ** 2


def test_every_trial_has_a_reason_for_leaving():
    told = []
    result = search(ScriptedRunner(), on_trial=told.append).run()
    assert [t.number for t in result.trials] == list(range(len(result.trials)))
    assert all(t.reason for t in result.trials)
    assert sorted(t.number for t in told) == [t.number for t in result.trials]
    places = [t for t in result.trials if "on fresh rows" in t.reason]
    assert len(places) == len(result.finalists) + 1


def test_the_same_seed_gives_the_same_trials_and_another_seed_others():
    runs = [
        [
            (t.candidate.id, len(t.evaluation.rows))
            for t in search(ScriptedRunner(), seed=s).run().trials
        ]
        for s in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_cap_ends_the_search_with_what_it_has():
    with pytest.raises(BudgetExceededError, match="not allow even one trial"):
        search(ScriptedRunner(limit=3)).run()
    allowed = iter([""] * 9)
    result = search(
        ScriptedRunner(), may_go_on=lambda: next(allowed, "the rest is set aside")
    ).run()
    assert result.stopped == "the rest is set aside"
    assert result.finalists


def test_a_warm_start_enters_first():
    good = Candidate(states={"p": PromptState(instruction="0.50", demos=({"gain": 0.2},))})
    result = search(ScriptedRunner(), enqueued=[good], start_rows=40).run()
    assert result.trials[1].candidate.id == good.id
    assert len(result.trials[0].evaluation.rows) >= 40
    assert result.finalists[0].candidate.id == good.id


def test_the_favoured_run_the_rows_of_the_start_before_they_are_judged():
    good = Candidate(states={"p": PromptState(instruction="0.50", demos=({"gain": 0.2},))})
    result = search(ScriptedRunner(), favoured=[good], start_rows=40).run()
    assert result.trials[1].candidate.id == good.id
    assert len(result.trials[1].evaluation.rows) >= 40
    assert result.finalists[0].candidate.id == good.id


def test_limits_keep_the_dear_out_of_the_finals():
    rules = SearchRules(evaluations=900, n_trials=14, limits=Limits(max_usd_per_row=0.0005))
    result = search(ScriptedRunner(), rules=rules).run()
    assert all(not f.candidate.states["p"].demos for f in result.finalists)
    assert any("the limit is 0.0005" in t.reason for t in result.trials)


def test_the_record_is_rewritten_and_readable_by_optuna(tmp_path):
    import optuna

    journal, url = tmp_path / "s" / "study.journal", f"sqlite:///{tmp_path}/optuna.db"
    for _ in range(2):
        result = search(ScriptedRunner(), journal=journal, url=url, name="turn-1").run()
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    for storage in (optuna.storages.JournalStorage(backend), url):
        study = optuna.load_study(study_name="turn-1", storage=storage)
        assert [t.user_attrs["candidate"] for t in study.trials] == [
            t.candidate.id for t in result.trials
        ]
        assert [t.value for t in study.trials] == pytest.approx([t.estimate for t in result.trials])


@pytest.mark.postgres
def test_the_record_goes_to_postgresql_as_well(tmp_path):
    import optuna

    with database("postgres", tmp_path) as url:
        result = search(ScriptedRunner(), url=url, name="turn-1").run()
        storage = optuna.storages.RDBStorage(url)
        study = optuna.load_study(study_name="turn-1", storage=storage)
        assert [t.user_attrs["reason"] for t in study.trials] == [t.reason for t in result.trials]
        storage.remove_session()
        storage.engine.dispose()


def test_of_equals_the_shorter_prompt_is_first():
    short, long = (
        Candidate(states={"p": PromptState(instruction=text)}) for text in ("0.5", "0.50000")
    )

    class Same(ScriptedRunner):
        def _row(self, candidate, e):
            return super()._row(short, e)

    found = rescore(
        [("t001", long), ("t002", short)], searched=ROWS[:20], fresh=FRESH[:20], evaluator=Same()
    )
    assert [f.name for f in found] == ["t002", "t001"]


def test_the_catalogue_names_by_content_and_spells_candidates():
    made = catalogue()
    assert made.size == 18
    choices = made.choices(START)
    assert made.candidate(choices).id == START.id
    assert made.origins(choices) == {"p.instruction": "a", "p.demos": "none"}
    assert Catalogue.build(reversed(proposals())).id == made.id


def test_settings_are_choices_and_two_of_them_shape_the_demos():
    settings = [
        Proposal(predictor="", origin="settings", setting=s)
        for s in (("temperature", 0.7), ("n_demos", 1), ("order", "reversed"))
    ]
    pair = Proposal(predictor="p", origin="b", demos=({"gain": 0.1}, {"gain": 0.2}))
    made = Catalogue.build([*proposals(), pair, *settings])
    choices = made.choices(START)
    assert choices["@temperature"] == choices["@n_demos"] == "s-default"
    assert made.candidate(choices).id == START.id
    both = dict(choices) | {"p.demos": _id_of(made, pair)}
    turned = made.candidate(both | {"@order": "s-reversed"})
    assert [d["gain"] for d in turned.states["p"].demos] == [0.2, 0.1]
    assert turned.settings == {}
    cut = made.candidate(both | {"@n_demos": "s-1", "@temperature": "s-0.7"})
    assert [d["gain"] for d in cut.states["p"].demos] == [0.1]
    assert cut.settings == {"temperature": 0.7}


def _id_of(made, proposal):
    return next(i for i, p in made.options["p.demos"].items() if p.demos == proposal.demos)
