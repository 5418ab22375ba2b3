"""Automatic slices in a turn: cut from train, judged by the gate, shown in its report."""

from __future__ import annotations

from upturn.gate import GateReport
from upturn.ledger import EntryKind, Ledger
from upturn.pipeline.turn import run_turn


def decided(project, *overrides: str) -> GateReport:
    run_turn(project.parts(*overrides), project.world())
    entries = Ledger(project.root / "mlruns" / "ledger.jsonl", clock=lambda: None).entries()
    (found,) = (e.data["report"] for e in entries if e.kind is EntryKind.DECISION)
    return GateReport.from_json(found)


def test_a_turn_judges_slices_that_nobody_named(project):
    report = decided(project)
    names = {s.name for s in report.slices}
    assert {f"auto label team={t}" for t in ("billing", "technical", "returns")} <= names
    assert all(s.p_value is not None for s in report.slices)
    judged = {g.name: g for g in report.guards if g.name.startswith("slice auto ")}
    assert judged
    for found in report.slices:
        by_input = not found.name.startswith("auto label ")
        assert (f"slice {found.name}" in judged) == (found.n >= 20 and by_input)


def test_a_config_may_leave_them_out(project):
    report = decided(project, "gate.guards.automatic_slices=false")
    assert report.slices == ()
    assert not any("slice" in g.name for g in report.guards)
