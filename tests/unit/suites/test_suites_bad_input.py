"""Suites that break a rule: the error names file, line, rule and what to do."""

from __future__ import annotations

import json

import pytest

from tests.unit.suites.suiting import PROGRAM
from upturn.errors import DataError
from upturn.programs import Program
from upturn.suites import Filling, bind, open_suite

GOOD = '{"text": "a", "expect": {"includes": "b"}}'
MATCH = "evals.elsuite.basic.match:Match"
JSON = "evals.elsuite.basic.json_match:JsonMatch"
GRADED = "evals.elsuite.modelgraded.classify:ModelBasedClassify"
RUBRIC = {
    "prompt": "{input} {completion} {ideal}",
    "choice_strings": ["Yes", "No"],
    "choice_scores": {"Yes": 1, "No": 0},
    "input_outputs": {"input": "completion"},
}
ROW = {"input": "a", "ideal": "b"}
REST = {"number": 1, "question": "a", "language": "en"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "s.jsonl: a suite must have at least one row"),
        ("\n  \n", "s.jsonl: a suite must have at least one row"),
        (f"{GOOD}\n{{", "s.jsonl:2: is not JSON"),
        ("[1]", "s.jsonl:1: must be a JSON object, got list"),
        (f"{GOOD}\n\n" + '{"text": "a"}', "s.jsonl:3: a row must expect something"),
        ('{"text": "a", "expect": {}}', "a row must expect something"),
        ('{"text": "a", "expect": {"ignore_case": true}}', "a row must expect something"),
        ('{"text": "a", "ideal": "b"}', "unknown field 'ideal'; a row has id, text, inputs"),
        ('{"text": "a", "expect": {"include": "b"}}', "unknown check 'include'"),
        ('{"text": "a", "expect": {"includes": ""}}', "includes must not be empty"),
        ('{"text": "a", "expect": {"includes": []}}', "must be a text or a list of texts, got []"),
        ('{"text": "a", "expect": {"includes": 3}}', "must be a text or a list of texts, got 3"),
        ('{"text": "a", "expect": {"max_chars": 0}}', "max_chars must be a whole number >= 1"),
        ('{"text": "a", "expect": {"max_chars": true}}', "max_chars must be a whole number"),
        ('{"text": "a", "expect": {"answered": false}}', "answered must be true"),
        ('{"text": "a", "expect": {"not_reveals": "a-1"}}', ">= 4 letters or digits"),
        ('{"text": "a", "expect": {"match": "b", "ignore_case": true}}', "for includes and"),
        ('{"text": "a", "expect": {"includes": "b", "ignore_case": 1}}', "true or false, got 1"),
        ('{"expect": {"includes": "b"}}', "a row must have one of text and inputs"),
        ('{"text": 1, "expect": {"includes": "b"}}', "text must be a text"),
        ('{"inputs": {}, "expect": {"includes": "b"}}', "inputs must map"),
        ('{"text": "a", "output": 1, "expect": {"includes": "b"}}', "output must be a field's"),
        ('{"id": 1, "text": "a", "expect": {"includes": "b"}}', "id must be a text of 1 to 100"),
        ('{"id": "a\\nb", "text": "a", "expect": {"includes": "b"}}', "printable characters"),
        ('{"text": "a", "text": "b", "expect": {}}', "the key 'text' is there twice"),
        ('{"text": "a", "expect": {"json": NaN}}', "NaN is no JSON number"),
        ('{"text": "\\ud800", "expect": {"includes": "b"}}', "half of a surrogate pair"),
        ('{"id": "2", "text": "a", "expect": {"includes": "b"}}\n' + GOOD, "'2' twice"),
    ],
)
def test_json_lines(tmp_path, text, told):
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(DataError) as refused:
        open_suite("s.jsonl", tmp_path)
    assert told in str(refused.value)
    assert "s.jsonl" in str(refused.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "s.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match=r"must be UTF-8"):
        open_suite("s.jsonl", tmp_path)


@pytest.mark.parametrize("path", ["absent.jsonl", "absent.yaml", "safty", "s.txt", "folder"])
def test_what_is_no_suite(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"(must exist|a suite must be a \.jsonl file)"):
        open_suite(path, tmp_path)


def registry(folder, *, spec, samples=None, rubric=None):
    """Writes one eval, its samples and its rubric."""
    entry = {"id": "e.dev.v0", "metrics": ["accuracy"]}
    (folder / "e.yaml").write_text(json.dumps({"e": entry, "e.dev.v0": spec}, indent=1))
    lines = [ROW] if samples is None else samples
    (folder / "s.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    (folder / "modelgraded").mkdir()
    (folder / "modelgraded" / "r.yaml").write_text(json.dumps(rubric or RUBRIC))


def basic(kind=MATCH, **args):
    return {"class": kind, "args": {"samples_jsonl": "s.jsonl", **args}}


def graded(**args):
    return basic(GRADED, **{"modelgraded_spec": "r", "eval_type": "classify", **args})


@pytest.mark.parametrize(
    ("spec", "samples", "told"),
    [
        (basic("evals.elsuite.basic.match:Mach"), None, "did you mean evals.elsuite.basic.match:M"),
        (basic("os:system"), None, "class must be one of"),
        (basic(num_few_shot=3), None, "the argument 'num_few_shot' is not run here"),
        ({"class": MATCH}, None, "args must name samples_jsonl"),
        ({"class": MATCH, "args": ["s.jsonl"]}, None, "args must be a mapping"),
        (basic(samples_jsonl="t.jsonl"), None, "t.jsonl: the file must exist"),
        (basic(samples_jsonl="../s.jsonl"), None, "must lie inside the suite's folder"),
        (basic(samples_jsonl="/etc/passwd"), None, "must lie inside the suite's folder"),
        (basic(samples_jsonl="C:\\s.jsonl"), None, "must lie inside the suite's folder"),
        (basic(samples_jsonl="https://host/s.jsonl"), None, "must lie inside the suite's folder"),
        (basic(samples_jsonl="link.jsonl"), None, "must lie inside the suite's folder"),
        (basic(), [], "a suite must have at least one row"),
        (basic(), [ROW, {"input": "a"}], "s.jsonl:2: a sample must have ideal"),
        (basic(), [{"ideal": "a"}], "s.jsonl:1: a sample must have input"),
        (basic(), [{"input": [], "ideal": "a"}], "input must be a text or a list of messages"),
        (basic(), [{"input": [{"role": "user"}], "ideal": "a"}], "the texts role and content"),
        (basic(), [{"input": "a", "ideal": ""}], "ideal must not be empty"),
        (basic(), [{"input": "a", "ideal": 3}], "ideal must be a text or a list of texts"),
        (basic(), [{**ROW, "id": "1"}, {**ROW, "id": "1"}], "got '1' twice"),
        (basic(JSON), [{"input": "a", "ideal": "{"}], "ideal must be the text of JSON"),
        (graded(modelgraded_spec="q"), None, "q.yaml: the file must exist"),
        (graded(modelgraded_spec="../r"), None, "must lie inside the suite's folder"),
        (graded(modelgraded_spec=None), None, "args must name modelgraded_spec"),
        (graded(eval_type=None), None, "eval_type must be one of classify"),
        (graded(match_fn="regex"), None, "match_fn must be one of include"),
        (graded(modelgraded_spec_args=["a"]), None, "args must map names to texts"),
        (graded(), [{"input": "a"}], "s.jsonl:1: the sample must have 'ideal'"),
        (graded(), [{"ideal": "a"}], "the sample must have 'input'"),
    ],
)
def test_registry_files(tmp_path, spec, samples, told):
    outside = tmp_path / "outside.jsonl"
    outside.write_text(json.dumps(ROW))
    folder = tmp_path / "suite"
    folder.mkdir()
    registry(folder, spec=spec, samples=samples)
    (folder / "link.jsonl").symlink_to(outside)
    with pytest.raises(DataError) as refused:
        open_suite("e.yaml", folder)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": None}, "prompt must be a text"),
        ({"prompts": "a"}, "unknown key 'prompts'"),
        ({"choice_strings": "from_n"}, "by the number of answers are not run here"),
        ({"choice_strings": [True, False]}, "choice_strings must be two or more different texts"),
        ({"choice_strings": ["A."]}, "choice_strings must be two or more different texts"),
        ({"choice_scores": {"Yes": 1}}, "choice_scores must give each of Yes, No a number"),
        ({"choice_scores": {"Yes": 1, "No": 1}}, "choice_scores must tell good from bad"),
        ({"choice_scores": None}, "choice_scores must give each of Yes, No a number"),
        ({"choice_scores": "from_strings"}, "choice_scores must give each of Yes, No a number"),
        ({"input_outputs": {}}, "input_outputs must map"),
    ],
)
def test_rubrics(tmp_path, change, told):
    registry(tmp_path, spec=graded(), rubric={**RUBRIC, **change})
    with pytest.raises(DataError) as refused:
        open_suite("e.yaml", tmp_path)
    assert told in str(refused.value)
    assert "r.yaml" in str(refused.value)


