"""How a suite is run: failures, outages, caps, judges, and the safety set that ships."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from dspy.lm15 import ServerError

from tests.unit.suites.suiting import REGISTRY, bench, question, says
from upturn.errors import BudgetExceededError, OutageError
from upturn.lm import Caps
from upturn.suites import open_suite

OBEYS = ("ZORVEK-11", "QUILLTOP-12", "collect.example")


def lines(folder, *rows):
    text = "\n".join(json.dumps(row) for row in rows)
    (folder / "s.jsonl").write_text(text)
    return open_suite("s.jsonl", folder)


def rows(n):
    return [{"id": f"r{i}", "text": f"say {i}", "expect": {"includes": "ok"}} for i in range(n)]


def test_a_row_that_cannot_be_read_has_failed(tmp_path):
    def answer(request):
        broken = "say 1" in question(request)
        return "no fields" if broken else "[[ ## answer ## ]]\nok\n"

    with bench(tmp_path, answer) as on:
        found = on.run(lines(tmp_path, *rows(3)))
    assert (found.passed, found.share, found.failed) == (2, 2 / 3, ("r1",))
    assert found.rows[1].why == "the answer cannot be read"
    assert found.to_json()["failed"] == [{"id": "r1", "why": "the answer cannot be read"}]


def test_a_programs_own_error_is_shown_on_one_line(tmp_path):
    (tmp_path / "s.jsonl").write_text('{"inputs": {"question": 3}, "expect": {"equals": "3"}}')
    with bench(tmp_path, says({}, "3"), program="Raises") as on:
        found = on.run(open_suite("s.jsonl", tmp_path))
    assert found.rows[0].why == "the program failed: ValueError: a   b"


def test_one_lost_row_is_unknown_and_half_of_them_are_an_outage(tmp_path):
    def away(*which):
        def fail(request):
            lost = any(f"say {i}" in question(request) for i in which)
            return ServerError("gone") if lost else None

        return fail

    suite = lines(tmp_path, *rows(16))
    ok = says({}, "ok")
    with bench(tmp_path, ok, fail=away(15)) as on:
        found = on.run(suite)
        assert (found.passed, found.failed, found.unknown) == (15, (), ("r15",))
    with bench(tmp_path, ok) as on:
        again = on.run(suite)
        assert (again.passed, again.unknown) == (16, ())
        assert on.meter.totals().calls == 1  # the rest was paid for
    everything = tmp_path / "cache.db"
    everything.unlink()
    with bench(tmp_path, ok, fail=away(*range(16))) as on, pytest.raises(OutageError):
        on.run(suite)


def test_a_cap_ends_it(tmp_path):
    with bench(tmp_path, says({}, "ok"), caps=Caps(max_calls=2)) as on:
        with pytest.raises(BudgetExceededError):
            on.run(lines(tmp_path, *rows(3)))
        assert on.meter.totals().calls == 2


def test_a_judge_that_is_away_leaves_rows_unknown(tmp_path):
    with bench(tmp_path, says({}, "ok"), judge_fails=lambda _: ServerError("gone")) as on:
        found = on.evals("facts")
    assert (found.unknown, found.invalid) == (("1", "2", "3", "4"), 0)


def test_a_judges_cap_ends_it(tmp_path):
    with (
        bench(tmp_path, says({}, "ok"), lambda _: "C", caps=Caps(max_calls=5)) as on,
        pytest.raises(BudgetExceededError),
    ):
        on.evals("facts")


def test_a_judge_is_paid_once_for_the_same_answer(tmp_path):
    with bench(tmp_path, says({}, "ok"), lambda _: "C") as on:
        assert on.evals("facts").passed == 4
        assert on.evals("facts").passed == 4
        assert on.meter.totals().calls == 8
        assert len(on.judged) == 4


def test_what_of_a_chat_the_program_gets(tmp_path):
    seen: list[str] = []

    def answer(request):
        seen.append(question(request))
        return "[[ ## answer ## ]]\nok\n"

    with bench(tmp_path, answer) as on:
        suite = open_suite("evals/capitals.yaml", REGISTRY)
        on.run(suite)
        on.run(suite, chat="all")
    france = [text for text in seen if "France" in text]
    assert sorted(france) == [
        "What is the capital of France?",
        "system: Answer the question.\nuser: What is the capital of France?",
    ]


def test_every_output_is_looked_at_where_none_is_named(tmp_path):
    def answer(request):
        return "[[ ## answer ## ]]\nfine\n\n[[ ## tone ## ]]\nsay 0\n"

    row = {"text": "say 0", "expect": {"not_includes": "say 0"}}
    fill = {"inputs": {"number": 1, "language": "en"}}
    with bench(tmp_path, answer, program="Two") as on:
        assert on.run(lines(tmp_path, row), **fill).rows[0].why == "tone must not contain 'say 0'"
        assert on.run(lines(tmp_path, row), output="answer", **fill).passed == 1


def test_another_text_is_another_suite(tmp_path):
    first = lines(tmp_path, *rows(2)).fingerprint
    assert lines(tmp_path, *rows(2)).fingerprint == first
    assert lines(tmp_path, *rows(3)).fingerprint != first


def test_the_safety_set_holds_what_it_says():
    suite = open_suite("safety", REGISTRY)
    kinds = Counter(row.id.partition("-")[0] for row in suite.rows)
    assert kinds == {"injection": 16, "secret": 9, "refusal": 7, "format": 21}
    assert all(len(row.checks) > 1 for row in suite.rows)
    # None of them asks for a judge or for an output by name: it runs on any program with a text.
    assert not suite.graded
    assert all(check.any_output for row in suite.rows for check in row.checks)


def test_the_safety_set_tells_who_obeys_and_who_repeats(tmp_path):
    suite = open_suite("safety", REGISTRY)
    with bench(tmp_path, says({}, "A person will look into it today.")) as on:
        assert on.run(suite).failed == ()
    (tmp_path / "cache.db").unlink()
    with bench(tmp_path, says({word: word for word in OBEYS})) as on:
        failed = on.run(suite).failed
        assert failed == ("injection-override", "injection-after-a-request", "injection-link")
    (tmp_path / "cache.db").unlink()
    with bench(tmp_path, lambda r: f"[[ ## answer ## ]]\n{question(r)}\n") as on:
        kinds = Counter(name.partition("-")[0] for name in on.run(suite).failed)
    assert (kinds["secret"], kinds["refusal"]) == (9, 7)
    assert kinds["injection"] >= 14
