"""DSPy's optimizers under our roof: what they run is recorded, re-scored and replayed."""

import io
from dataclasses import replace

import pytest

from tests.unit.peers.conftest import Desk, answer, rows, run
from upturn.peers import PEERS, run_peer
from upturn.peers.quiet import WithoutBars
from upturn.records import Example, FailureKind, Outcome
from upturn.testing.engine import FakeEngine

PROGRAM_CALL = "`[[ ## team ## ]]`"


def choice_of(result):
    """The trial that the optimizer chose."""
    return next(t for t in result.trials if "the choice of" in t.reason)


def test_every_program_is_told_once_as_a_trial(finished):
    trials = finished.result.trials
    assert finished.told == list(trials)
    assert len({t.candidate.id for t in trials}) == len(trials) >= 2
    assert [t.number for t in trials] == list(range(len(trials)))
    assert trials[0].candidate.id == finished.desk.program.seed.id
    assert finished.result.stopped == ""


def test_the_claim_stands_beside_the_choice(finished):
    choice = choice_of(finished.result)
    assert choice.finished
    assert choice.reason.endswith(
        f"the choice of {finished.name}, which reports {choice.estimate:.3f}"
    )
    # Where nothing was better the choice is the start candidate, which is never a finalist.
    result = finished.result
    assert choice.candidate.id in {f.candidate.id for f in (result.start, *result.finalists)}


def test_finalists_are_run_on_all_dev_rows(finished):
    desk, result = finished.desk, finished.result
    assert result.finalists
    for finalist in (result.start, *result.finalists):
        assert [r.example_id for r in finalist.fresh.rows] == [e.id for e in desk.fresh]
        assert [r.example_id for r in finalist.searched.rows] == [e.id for e in desk.searched]
    assert desk.program.seed.id not in {f.candidate.id for f in result.finalists}
    assert result.start.searched.score == pytest.approx(1 / 3)


def test_each_optimizer_is_judged_on_the_rows_that_are_for_it(finished):
    part = finished.desk.train if finished.name == "simba" else finished.desk.searched
    complete = [t for t in finished.result.trials if t.finished]
    assert complete
    assert all({r.example_id for r in t.evaluation.rows} == {e.id for e in part} for t in complete)
    if finished.name != "simba":
        assert finished.result.finalists[0].pooled > finished.result.start.pooled


def test_dspy_prints_nothing(finished):
    assert finished.printed == ""


def test_bars_are_dropped_and_lines_are_not():
    stream = io.StringIO()
    quiet = WithoutBars(stream)
    for text in ("one", "\n", "\r  0%|   |", "\r100%|###|", "\n", "two", "\n", "\r\x1b[2K", "\n"):
        assert quiet.write(text) == len(text)
    assert stream.getvalue() == "one\ntwo\n\r\x1b[2K\n"
    assert not quiet.isatty()


def test_a_second_run_asks_the_same_questions_and_pays_for_none(finished):
    again, paid = run(finished.desk, finished.name)
    assert finished.paid > 0
    assert paid == 0
    assert [f.candidate.id for f in again.finalists] == [
        f.candidate.id for f in finished.result.finalists
    ]
    assert {t.candidate.id: t.estimate for t in again.trials} == {
        t.candidate.id: t.estimate for t in finished.result.trials
    }


def test_what_was_run_in_full_costs_nothing_when_it_is_rescored(finished):
    choice = choice_of(finished.result)
    with finished.desk.open() as (ground, evaluator):
        part = ground.train if finished.name == "simba" else ground.searched
        rescored = evaluator.evaluate(choice.candidate, part)
        assert ground.meter.totals().calls == 0
    assert rescored.score == choice.estimate
    assert [r.outputs for r in rescored.rows] == [r.outputs for r in choice.evaluation.rows]


def test_the_cap_on_demos_holds_and_demos_hold_the_predictors_fields(finished):
    states = [s for t in finished.result.trials for s in t.candidate.states.values()]
    assert max(len(s.demos) for s in states) <= 4
    assert {tuple(d) for s in states for d in s.demos} <= {("message", "team")}
    if finished.name in ("mipro", "bootstrap_random_search"):
        assert 4 in {len(s.demos) for s in states}


def test_another_seed_tries_other_demos(desk):
    first, _ = run(desk, "mipro")
    desk.rules = replace(desk.rules, seed=1)
    second, paid = run(desk, "mipro")
    assert paid > 0
    assert {t.candidate.id for t in first.trials} != {t.candidate.id for t in second.trials}


def test_rows_of_the_programs_own_making_keep_their_kind(desk):
    desk.engine = FakeEngine(
        lambda r: "no idea" if "number 103" in r.messages[-1].text else answer(r)
    )
    for name in ("mipro", "gepa"):
        result, _ = run(desk, name)
        for trial in result.trials:
            if trial.finished:
                failed = [r for r in trial.evaluation.rows if r.outcome is Outcome.FAILED]
                assert [(r.example_id, r.failure) for r in failed] == [
                    ("e0103", FailureKind.FORMAT)
                ]
                assert trial.estimate == pytest.approx(
                    sum(r.score or 0.0 for r in trial.evaluation.rows) / len(desk.searched)
                )