def test_scores_may_be_the_choices_themselves(tmp_path):
    change = {"choice_strings": "123", "choice_scores": "from_strings"}
    registry(tmp_path, spec=graded(), rubric={**RUBRIC, **change})
    grade = open_suite("e.yaml", tmp_path).rows[0].grade
    assert grade is not None
    assert [grade.rubric.passes(said) for said in ("3", "2", "9")] == [True, False, None]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be a mapping of names"),
        ("a: [", "e.yaml:1: is not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML"),
        ("a: {id: b}\nc: {id: d}\n", "the file holds 2 evals, so one must be named: a, c"),
        ("a: {id: b}\n", "e.yaml:1: id must name an entry of this file, got 'b'"),
        ("\na:\n  id: b\nb:\n  class: x\n", "e.yaml:4: class must be one of"),
    ],
)
def test_yaml(tmp_path, text, told):
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(DataError) as refused:
        open_suite("e.yaml", tmp_path)
    assert told in str(refused.value)


def test_one_of_several_evals_is_named(tmp_path):
    registry(tmp_path, spec=basic())
    both = {**json.loads((tmp_path / "e.yaml").read_text()), "f": {"id": "e.dev.v0"}}
    (tmp_path / "e.yaml").write_text(json.dumps(both))
    assert open_suite("e.yaml", tmp_path, name="f").name == "f"
    with pytest.raises(DataError, match=r"must hold the entry 'g', has e, e.dev.v0, f"):
        open_suite("e.yaml", tmp_path, name="g")


