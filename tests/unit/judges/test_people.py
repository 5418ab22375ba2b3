"""A gain that people do not see is not promoted; where people say nothing, nothing changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from upturn.errors import DataError
from upturn.gate import GateReport, GateRules, Told, decide
from upturn.gate.evidence import Sample
from upturn.gate.files import decide_files
from upturn.gate.frozen import freeze, inputs_of, rederive
from upturn.gate.sequence import Decided
from upturn.records import Evaluation, FailureKind, Look, Outcome, Row, Verdict

RULES = GateRules(min_gain=0.02)
LOOK = Look(holdout="h", number=1, alpha=0.05, turn="t")


def side(name: str, score: Callable[[int], float], human: Callable[[int], float | None]):
    rows = []
    for i in range(200):
        said = human(i)
        parts = {} if said is None else {"human": said}
        rows.append(
            Row(
                example_id=f"r{i}",
                group=f"g{i}",
                outcome=Outcome.SCORED,
                score=score(i),
                parts=parts,
            )
        )
    return Evaluation(candidate_id=name, rows=tuple(rows))


def judged(human: Callable[[int], float | None], labelled: int = 60) -> GateReport:
    """The judge sees 100 rows right become 140; people scored the first rows of both."""
    known = {i for i in range(200) if i * labelled % 200 < labelled}
    before = side("a", lambda i: float(i % 2), lambda i: float(i % 2) if i in known else None)
    after = side("b", lambda i: float(i % 10 < 7), lambda i: human(i) if i in known else None)
    return decide(before, after, rules=RULES, look=LOOK, told=Told(human_part="human"))


def test_people_who_see_the_same_let_it_pass():
    report = judged(lambda i: float(i % 10 < 7))
    assert report.verdict is Verdict.PROMOTE
    assert report.human is not None
    assert report.human.rows == 60
    assert report.human.low < report.effect < report.human.high


def test_a_gain_that_people_do_not_see_is_held():
    report = judged(lambda i: float(i % 2 and i % 10 < 5))
    assert report.verdict is Verdict.HOLD
    assert report.effect == pytest.approx(0.2)
    assert report.human.effect < 0
    assert report.reasons[0].startswith("People do not see the judge's gain: by the 60 rows")
    assert report.reasons[0].endswith(", no gain.")
    assert report.reasons[-1].startswith("By people's scores of 60 rows the effect is -0.")


def test_a_gain_that_people_find_too_small_is_held():
    # People see one row in sixty become right, and the judge's other gains as none.
    report = judged(lambda i: 1.0 if i == 0 else float(i % 2))
    assert report.verdict is Verdict.HOLD
    assert 0 < report.human.effect < 0.02
    assert "below min_gain 0.02" in report.reasons[0]


def test_too_few_people_change_nothing_and_it_is_said():
    report = judged(lambda i: 0.0, labelled=10)
    assert report.verdict is Verdict.PROMOTE
    assert report.human.low is None
    assert "10 rows in 10 groups have a person's score; from 20 groups on" in report.reasons[-1]


def test_without_being_told_a_part_called_human_is_a_part():
    before = side("a", lambda i: float(i % 2), lambda i: 1.0)
    after = side("b", lambda i: float(i % 10 < 7), lambda i: 0.0)
    report = decide(before, after, rules=RULES, look=LOOK)
    assert (report.verdict, report.human) == (Verdict.PROMOTE, None)


def test_a_verdict_that_is_no_promotion_is_never_made_one():
    # The judge sees a loss, people a gain.
    before = side("a", lambda i: float(i % 10 < 7), lambda i: 0.0)
    after = side("b", lambda i: float(i % 2), lambda i: 1.0)
    report = decide(before, after, rules=RULES, look=LOOK, told=Told(human_part="human"))
    assert report.verdict is Verdict.HOLD
    assert report.human.effect == 1.0


def test_a_broken_answer_is_0_for_people_too():
    before = side("a", lambda i: 0.0, lambda i: 1.0)
    after = side("b", lambda i: 1.0, lambda i: 1.0)
    broken = replace(
        after.rows[0], outcome=Outcome.FAILED, score=None, parts={}, failure=FailureKind.FORMAT
    )
    after = replace(after, rows=(broken, *after.rows[1:]))
    report = decide(before, after, rules=RULES, look=LOOK, told=Told(human_part="human"))
    assert report.human.rows == 200
    assert report.human.effect == pytest.approx(-1 / 200)


def test_the_report_survives_json_and_old_ones_still_load():
    report = judged(lambda i: float(i % 2))
    value = json.loads(json.dumps(report.to_json()))
    assert GateReport.from_json(value) == report
    del value["human"]
    assert GateReport.from_json(value).human is None


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(r) for r in rows))
    return path


def test_two_files_with_a_human_column(tmp_path):
    before = [{"id": i, "score": float(i % 2)} for i in range(200)]
    after = [{"id": i, "score": float(i % 10 < 7)} for i in range(200)]
    files = write(tmp_path / "a", before), write(tmp_path / "b", after)
    assert decide_files(*files, rules=RULES).human is None
    for i in range(0, 200, 3):
        before[i]["human"], after[i]["human"] = before[i]["score"], 0
    files = write(tmp_path / "a", before), write(tmp_path / "b", after)
    report = decide_files(*files, rules=RULES)
    assert report.verdict is Verdict.HOLD
    assert report.human.rows == 67


@pytest.mark.parametrize("value", [2, "yes", True, -0.1])
def test_a_human_score_is_a_number_or_a_bool(tmp_path, value):
    files = write(tmp_path / "a", [{"id": 1, "score": 1}]), tmp_path / "b"
    write(files[1], [{"id": 1, "score": 1, "human": value}])
    if value is True:
        assert decide_files(*files, rules=RULES).human is None  # scored on one side only
        return
    with pytest.raises(DataError, match="human must be a number in"):
        decide_files(*files, rules=RULES)


def test_what_people_said_is_part_of_the_frozen_evidence():
    before = side("a", lambda i: float(i % 2), lambda i: 1.0)
    after = side("b", lambda i: float(i % 10 < 7), lambda i: 0.5 if i % 3 else None)
    told = Told(human_part="human")
    decided = Decided(
        report=decide(before, after, rules=RULES, look=LOOK, told=told),
        baseline=before,
        challenger=after,
        sample=Sample.whole(before),
    )
    frozen = freeze(inputs_of(decided, rules=RULES, look=LOOK, seed=0, told=told))
    again = rederive(json.loads(json.dumps(frozen)))
    assert again.human == decided.report.human
    assert again.verdict is decided.report.verdict is Verdict.HOLD
