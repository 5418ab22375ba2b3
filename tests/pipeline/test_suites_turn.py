"""Suites in a turn: both sides run them before the holdout is opened, and a broken one blocks."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml
from dspy.lm15 import ServerError

from tests.pipeline.conftest import CONFIG, answer
from upturn.config import json_schema
from upturn.errors import ConfigError, DataError
from upturn.ledger import EntryKind, Ledger
from upturn.lm import AnswerCache
from upturn.pipeline.opening import open_engines
from upturn.pipeline.parts import Parts
from upturn.pipeline.suite_run import run_suites
from upturn.pipeline.suites import guard, judge_suites, open_suites
from upturn.pipeline.turn import run_turn
from upturn.suites import RowResult, SuiteResult
from upturn.testing.engine import FakeEngine

MUST = "suites/must.jsonl"


def write(project, rows, name="must"):
    folder = project.root / "suites"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def row(name, text, team):
    return {"id": name, "text": text, "output": "team", "expect": {"equals": team}}


#: The champion says billing to everything that its prompt does not show; demos teach the rest.
KEPT = [row("refund", "a refund please", "billing"), row("invoice", "my invoice", "billing")]
LEARNT = row("crash", "it is a crash", "technical")
#: Whoever knows the cue says technical; only who knows nothing says billing.
UNLEARNT = row("login", "no login", "billing")
HOPELESS = row("slow", "so slow", "returns")


def config(suites):
    return CONFIG.replace("gate: {min_gain: 0.1}", f"gate: {{min_gain: 0.1, suites: {suites}}}")


@pytest.fixture
def with_suites(make_project):
    def make(rows, suites=f"[{MUST}]"):
        project = make_project(config=config(suites))
        write(project, rows)
        return project

    return make


def looks(project):
    ledger = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: None)
    return [e for e in ledger.entries() if e.kind is EntryKind.LOOK]


def shown(project, result):
    """The suite's line in the decision."""
    text = (project.root / "mlruns" / "turns" / result.turn / "decision.md").read_text()
    return next(line for line in text.splitlines() if line.startswith("| suite must |"))


def found(project, name="must"):
    report = project.registry.load("tickets", "2").report
    return next(g for g in report["guards"] if g["name"] == f"suite {name}")


def test_a_suite_that_is_passed_lets_a_better_challenger_through(with_suites):
    project = with_suites([*KEPT, LEARNT])
    result = run_turn(project.parts(), project.world())
    assert result.verdict == "PROMOTE", result.reasons
    guarded = found(project)
    assert (guarded["baseline"], guarded["challenger"]) == (pytest.approx(2 / 3), 1.0)
    assert (guarded["limit"], guarded["ok"], guarded["note"]) == (1.0, True, "3 rows")


def test_one_row_that_is_newly_broken_blocks_a_better_challenger(with_suites):
    project = with_suites([*KEPT, UNLEARNT])
    result = run_turn(project.parts(), project.world())
    assert result.verdict == "HOLD"
    assert "1 of 3 rows failed; new: login" in shown(project, result)
    assert "| 100.0 % | 66.7 % | ≥ 100.0 % | **broken**" in shown(project, result)
    assert any("suite must" in reason for reason in result.reasons), result.reasons


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("", "HOLD"),
        (", or_no_worse: true", "PROMOTE"),
        (", pass: 0.6", "PROMOTE"),
    ],
)
def test_a_row_that_both_fail_blocks_unless_the_config_says_otherwise(with_suites, rule, verdict):
    project = with_suites([*KEPT, HOPELESS], f"[{{path: {MUST}{rule}}}]")
    result = run_turn(project.parts(), project.world())
    assert result.verdict == verdict, result.reasons
    assert "1 of 3 rows failed; none of them new: slow" in shown(project, result)


