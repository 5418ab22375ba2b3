"""``upturn gate --ci`` and the workflow that uses it: files, exit codes, and steps that run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from tests.surface.conftest import NOBODY, Finished, Upturn, serving
from tests.unit.report.test_report_texts import EVIL, GATE
from upturn.gate import GateReport
from upturn.records import Verdict
from upturn.report.ci import ci_summary, junit

WORKFLOW = Path(__file__).parents[2] / "docs" / "examples" / "gate.yml"

#: The part of the public schema of GitHub workflows that the example uses, in words of our own.
STEP = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "if": {"type": "string"},
        "uses": {"type": "string", "pattern": r"^[\w.-]+/[\w./-]+@[\w.-]+$"},
        "with": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "run": {"type": "string"},
        "working-directory": {"type": "string"},
        "env": {"type": "object"},
    },
    "additionalProperties": False,
    "oneOf": [{"required": ["run"]}, {"required": ["uses"]}],
}
SCHEMA = {
    "type": "object",
    "required": ["name", "on", "jobs"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "on": {
            "type": "object",
            "required": ["pull_request"],
            "properties": {
                "pull_request": {
                    "type": "object",
                    "properties": {"paths": {"type": "array", "items": {"type": "string"}}},
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        "permissions": {
            "type": "object",
            "additionalProperties": {"enum": ["read", "write", "none"]},
        },
        "concurrency": {
            "type": "object",
            "required": ["group"],
            "properties": {"group": {"type": "string"}, "cancel-in-progress": {"type": "boolean"}},
            "additionalProperties": False,
        },
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "jobs": {
            "type": "object",
            "patternProperties": {
                "^[A-Za-z_][A-Za-z0-9_-]*$": {
                    "type": "object",
                    "required": ["runs-on", "steps"],
                    "properties": {
                        "runs-on": {"type": "string"},
                        "timeout-minutes": {"type": "number"},
                        "steps": {"type": "array", "minItems": 1, "items": STEP},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """60 rows: the challenger mends 20 of them and breaks 4."""
    for name, right in (("a", range(20, 60)), ("b", range(56))):
        rows = [json.dumps({"id": f"r{i}", "score": float(i in right)}) for i in range(60)]
        (tmp_path / name).write_text("\n".join(rows))
    return tmp_path / "a", tmp_path / "b"


def test_ci_adds_to_the_jobs_page_and_writes_what_was_asked(
    files, tmp_path: Path, upturn: Upturn, monkeypatch: pytest.MonkeyPatch
):
    page = tmp_path / "page.md"
    page.write_text("of an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    summary, xml = tmp_path / "gate.md", tmp_path / "gate.xml"
    sides = ("--baseline", files[0], "--challenger", files[1])
    ran = upturn("gate", "--ci", *sides, "--summary", summary, "--junit", xml)
    assert ran.code == 0, ran.err
    text = summary.read_text()
    assert text.startswith("## PROMOTE: upturn gate\n\n**The challenger is better by +26.7 pp")
    assert page.read_text() == f"of an earlier step\n{text}\n"
    assert ran.out.strip() == text.strip()
    suite = ElementTree.parse(xml).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "verdict",
        "guard: failure rate",
    ]


def test_what_is_not_better_fails_the_build(files, tmp_path: Path, upturn: Upturn, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    xml = tmp_path / "gate.xml"
    sides = ("--baseline", files[1], "--challenger", files[0])
    ran = upturn("gate", "--ci", *sides, "--junit", xml, "--json")
    assert ran.code == 3
    assert GateReport.from_json(ran.json).verdict is Verdict.HOLD
    failure = ElementTree.parse(xml).getroot().find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("type") == "HOLD"
    assert "The challenger is not better" in (failure.text or "")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--junit", "gate.json"], "--junit must end in .xml, got 'gate.json'"),
        (["--summary", "gate.html"], "--summary must end in .md"),
        (["--junit", "absent/gate.xml"], "absent does not exist"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_any_is(
    files, upturn: Upturn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options, told
):
    monkeypatch.chdir(tmp_path)
    ran = upturn("gate", "--baseline", files[0], "--challenger", files[1], *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_junit_says_what_became_of_each_guard():
    root = ElementTree.fromstring(junit(GATE).encode())
    found = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert found == {
        "verdict": [],
        "guard: p95 latency": [],
        "guard: cost per row": [],
        "guard: slice lang=a|b": ["failure"],
    }
    values = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert (values["verdict"], values["effect"], values["n"]) == ("PROMOTE", "0.125", "240")


def test_outside_text_breaks_neither_markdown_nor_xml():
    guard = replace(GATE.guards[0], name=f"{EVIL}\x00|", ok=False, limit=None, note="]]>\n# no")
    gate = replace(GATE, guards=(guard,), reasons=(EVIL,), verdict=Verdict.INCONCLUSIVE)
    root = ElementTree.fromstring(junit(gate).encode())
    assert root[0].get("failures") == "2"
    assert f"guard: {EVIL}\ufffd|" in [c.get("name") for c in root.iter("testcase")]
    text = ci_summary(gate)
    assert "<script>" not in text
    assert "\n# no" not in text
    row = next(line for line in text.splitlines() if "broken" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def workflow() -> dict[str, object]:
    """The example; YAML 1.1 takes the key ``on`` for true."""
    found = yaml.safe_load(WORKFLOW.read_text())
    found["on"] = found.pop(True)
    return found


def test_the_workflow_is_one_that_github_takes():
    jsonschema.validate(workflow(), SCHEMA)


@pytest.mark.parametrize("change", [{"uses": "actions/checkout"}, {"runs": "ls"}, {"name": "x"}])
def test_the_schema_refuses_what_github_refuses(change: dict[str, str]):
    broken = workflow()
    broken["jobs"]["gate"]["steps"][0] = change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_every_upturn_step_of_the_workflow_runs(
    finished: Finished, upturn: Upturn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Both checkouts are one project here, in which the pull request changes the instruction."""
    root = tmp_path / "work"
    with serving() as server:
        text = finished.config.read_text().replace(NOBODY, server.base)
        for side in ("base", "pr"):
            shutil.copytree(finished.root, root / side, ignore=shutil.ignore_patterns("mlruns"))
            (root / side / "configs" / "tickets.yaml").write_text(text)
        program = root / "pr" / "programs" / "triage.py"
        better = "Route the message.\n    billing: invoice refund charged\n"
        better += "    technical: crash login slow\n    returns: return broken exchange\n    "
        program.write_text(program.read_text().replace("Route the message.", better))
        codes = []
        for step in workflow()["jobs"]["gate"]["steps"]:
            command = step.get("run", "")
            if not command.startswith("upturn "):
                continue
            monkeypatch.chdir(root / step.get("working-directory", "."))
            words = shlex.split(command.replace("$CONFIG", "configs/tickets.yaml"))[1:]
            ran = upturn(*words)
            assert ran.code == 0, ran.err
            codes.append(ran.code)
    assert codes == [0, 0, 0]
    assert "## PROMOTE" in (root / "gate.md").read_text()
    lines = (root / "baseline.jsonl").read_text().splitlines()
    assert len(lines) > 50
    assert set(json.loads(lines[0])) == {"id", "group", "score", "failed"}
    assert ElementTree.parse(root / "gate.xml").getroot()[0].get("failures") == "0"
