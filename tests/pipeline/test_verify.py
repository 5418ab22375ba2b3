"""``upturn verify`` on whole turns: what holds, and what every kind of tampering is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from upturn.errors import CorruptionError
from upturn.ledger import EntryKind, Ledger, make_key
from upturn.ledger.entry import GENESIS, load_entry
from upturn.pipeline.audit.budget import ledger_state
from upturn.pipeline.audit.champions import Served
from upturn.pipeline.audit.freezing import parse_evidence, read_evidence
from upturn.pipeline.audit.opening import seen_by
from upturn.pipeline.audit.verification import Seen, Verification, verify
from upturn.pipeline.forget.needles import Needles
from upturn.pipeline.forget.places import sweep
from upturn.pipeline.forget.snapshots import Rebuilt, carry_looks
from upturn.pipeline.turn import run_turn
from upturn.pipeline.workspace import Workspace
from upturn.records import Json, canonical_json, content_hash


class Book:
    """A project's ledger after two turns, and what an auditor finds in it."""

    def __init__(self, project) -> None:
        self.workspace = Workspace(project.root / "mlruns")
        self.registry = project.registry
        self.path = self.workspace.ledger

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.path, clock=lambda: None)  # type: ignore[arg-type, return-value]

    def verify(self, **given) -> Verification:
        seen = seen_by(self.registry, ["tickets"], own=True)
        return verify(self.workspace, self.ledger, **{"seen": seen, **given})

    def rewrite(self, change: Callable[[list[dict[str, Json]]], object]) -> None:
        """Writes a forged ledger whose chain is whole: every hash is made anew."""
        lines = [json.loads(line) for line in self.path.read_bytes().splitlines()]
        change(lines)
        previous = GENESIS
        for number, line in enumerate(lines, start=1):
            line.update(number=number, previous_hash=previous)
            entry = load_entry(line)
            line["hash"] = previous = entry.content_hash
        self.path.write_text("".join(f"{canonical_json(line)}\n" for line in lines))

    def evidence(self) -> list[Path]:
        return sorted(self.workspace.evidence.glob("*.json"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two turns, the second on what the first promoted; made once, copied for each test."""
    from tests.pipeline.conftest import CONFIG, PROGRAM, Project, events
    from upturn.events import write_log

    root = tmp_path_factory.mktemp("verify")
    (root / "programs").mkdir()
    (root / "configs").mkdir()
    (root / "programs" / "triage.py").write_text(PROGRAM)
    (root / "configs" / "tickets.yaml").write_text(CONFIG)
    write_log(root / "log.jsonl", events())
    project = Project(root=root)
    for _ in range(2):
        run_turn(project.parts(), project.world())
    return project


@pytest.fixture
def book(whole) -> Book:
    """The ledger, put back to what it was after the test."""
    made = Book(whole)
    files = {p: p.read_bytes() for p in (made.path, *made.evidence())}
    yield made
    for path, content in files.items():
        path.write_bytes(content)


def kinds(book: Book, kind: EntryKind) -> list[int]:
    return [e.number for e in book.ledger.entries() if e.kind is kind]


def test_all_of_it_holds_and_every_decision_is_derived_again(book: Book):
    found = book.verify()
    assert found.problems == ()
    assert (found.ok, found.first_bad, found.entries) == (True, None, 6)
    assert (found.decisions, found.rederived, found.without_evidence) == (2, 2, 0)
    assert (found.looks, found.promotions, found.overrides, found.signed) == (2, 1, 0, 0)
    assert found.remarks == ()
    answer = json.loads(json.dumps(found.to_json()))
    assert (answer["ok"], answer["entries"], answer["first_bad"]) == (True, 6, None)


def test_a_decision_holds_the_whole_report_and_names_its_inputs(book: Book):
    decision = next(e for e in book.ledger.entries() if e.kind is EntryKind.DECISION)
    assert decision.actor == "tester"
    assert set(decision.inputs) == {
        *("config", "snapshot", "holdout", "champion", "challenger", "model", "evidence")
    }
    report = decision.data["report"]
    assert (report["verdict"], report["look"], report["n"] > 0) == ("PROMOTE", 1, True)
    assert decision.data["alpha"] == {"spent": 0.025, "of": 0.05}
    frozen = canonical_json(read_evidence(book.workspace, decision.inputs["evidence"]))
    assert "cust-" not in frozen
    assert "req-" not in frozen
    assert not any(cue in frozen for cue in ("invoice", "refund", "charged"))


def test_every_changed_byte_of_the_evidence_is_found(book: Book):
    for path in book.evidence():
        content = path.read_bytes()
        assert parse_evidence(content, path.stem, where="")["format"] == 1
        for place, own in enumerate(content):
            for other in (own ^ 1, ord(" ")) if own != ord(" ") else (own ^ 1,):
                changed = content[:place] + bytes([other]) + content[place + 1 :]
                with pytest.raises(CorruptionError, match="evidence must hash to"):
                    parse_evidence(changed, path.stem, where="")


def test_evidence_that_is_changed_or_gone_is_a_fault_of_its_decision(book: Book):
    decision = kinds(book, EntryKind.DECISION)[0]
    path = (
        book.workspace.evidence / f"{book.ledger.entries()[decision - 1].inputs['evidence']}.json"
    )
    path.write_bytes(path.read_bytes().replace(b'"score":[', b'"score": [', 1))
    found = book.verify()
    assert (found.ok, found.first_bad, found.rederived) == (False, decision, 1)
    path.unlink()
    assert "must be a file that can be read" in book.verify().problems[0].what


def test_a_changed_line_is_named_and_what_stands_before_it_is_checked(book: Book):
    content = book.path.read_bytes()
    lines = content.splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"tester"', b'"Tester"')
    book.path.write_bytes(b"".join(lines))
    found = book.verify()
    assert (found.first_bad, found.entries, found.rederived) == (4, 3, 1)
    assert "match its own hash" in found.problems[0].what


def test_lines_cut_off_at_the_end_are_found_by_the_mirror(book: Book):
    lines = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(b"".join(lines[:-1]))
    found = book.verify()
    assert (found.ok, found.first_bad) == (False, 6)
    assert "the ledger's head when tickets was last recorded" in found.problems[0].what
    alone = book.verify(seen=None)
    assert alone.ok
    assert "no registry was asked" in alone.remarks[0]
    book.path.unlink()
    assert (book.verify().ok, book.verify().entries) == (False, 0)


def test_programs_of_another_ledger_on_the_same_server_are_none_of_ours(book: Book):
    heads = {**book.registry.heads(), "elsewhere": f"9:{'f' * 64}"}
    assert book.verify(seen=Seen(heads=heads, own=False)).ok
    assert not book.verify(seen=Seen(heads=heads)).ok


def forged_report(lines: list[dict[str, Json]]) -> None:
    decision = next(e for e in lines if e["kind"] == "decision")
    decision["data"]["report"]["p_value"] /= 2


def forged_verdict(lines: list[dict[str, Json]]) -> None:
    decision = [e for e in lines if e["kind"] == "decision"][-1]
    decision["data"]["verdict"] = decision["data"]["report"]["verdict"] = "PROMOTE"


def forged_holdout(lines: list[dict[str, Json]]) -> None:
    next(e for e in lines if e["kind"] == "decision")["inputs"]["holdout"] = "b" * 64


def forged_alpha(lines: list[dict[str, Json]]) -> None:
    next(e for e in lines if e["kind"] == "look")["data"]["alpha"] = 0.05


def forged_number(lines: list[dict[str, Json]]) -> None:
    [e for e in lines if e["kind"] == "look"][1]["data"]["number"] = 1


def without_a_look(lines: list[dict[str, Json]]) -> None:
    lines.remove(next(e for e in lines if e["kind"] == "look"))


def without_its_decision(lines: list[dict[str, Json]]) -> None:
    lines.remove(next(e for e in lines if e["kind"] == "decision"))


def without_evidence(lines: list[dict[str, Json]]) -> None:
    del next(e for e in lines if e["kind"] == "decision")["inputs"]["evidence"]


def of_another_version(lines: list[dict[str, Json]]) -> None:
    next(e for e in lines if e["kind"] == "promotion")["data"]["version"] = "7"


def formless(lines: list[dict[str, Json]]) -> None:
    next(e for e in lines if e["kind"] == "look")["data"] = {}


@pytest.mark.parametrize(
    ("forge", "kind", "what"),
    [
        (forged_report, EntryKind.DECISION, "it does not: p_value: recorded"),
        (forged_verdict, EntryKind.DECISION, "it does not: verdict: recorded"),
        (forged_holdout, EntryKind.DECISION, "holdout must be that of its report"),
        (forged_alpha, EntryKind.LOOK, "may spend at most 0.025, it was given 0.05"),
        (forged_number, EntryKind.LOOK, "must be number 2 that its rows have seen, it says 1"),
        (without_a_look, EntryKind.DECISION, "must rest on a look that was recorded before"),
        (without_its_decision, EntryKind.PROMOTION, "must rest on a decision PROMOTE"),
        (without_evidence, EntryKind.DECISION, "must name its evidence"),
        (of_another_version, EntryKind.PROMOTION, "promotion of version 7 must rest on"),
        (formless, EntryKind.LOOK, "must have the form that Upturn writes"),
    ],
)
def test_a_forged_ledger_with_a_whole_chain_is_found(
    book: Book, forge: Callable[[list[dict[str, Json]]], None], kind: EntryKind, what: str
):
    book.rewrite(forge)
    found = book.verify(seen=None)
    assert not found.ok
    told = {p.entry: p.what for p in found.problems if what in p.what}
    assert set(told) & set(kinds(book, kind)), found.problems


def test_a_rewritten_ledger_is_not_the_one_that_the_registry_has_seen(book: Book):
    book.rewrite(lambda lines: lines[0].update(time="2020-01-01T00:00:00+00:00"))
    assert book.verify(seen=None).ok
    assert not book.verify().ok


def test_what_an_override_promoted_is_counted(book: Book):
    Ledger(book.path, clock=_now).append_promotion(
        program="tickets",
        version="7",
        previous="2",
        turn="",
        who="ann",
        reason="outage",
        override=True,
    )
    found = book.verify()
    assert (found.ok, found.promotions, found.overrides) == (True, 2, 1)
    assert ledger_state(book.ledger.entries()).overrides == 1


def test_what_the_ledger_says_of_a_holdout(book: Book):
    state = ledger_state(book.ledger.entries(), "tickets")
    (holdout,) = state.holdouts
    assert (holdout.left.looks_taken, holdout.left.looks_left) == (2, 3)
    assert holdout.left.spent == pytest.approx(0.0375)
    assert holdout.left.alpha == 0.05
    assert holdout.programs == ("tickets",)
    assert state.head == book.registry.heads()["tickets"]
    assert ledger_state(book.ledger.entries(), "other").holdouts == ()


def test_a_key_asks_for_signatures(book: Book, tmp_path: Path):
    _, public = make_key(tmp_path)
    found = book.verify(keys=[public])
    assert [(p.entry, "signed entry, none is" in p.what) for p in found.problems] == [(1, True)]


def test_decisions_of_before_there_was_evidence_stand_and_are_counted(book: Book):
    def old(lines: list[dict[str, Json]]) -> None:
        for line in lines:
            for name in ("format", "actor", "inputs"):
                del line[name]
            if line["kind"] == "decision":
                line["data"]["report"] = {"effect": 0.1, "low": 0.0, "high": 0.2, "n": 9}
        lines[0]["hash"] = content_hash({k: v for k, v in lines[0].items() if k != "hash"})

    book.rewrite(old)
    found = book.verify(seen=None)
    assert (found.ok, found.decisions, found.rederived, found.without_evidence) == (True, 2, 0, 2)
    assert any("cannot be derived again" in remark for remark in found.remarks)


def _now():
    from tests.pipeline.conftest import NOW

    return NOW


def test_what_is_forgotten_never_touches_evidence(book: Book):
    path = book.evidence()[0]
    before = path.read_bytes()
    swept = sweep([book.workspace.evidence], Needles((), ["req-0003", "cust-007"]))
    assert (swept.left, swept.files) == ([], {})
    assert b"upturn" in before
    quoted = sweep([book.workspace.evidence], Needles((), ["upturn"]))
    assert all("never changed" in left for left in quoted.left)
    assert len(quoted.left) == 2
    assert path.read_bytes() == before


def test_an_entry_that_a_champion_stands_for_must_be_there(book: Book):
    found = book.verify(seen=Seen(served={"tickets": Served(settled="f" * 64)}))
    assert [p.entry for p in found.problems] == [7]
    assert "the champion of tickets stands for" in found.problems[0].what


@pytest.mark.parametrize(
    "settings",
    [
        ("gate.challengers=2",),
        ("gate.challengers=2", "gate.design=group_sequential"),
        ("gate.design=betting", "gate.replicates=2"),
    ],
    ids=lambda s: " ".join(s),
)
def test_every_kind_of_look_is_derived_again(project, settings):
    result = run_turn(project.parts(*settings), project.world())
    book = Book(project)
    found = book.verify()
    assert (found.problems, found.decisions, found.rederived) == ((), 1, 1)
    decision = next(e for e in book.ledger.entries() if e.kind is EntryKind.DECISION)
    assert decision.data["verdict"] == result.verdict
    rivals = [name for name in decision.inputs if name.startswith("evidence_rival_")]
    assert len(rivals) == len(decision.data["report"]["rivals"])
    if rivals:
        book.rewrite(_forge_rival)
        told = book.verify(seen=None).problems[0].what
        assert "rivals: recorded" in told


def _forge_rival(lines: list[dict[str, Json]]) -> None:
    decision = next(e for e in lines if e["kind"] == "decision")
    decision["data"]["report"]["rivals"][0]["effect"] -= 0.01


def test_a_turn_that_is_killed_before_its_result_decides_once(project):
    first = run_turn(project.parts("promotion=ask"), project.world())
    book = Book(project)
    entries, evidence = book.ledger.entries(), book.evidence()
    (book.workspace.turn(first.turn) / "result.json").unlink()
    again = run_turn(project.parts("promotion=ask"), project.world())
    assert (again.turn, again.verdict) == (first.turn, first.verdict)
    assert not again.repeated
    assert [e for e in book.ledger.entries() if e.kind is EntryKind.DECISION] == [entries[-1]]
    assert book.evidence() == evidence
    assert book.verify().ok


def test_looks_that_were_carried_to_a_holdout_without_some_rows_hold(book: Book):
    (decided, *_) = [e for e in book.ledger.entries() if e.kind is EntryKind.LOOK]
    rebuilt = Rebuilt(
        id="old", rebuilt_as="new", rows={}, holdout=decided.data["holdout"], new_holdout="c" * 64
    )
    carry_looks(Ledger(book.path, clock=_now), rebuilt)
    found = book.verify()
    assert (found.problems, found.looks) == ((), 4)


def test_evidence_of_no_decision_is_remarked(book: Book):
    extra = book.workspace.evidence / f"{'0' * 64}.json"
    extra.write_text("{}")
    found = book.verify()
    extra.unlink()
    assert found.ok
    assert found.remarks == ("files of evidence that no decision of this ledger names: 1",)


def test_a_turn_does_not_go_on_with_a_ledger_that_lost_its_end(project):
    run_turn(project.parts("promotion=ask"), project.world())
    path, calls = project.root / "mlruns" / "ledger.jsonl", project.engine.calls
    lines = path.read_bytes().splitlines(keepends=True)
    assert b'"kind":"decision"' in lines[-1]
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(CorruptionError, match="which the registry has seen"):
        run_turn(project.parts("promotion=ask", "seed=5"), project.world())
    assert project.engine.calls - calls <= 1  # the probe
    path.write_bytes(b"".join(lines))
    assert Book(project).verify().ok