def test_calls_are_counted_and_set_aside(with_suites, make_project):
    project = with_suites([*KEPT, LEARNT])
    with_them = run_turn(project.parts(), project.world())
    project.tracker, project.registry = type(project.tracker)(), type(project.registry)()
    for path in sorted((project.root / "mlruns").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    project.config.write_text(CONFIG)
    without = run_turn(project.parts(), project.world())
    assert with_them.calls == without.calls + 2 * 3
    assert with_them.turn != without.turn
    write(project, KEPT * 1, name="many")
    rows = [row(f"r{i}", f"refund {i}", "billing") for i in range(400)]
    write(project, rows)
    project.config.write_text(config(f"[{MUST}]"))
    with pytest.raises(ConfigError, match=r"budget\.max_calls must be >= ") as refused:
        run_turn(project.parts("budget.max_calls=400"), project.world())
    needed = int(re.search(r">= (\d+)", str(refused.value)).group(1))
    project.config.write_text(CONFIG)
    with pytest.raises(ConfigError, match=r"budget\.max_calls must be >= ") as refused:
        run_turn(project.parts("budget.max_calls=10"), project.world())
    assert needed == int(re.search(r">= (\d+)", str(refused.value)).group(1)) + 2 * 400


def test_an_outage_in_a_suite_costs_no_look_and_is_resumed(with_suites):
    project = with_suites([*KEPT, LEARNT])

    def away(request):
        gone = "it is a crash" in request.messages[-1].text
        return ServerError("gone") if gone else None

    project.engine = FakeEngine(answer, fail=away)
    stopped = run_turn(project.parts(), project.world())
    assert stopped.verdict == "INCONCLUSIVE"
    assert (
        "suite must cannot be judged: 1 rows could not reach the model, crash"
        in (stopped.reasons[0])
    )
    assert looks(project) == []
    project.engine = FakeEngine(answer)
    done = run_turn(project.parts(), project.world())
    assert (done.turn, done.verdict) == (stopped.turn, "PROMOTE")
    assert len(looks(project)) == 1


def test_another_text_is_another_question_and_another_place_is_not(with_suites):
    project = with_suites([*KEPT, UNLEARNT])
    first = run_turn(project.parts(), project.world())
    write(project, [*KEPT, UNLEARNT], name="moved")
    moved = "gate.suites=[{path: suites/moved.jsonl, name: must}]"
    assert run_turn(project.parts(moved), project.world()).turn == first.turn
    write(project, [*KEPT, LEARNT])
    assert run_turn(project.parts(), project.world()).turn != first.turn


@pytest.mark.parametrize(
    ("suites", "error", "told"),
    [
        ("[absent.jsonl]", DataError, "absent.jsonl: the file must exist"),
        (f"[{MUST}, {MUST}]", ConfigError, "got 'must' twice"),
        (f"[{{path: {MUST}, pass: 1.5}}]", ConfigError, "gate.suites.0.pass: "),
        (f"[{{path: {MUST}, passes: 1}}]", ConfigError, "gate.suites.0.passes: unknown key"),
        (f"[{{path: {MUST}, judge: strict}}]", ConfigError, "judge must be a name under models"),
        (f"[{{path: {MUST}, output: tema}}]", DataError, "did you mean team?"),
        ("[3]", ConfigError, "gate.suites.0"),
    ],
)
def test_a_wrong_suite_is_refused_before_anything_is_asked(with_suites, suites, error, told):
    project = with_suites(KEPT, suites)
    with pytest.raises(error) as refused:
        run_turn(project.parts(), project.world())
    assert told in str(refused.value)
    assert project.engine.calls == 0
    assert not (project.root / "mlruns").exists()


def test_a_resolved_config_says_pass_and_reads_again(with_suites, tmp_path):
    project = with_suites(KEPT, f"[safety, {{path: {MUST}, pass: 0.9, inputs: {{a: 1}}}}]")
    text = project.parts().config.to_yaml()
    assert "pass: 0.9" in text
    project.config.write_text(text)
    assert project.parts().config.to_yaml() == text
    jsonschema.validate(yaml.safe_load(text), json_schema())
    jsonschema.validate(yaml.safe_load(config("[safety]")), json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(config("[{pass: 1.0}]")), json_schema())


REGISTRY = {
    "evals/polite.yaml": {
        "polite": {"id": "polite.dev.v0"},
        "polite.dev.v0": {
            "class": "evals.elsuite.modelgraded.classify:ModelBasedClassify",
            "args": {
                "samples_jsonl": "polite.jsonl",
                "modelgraded_spec": "kind",
                "eval_type": "classify",
            },
        },
    },
    "modelgraded/kind.yaml": {
        "prompt": "Is this kind: {completion}?",
        "choice_strings": ["Yes", "No"],
        "choice_scores": {"Yes": 1.0, "No": 0.0},
        "input_outputs": {"input": "completion"},
    },
    "data/polite.jsonl": {"input": [{"role": "user", "content": "a refund"}]},
}


def graded(project, **section):
    for name, content in REGISTRY.items():
        path = project.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    suite = {"path": "evals/polite.yaml", **section}
    return f"gate.suites=[{json.dumps(suite)}]"


class TwoModels(FakeEngine):
    """Answers as the program's model, and as a judge where it is asked what is kind."""

    def __init__(self) -> None:
        super().__init__(
            lambda r: "Yes" if "Is this kind: billing?" in r.messages[-1].text else answer(r)
        )


def test_a_judge_is_a_model_of_the_config(with_suites):
    project = with_suites(KEPT)
    project.engine = TwoModels()
    with pytest.raises(ConfigError, match=r"is graded by a model, so it must name its judge"):
        run_turn(project.parts(graded(project)), project.world())
    chosen = [graded(project, judge="strict", output="team"), "models.strict={name: judge}"]
    result = run_turn(project.parts(*chosen), project.world())
    assert result.verdict == "PROMOTE", result.reasons
    assert found(project, "polite")["challenger"] == 1.0


def test_a_suite_runs_on_a_version_without_a_gate(with_suites):
    project = with_suites([*KEPT, UNLEARNT], f"[{{path: {MUST}, pass: 0.6}}]")
    run_turn(project.parts("promotion=ask"), project.world())
    seed = run_suites(project.parts(), project.world(), version="seed", paths=())
    assert (seed.ok, seed.calls) == (True, 0)  # paid for by the turn
    second = run_suites(project.parts(), project.world(), version="2", paths=(MUST,))
    assert (second.ok, second.calls, second.lines[0].result.passed) == (True, 0, 2)
    assert second.to_json()["suites"][0]["failed"] == [
        {"id": "login", "why": "team must be 'billing'"}
    ]
    write(project, [UNLEARNT], name="other")
    other = run_suites(
        project.parts(), project.world(), version="2", paths=["suites/other.jsonl", MUST]
    )
    assert [line.ok for line in other.lines] == [False, True]
    assert (other.ok, other.calls) == (False, 0)


def result(name: str, *passed: bool | None) -> SuiteResult:
    rows = tuple(RowResult(id=f"r{i}", passed=p) for i, p in enumerate(passed))
    return SuiteResult(name=name, rows=rows)


@pytest.mark.parametrize(
    ("before", "after", "rule", "ok"),
    [
        ([True, True], [True, True], {}, True),
        ([True, False], [True, False], {}, False),
        ([True, False], [True, False], {"or_no_worse": True}, True),
        # As many as before, but not the same ones.
        ([True, False], [False, True], {"or_no_worse": True}, False),
        ([True, False], [False, True], {"share": 0.5}, True),
        # An unknown row that cannot turn the result is none to wait for.
        ([True, True, True], [False, None, True], {}, False),
        ([True, None, True], [True, True, True], {}, True),
        ([True, True, True], [True, None, True], {}, None),
        ([True, None, True], [True, False, True], {"or_no_worse": True}, None),
    ],
)
def test_what_it_takes_to_pass(with_suites, before, after, rule, ok):
    project = with_suites(KEPT)
    standing = open_suites(project.parts())[0]
    standing = type(standing)(bound=standing.bound, **rule)
    sides: Any = (result("must", *before), result("must", *after))
    if ok is None:
        with pytest.raises(Exception, match="suite must cannot be judged"):
            guard(standing, *sides)
    else:
        judged = guard(standing, *sides)
        assert judged.ok is ok
        # Whoever compares the two numbers that a report shows comes to the same.
        assert judged.limit is not None
        assert judged.challenger is not None
        assert (judged.challenger >= judged.limit) is ok


def test_nothing_is_run_where_there_is_no_suite(with_suites):
    project = with_suites(KEPT, "[]")
    parts: Parts = project.parts()
    with (
        AnswerCache(project.root / "c.db") as cache,
        open_engines(parts, project.world(), cache, calls_before=0, usd_before=0.0) as engines,
    ):
        asked = project.engine.calls
        seed = parts.program.seed
        told = judge_suites(
            (), seed, seed, parts=parts, engines=engines, adapters={}, tell=lambda s: None
        )
    assert (told, project.engine.calls) == ((), asked)
