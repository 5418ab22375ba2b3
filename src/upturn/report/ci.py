"""A gate's decision for a build: Markdown for the job's page, JUnit XML for its test tab."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from upturn.gate.report import GateReport, GuardResult
from upturn.records import Verdict
from upturn.report import format
from upturn.report.sentence import found
from upturn.report.templating import environment

# What XML 1.0 cannot hold, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def ci_summary(report: GateReport, *, title: str = "upturn gate") -> str:
    """Returns the decision as Markdown: verdict, numbers, guards and reasons."""
    template = environment(html=False).get_template("ci.md.j2")
    return template.render(gate=report, title=title, sentence=found(report))


def junit(report: GateReport, *, name: str = "upturn gate") -> str:
    """Returns the decision as JUnit XML: the verdict is a test case, and so is every guard.

    HOLD and INCONCLUSIVE are failures of the verdict's case, since neither may be released. A guard
    that was not judged is skipped.
    """
    suite = ElementTree.Element("testsuite", name=_clean(name))
    properties = ElementTree.SubElement(suite, "properties")
    for key in ("verdict", "effect", "low", "high", "confidence", "p_value", "n", "groups"):
        value = getattr(report, key)
        ElementTree.SubElement(
            properties, "property", name=key, value="" if value is None else str(value)
        )
    case = _case(suite, name, "verdict")
    if report.verdict is not Verdict.PROMOTE:
        _failure(case, str(report.verdict), found(report), "\n".join(report.reasons))
    for guard in report.guards:
        _guard(suite, name, guard)
    suite.set("tests", str(1 + len(report.guards)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("errors", "0")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _guard(suite: ElementTree.Element, name: str, guard: GuardResult) -> None:
    case = _case(suite, name, f"guard: {guard.name}")
    values = (
        f"champion {format.guard_value(guard, guard.baseline)}, challenger "
        f"{format.guard_value(guard, guard.challenger)}, limit {format.guard_limit(guard)}"
    )
    if not guard.ok:
        _failure(case, "guard", f"{guard.name}: {values}", guard.note)
    elif guard.limit is None:
        ElementTree.SubElement(case, "skipped", message=_clean(guard.note or "not judged"))


def _case(suite: ElementTree.Element, name: str, what: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_clean(name), name=_clean(what))


def _failure(case: ElementTree.Element, kind: str, message: str, text: str) -> None:
    made = ElementTree.SubElement(case, "failure", type=kind, message=_clean(message))
    made.text = _clean(text)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