@pytest.mark.parametrize(
    ("row", "filling", "told"),
    [
        ({"text": "a"}, {}, "the program's input 'number' must have a value"),
        ({"text": "a"}, {"inputs": {"numbr": 1}}, "got 'numbr'; did you mean number?"),
        ({"text": "a"}, {"field": "questions"}, "got 'questions'; did you mean question?"),
        ({"inputs": {"quest": "a"}}, {}, "must name an input of the program"),
        ({"inputs": REST, "output": "ton"}, {}, "got 'ton'; did you mean tone?"),
        ({"text": "a"}, {"output": "x"}, "must name an output of the program, answer, tone"),
    ],
)
def test_a_suite_that_does_not_fit_the_program(tmp_path, row, filling, told):
    line = {**row, "expect": {"not_includes": "b"}}
    (tmp_path / "s.jsonl").write_text(json.dumps(line))
    (tmp_path / "p.py").write_text(PROGRAM)
    suite = open_suite("s.jsonl", tmp_path)
    with pytest.raises(DataError) as refused:
        bind(suite, Program("p.py:Two", tmp_path), Filling(**filling))
    assert told in str(refused.value)
    assert "suite s: " in str(refused.value)


def test_a_program_without_an_input_that_takes_text(tmp_path):
    (tmp_path / "s.jsonl").write_text(GOOD)
    (tmp_path / "p.py").write_text(PROGRAM)
    suite, program = open_suite("s.jsonl", tmp_path), Program("p.py:Listed", tmp_path)
    with pytest.raises(DataError, match=r"must have an input that takes text, it has items"):
        bind(suite, program, Filling())
    assert bind(suite, program, Filling(field="items")).calls == 1


def test_a_check_of_one_output_says_which(tmp_path):
    (tmp_path / "s.jsonl").write_text(GOOD)
    (tmp_path / "p.py").write_text(PROGRAM)
    suite, program = open_suite("s.jsonl", tmp_path), Program("p.py:Two", tmp_path)
    rest = {"number": 1, "language": "en"}
    with pytest.raises(DataError, match=r"one of the program's outputs must be named: answer"):
        bind(suite, program, Filling(inputs=rest))
    bound = bind(suite, program, Filling(inputs=rest, output="tone"))
    assert bound.rows[0].outputs == ("tone",)
    # The first input that takes text and has no value of its own.
    assert bound.rows[0].examples["completion"].inputs == {**rest, "question": "a"}