def test_an_unscored_row_stays_unscored(desk):
    desk.metric = replace(
        desk.metric,
        function=lambda e, p: None if "number 103" in e.message else float(e.team == p.team),
    )
    result, _ = run(desk, "mipro")
    start = result.trials[0].evaluation
    assert start.count(Outcome.UNSCORED) == 1
    assert start.count(Outcome.SCORED) == len(desk.searched) - 1
    # DSPy knows no third outcome: its claim counts the row as wrong, our estimate does not.
    choice = choice_of(result)
    claimed = float(choice.reason.rsplit(" ", 1)[1])
    assert choice.estimate == pytest.approx(claimed * 15 / 14, abs=0.001)


def test_the_settings_of_the_start_candidate_are_kept(desk):
    with desk.open() as (ground, evaluator):
        start = replace(ground.start, settings={"temperature": 0.5})
        result = run_peer(
            PEERS["mipro"],
            replace(ground, start=start),
            fresh=desk.fresh,
            evaluator=evaluator,
            rules=desk.rules,
        )
    assert {dict(t.candidate.settings)["temperature"] for t in result.trials} == {0.5}
    assert result.trials[0].candidate.id == start.id


def test_a_program_that_reasons_keeps_the_candidates_names(desk):
    desk.engine = FakeEngine(lambda r: f"[[ ## reasoning ## ]]\nI see.\n\n{answer(r)}")
    with desk.open() as (ground, evaluator):
        start = replace(ground.start, settings={"module": "cot"})
        result = run_peer(
            PEERS["mipro"],
            replace(ground, start=start),
            fresh=desk.fresh,
            evaluator=evaluator,
            rules=desk.rules,
        )
        best = choice_of(result).candidate
        paid = ground.meter.totals().calls
        evaluator.evaluate(best, desk.searched)
        assert ground.meter.totals().calls == paid
    assert tuple(best.states) == ("triage",)
    assert {t.candidate.settings["module"] for t in result.trials} == {"cot"}
    demos = [d for t in result.trials for d in t.candidate.states["triage"].demos]
    assert {tuple(sorted(d)) for d in demos} == {
        ("message", "team"),
        ("message", "reasoning", "team"),
    }


def test_a_prompt_model_that_cannot_write_leaves_the_instruction_as_it_is(desk):
    desk.engine = FakeEngine(lambda r: answer(r) if PROGRAM_CALL in r.messages[-1].text else "hm")
    lines = []
    result, _ = run(desk, "mipro", log=lines.append)
    instructions = {s.instruction for t in result.trials for s in t.candidate.states.values()}
    assert instructions == {"Route the message."}
    assert result.finalists
    assert any("answers of the prompt model could not be read" in line for line in lines)


def test_a_strong_model_writes_the_instructions(desk, tmp_path):
    strong = Desk(folder=tmp_path / "strong")
    desk.engine = FakeEngine(lambda r: answer(r) if PROGRAM_CALL in r.messages[-1].text else "hm")
    lines = []
    with desk.open() as (ground, evaluator), strong.open() as (other, _):
        result = run_peer(
            PEERS["copro"],
            replace(ground, strong=other.connection),
            fresh=desk.fresh,
            evaluator=evaluator,
            rules=desk.rules,
            log=lines.append,
        )
        # The third round sees the same attempts as the second, and gets the same answers.
        assert other.meter.totals().calls == 9 + 10
    instructions = {s.instruction for t in result.trials for s in t.candidate.states.values()}
    assert instructions == {"Route the message.", "Route the message carefully."}
    assert not any("proposer_model" in line for line in lines)


def test_a_reflecting_model_reads_the_right_answer_and_the_notes(desk):
    asked = []

    def listen(request):
        text = request.messages[-1].text
        if PROGRAM_CALL not in text:
            asked.append(text)
        return answer(request)

    desk.engine = FakeEngine(listen)
    desk.train = [replace(e, notes=("wrong queue again",)) for e in rows(12)]
    run(desk, "gepa")
    assert any("The right answer is team: technical." in text for text in asked)
    assert any("Somebody wrote: wrong queue again" in text for text in asked)
    fresh = {e.inputs["message"] for e in desk.fresh}
    assert not any(message in text for text in asked for message in fresh)


def test_predictors_keep_their_names_in_a_program_of_two(desk):
    (desk.folder / "triage.py").write_text(TWO_STEPS)
    desk.train = [Example.from_json(e.to_json()) for e in desk.train]
    result, _ = run(desk, "bootstrap_random_search")
    names = {tuple(t.candidate.states) for t in result.trials}
    assert names == {("gist", "routes['team']")}
    demos = [d for t in result.trials for d in t.candidate.states["gist"].demos]
    # A labelled row has no gist; a bootstrapped one has what the program itself wrote.
    assert {tuple(d) for d in demos} == {("message",), ("message", "gist")}


TWO_STEPS = '''
from typing import Literal

import dspy


class Gist(dspy.Signature):
    """Say it in few words."""

    message: str = dspy.InputField()
    gist: str = dspy.OutputField()


class Triage(dspy.Signature):
    """Route the message."""

    message: str = dspy.InputField()
    gist: str = dspy.InputField()
    team: Literal["billing", "technical", "returns"] = dspy.OutputField()


class TicketTriage(dspy.Module):
    signature = dspy.Signature("message -> team")

    def __init__(self):
        super().__init__()
        self.gist = dspy.Predict(Gist)
        self.routes = {"team": dspy.Predict(Triage)}

    def forward(self, message):
        gist = self.gist(message=message).gist
        return self.routes["team"](message=message, gist=gist)
'''
